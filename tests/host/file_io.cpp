// SPDX-License-Identifier: GPL-2.0
// read, write and lseek: contents, sizes, what is durable, what happens when space or memory runs out.
#include "tests/host/file_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

using FileIo = FileTest;

tarn_user source(std::string& bytes)
{
    tarn_user from;
    from.data = reinterpret_cast<std::byte*>(bytes.data());
    from.length = bytes.size();
    return from;
}

}  // namespace

TEST_F(FileIo, ReadsBackWhatWasWritten)
{
    std::string text = pattern(100000);
    EXPECT_EQ(file->write(0, text), 100000);
    EXPECT_EQ(file->size(), 100000u);
    EXPECT_EQ(file->contents(), text);
    EXPECT_EQ(file->read(99990, 100), text.substr(99990));
    EXPECT_EQ(file->read(100000, 10), "");
    EXPECT_EQ(file->read(1u << 30, 10), "");
    remount();
    EXPECT_EQ(file->contents(), text);
}

TEST_F(FileIo, HolesReadAsZeroes)
{
    EXPECT_EQ(file->write(50000, std::string("end")), 3);
    EXPECT_EQ(file->contents(), zeroes(50000) + "end");
    EXPECT_EQ(file->blocks(), 1u);
    EXPECT_EQ(file->write(20000, std::string("middle")), 6);
    EXPECT_EQ(file->contents(), zeroes(20000) + "middle" + zeroes(50000 - 20006) + "end");
    EXPECT_EQ(file->blocks(), 2u);
}

TEST_F(FileIo, OverwritingAllocatesNothing)
{
    file->write(0, pattern(40960));
    u64 free = fs->free_blocks();
    EXPECT_EQ(file->write(5000, std::string(20000, 'x')), 20000);
    EXPECT_EQ(fs->free_blocks(), free);
    EXPECT_EQ(file->contents(), pattern(5000) + std::string(20000, 'x') + pattern(40960).substr(25000));
}

TEST_F(FileIo, WritesAcrossHolesAndBlocks)
{
    file->write(8192, std::string(4096, 'b'));
    file->write(20480, std::string(100, 'c'));
    EXPECT_EQ(file->write(100, std::string(30000, 'x')), 30000);
    EXPECT_EQ(file->contents(), zeroes(100) + std::string(30000, 'x'));
}

TEST_F(FileIo, OffsetsUpToTheLargestFile)
{
    const u64 last = TARN_FILE_SIZE_MAX;
    EXPECT_EQ(file->write(last - 3, std::string("end")), 3);
    EXPECT_EQ(file->size(), last);
    EXPECT_EQ(file->read(last - 5, 100), zeroes(2) + "end");
    EXPECT_EQ(file->write(last - 2, std::string("end")), -EFBIG);
    EXPECT_EQ(tarn_file_seek(file->inode(), 0, TARN_SEEK_DATA), static_cast<long long>(last - 4096));
    EXPECT_EQ(tarn_file_seek(file->inode(), last - 1, TARN_SEEK_HOLE), static_cast<long long>(last));
}

TEST_F(FileIo, SeeksDataAndHoles)
{
    auto seek = [&](u64 offset, tarn_seek what) { return tarn_file_seek(file->inode(), offset, what); };
    EXPECT_EQ(seek(0, TARN_SEEK_DATA), -ENXIO);
    file->write(8192, std::string(5000, 'x'));
    file->truncate(40000);
    EXPECT_EQ(seek(0, TARN_SEEK_DATA), 8192);
    EXPECT_EQ(seek(9000, TARN_SEEK_DATA), 9000);
    EXPECT_EQ(seek(0, TARN_SEEK_HOLE), 0);
    EXPECT_EQ(seek(9000, TARN_SEEK_HOLE), 16384);
    EXPECT_EQ(seek(16384, TARN_SEEK_DATA), -ENXIO);
    EXPECT_EQ(seek(39999, TARN_SEEK_HOLE), 39999);
    EXPECT_EQ(seek(40000, TARN_SEEK_HOLE), -ENXIO);
    file->write(32768, std::string(8000, 'y'));
    EXPECT_EQ(seek(33000, TARN_SEEK_HOLE), 40768);
}

TEST_F(FileIo, WhatWriteReturnedForIsDurable)
{
    DurableImage durable(device);
    std::string text = pattern(70001);
    file->write(0, text);
    EXPECT_EQ(contents_after_crash(durable), text);
    file->write(33333, std::string("overwritten in place"));
    text.replace(33333, 20, "overwritten in place");
    EXPECT_EQ(contents_after_crash(durable), text);
    file->write(70001, std::string("appended"));
    text += "appended";
    EXPECT_EQ(contents_after_crash(durable), text);
}

// Whatever the alignment, no line of a copy may be left in the cache.
TEST_F(FileIo, WritesOfEveryAlignmentAreDurable)
{
    file->write(0, zeroes(20000));
    std::string expected = zeroes(20000);
    DurableImage durable(device);
    for (u64 offset : {0, 1, 7, 8, 63, 64, 65, 4090, 4096, 8191})
        for (u64 length : {1, 3, 8, 9, 63, 64, 65, 130, 4097}) {
            std::string text = pattern(length, 'A');
            ASSERT_EQ(file->write(offset, text), static_cast<long long>(length));
            expected.replace(offset, length, text);
            ASSERT_EQ(contents_after_crash(durable), expected) << offset << " " << length;
        }
}

TEST_F(FileIo, ACopyThatEndsEarlyGoesOn)
{
    std::string text = pattern(300000);
    for (u64 step : {1000, 4096, 5000, 70000}) {
        DurableImage durable(device);
        tarn_user from = source(text);
        from.resident = 0;
        from.fault_in_limit = step;
        ASSERT_EQ(file->write(step, from, text.size()), 300000);
        ASSERT_EQ(file->read(step, text.size()), text);
        ASSERT_EQ(contents_after_crash(durable).substr(step), text);
        file->truncate(0);
    }
}

// What a short copy stored through the cache is written back: in a fresh block and in place.
TEST_F(FileIo, AShortCopyIsDurableToItsLastByte)
{
    for (u64 readable : {1, 63, 64, 100, 4095, 4097, 5000}) {
        for (int round = 0; round < 2; round++) {
            DurableImage durable(device);
            std::string text = pattern(9000, round ? 'A' : 'a');
            tarn_user from = source(text);
            from.readable = readable;
            ASSERT_EQ(file->write(0, from, text.size()), static_cast<long long>(readable));
            ASSERT_EQ(contents_after_crash(durable).substr(0, readable), text.substr(0, readable));
        }
        file->truncate(0);
    }
}

TEST_F(FileIo, SourceThatCannotBeReadIsAFault)
{
    std::string text = pattern(100);
    tarn_user from = source(text);
    from.readable = 0;
    EXPECT_EQ(file->write(0, from, 100), -EFAULT);
    EXPECT_EQ(file->size(), 0u);
    EXPECT_EQ(file->blocks(), 0u);
}

TEST_F(FileIo, TargetThatCannotBeWrittenIsAFault)
{
    file->write(0, pattern(10000));
    std::string text(10000, ' ');
    tarn_user to = source(text);
    to.readable = 0;
    EXPECT_EQ(tarn_file_read(file->inode(), 0, 10000, &to), -EFAULT);
    to.readable = 6000;
    EXPECT_EQ(tarn_file_read(file->inode(), 0, 10000, &to), 6000);
    EXPECT_EQ(text.substr(0, 6000), pattern(10000).substr(0, 6000));
}

TEST_F(FileIo, RunningOutOfSpaceWritesWhatFits)
{
    const u64 free = fs->free_blocks();
    std::string text = pattern((free + 100) * 4096);
    long long wrote = file->write(0, text);
    ASSERT_GT(wrote, static_cast<long long>(free * 4096 / 2));
    ASSERT_LT(wrote, static_cast<long long>(text.size()));
    EXPECT_EQ(file->size(), static_cast<u64>(wrote));
    EXPECT_EQ(file->contents(), text.substr(0, static_cast<u64>(wrote)));
    EXPECT_EQ(file->write(static_cast<u64>(wrote), std::string(4096 * 4, 'x')), -ENOSPC);
    EXPECT_EQ(file->size(), static_cast<u64>(wrote));
    EXPECT_EQ(file->write(0, std::string("still writable")), 14);
    file->truncate(0);
    EXPECT_EQ(fs->free_blocks(), free);
    EXPECT_EQ(file->write(0, text), wrote);
}

TEST_F(FileIo, NoMemoryChangesNothingAndLosesNoSpace)
{
    file->write(0, pattern(5000));
    const u64 free = fs->free_blocks();
    int failures = 0;
    for (long countdown = 0;; countdown++) {
        host::fail_allocation_after(countdown);
        std::string text = pattern(9000, 'A');
        std::vector<std::byte> copy(9000);
        tarn_user from = source(text);
        long long wrote = file->write(20000, from, 9000);
        host::fail_allocation_after(-1);
        if (wrote == 9000)
            break;
        failures++;
        ASSERT_EQ(wrote, -ENOMEM);
        ASSERT_EQ(file->contents(), pattern(5000));
        ASSERT_EQ(fs->free_blocks(), free);
    }
    EXPECT_GT(failures, 2);
    EXPECT_EQ(file->contents(), pattern(5000) + zeroes(15000) + pattern(9000, 'A'));
}

// The bytes that still fit into the last block, and those of fresh ones, are steps of one call: the size of the first waits
// for the record of the second, but not when there is none.
TEST_F(FileIo, AnAppendWhoseFreshBlockFailsKeepsWhatWentIntoTheLastOne)
{
    file->write(0, pattern(4000));
    const u64 free = fs->free_blocks();
    DurableImage durable(device);
    std::string text = pattern(5000, 'A');
    tarn_user from = source(text);
    from.readable = 50;
    EXPECT_EQ(file->write(4000, from, 5000), 50) << "the source ends";
    EXPECT_EQ(file->size(), 4050u);
    EXPECT_EQ(contents_after_crash(durable), pattern(4000) + text.substr(0, 50));
    from = source(text);
    from.readable = 46;
    EXPECT_EQ(file->write(4050, from, 5000), 46) << "the source ends with the block";
    EXPECT_EQ(contents_after_crash(durable), pattern(4000) + text.substr(0, 50) + text.substr(0, 46));
    file->truncate(4000);
    auto other = fs->create(mm, "other");
    other->write(0, std::string(free * 4096, 'o'));
    EXPECT_EQ(file->write(4000, text), 96) << "no space";
    EXPECT_EQ(file->contents(), pattern(4000) + text.substr(0, 96));
    EXPECT_EQ(contents_after_crash(durable), file->contents());
}

TEST_F(FileIo, AnAppendOverTheEndOfABlockShowsAllOrNothingAtItsFences)
{
    for (u64 fence = 1; fence <= 2; fence++) {
        file->truncate(0);
        file->write(0, pattern(4000));
        DurableImage durable(device);
        durable.remember_before_fence(fence);
        ASSERT_EQ(file->write(4000, pattern(200, 'A')), 200);
        EXPECT_EQ(durable.fences(), 2u);
        EXPECT_EQ(contents_of_image(durable.remembered()), pattern(4000)) << "before fence " << fence;
        EXPECT_EQ(contents_after_crash(durable), pattern(4000) + pattern(200, 'A'));
    }
}

TEST_F(FileIo, AFailedFenceIsReportedAndStopsChanges)
{
    file->write(0, pattern(8192));
    LogCapture log;
    device.fail_fences_from(1);
    EXPECT_EQ(file->write(0, std::string("x")), -EIO);
    device.fail_fences_from(0);
    EXPECT_EQ(file->write(0, std::string("x")), -EIO);
    EXPECT_EQ(file->read(1, 10), pattern(8192).substr(1, 10));
    fs->abandon();
    remount();
}

TEST_F(FileIo, WritesCostTheFencesTheyShould)
{
    auto fences = [&] { return device.counters().fences.load_relaxed(); };
    file->write(0, pattern(4096));
    u64 before = fences();
    file->write(4096, pattern(4096));
    EXPECT_EQ(fences() - before, 2u) << "append: contents, record";
    before = fences();
    file->write(0, pattern(8192));
    EXPECT_EQ(fences() - before, 1u) << "overwrite";
    before = fences();
    file->read(0, 8192);
    EXPECT_EQ(fences() - before, 0u);
}

TEST_F(FileIo, AFileWrittenFrontToBackIsOneExtent)
{
    for (u64 at = 0; at < 2000000; at += 10000)
        file->write(at, pattern(10000));
    Checked checked = check_as_is(device);
    EXPECT_LE(checked.summary.extents, 3u);
}

TEST_F(FileIo, FreshBlocksNeverShowOldBytes)
{
    // Fill the device with a mark, free it, and look through small writes into what comes back.
    auto other = fs->create(mm, "other");
    other->write(0, std::string(fs->free_blocks() / 2 * 4096, 'S'));
    fs->unlink("other", *other);
    other.reset();
    DurableImage durable(device);
    for (u64 block = 0; block < 50; block++)
        file->write(block * 8192 + 100, std::string("new"));
    EXPECT_EQ(file->contents().find('S'), std::string::npos);
    EXPECT_EQ(contents_after_crash(durable).find('S'), std::string::npos);
}
