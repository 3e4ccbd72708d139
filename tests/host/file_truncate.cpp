// SPDX-License-Identifier: GPL-2.0
// Truncation: contents, mappings, pins, crashes.
#include "tests/host/file_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

class FileTruncate : public FileTest {
  protected:
    FileTruncate() : FileTest(16384) {}
    DirtyTracker& tracker() { return InodeObject::of(file->inode()).tracker; }
};

}  // namespace

TEST_F(FileTruncate, GrowsWithAHoleAndShrinks)
{
    file->write(0, pattern(5000));
    const u64 free = fs->free_blocks();
    EXPECT_EQ(file->truncate(50000), 0);
    EXPECT_EQ(file->contents(), pattern(5000) + zeroes(45000));
    EXPECT_EQ(fs->free_blocks(), free);
    EXPECT_EQ(file->truncate(4096), 0);
    EXPECT_EQ(fs->free_blocks(), free + 1);
    EXPECT_EQ(file->contents(), pattern(5000).substr(0, 4096));
    EXPECT_EQ(file->truncate(0), 0);
    EXPECT_EQ(file->blocks(), 0u);
    EXPECT_EQ(file->contents(), "");
    EXPECT_EQ(file->truncate(TARN_FILE_SIZE_MAX + 1), -EFBIG);
    EXPECT_EQ(file->truncate(TARN_FILE_SIZE_MAX), 0);
}

TEST_F(FileTruncate, WhatWasCutOffNeverComesBack)
{
    file->write(0, std::string(10000, 'S'));
    file->truncate(3000);
    file->truncate(10000);
    EXPECT_EQ(file->contents(), std::string(3000, 'S') + zeroes(7000));
    file->truncate(2000);
    file->write(2500, std::string("x"));
    EXPECT_EQ(file->contents(), std::string(2000, 'S') + zeroes(500) + "x");
    file->truncate(1000);
    file->write(9000, std::string("x"));
    EXPECT_EQ(file->contents(), std::string(1000, 'S') + zeroes(8000) + "x");
}

TEST_F(FileTruncate, StoresBehindTheEndNeverShow)
{
    file->write(0, std::string(1000, 'a'));
    FakeMapping mapping(mm, *file);
    std::string garbage(3000, 'S');
    DurableImage durable(device);
    ASSERT_EQ(mapping.store(1000, garbage.data(), garbage.size()), 0);
    file->truncate(3000);
    EXPECT_EQ(file->contents(), std::string(1000, 'a') + zeroes(2000));
    EXPECT_EQ(contents_after_crash(durable), file->contents());
    ASSERT_EQ(mapping.store(3000, garbage.data(), 1000), 0);
    file->write(3500, std::string("x"));
    EXPECT_EQ(file->contents(), std::string(1000, 'a') + zeroes(2500) + "x");
    EXPECT_EQ(contents_after_crash(durable), file->contents());
    ASSERT_EQ(mapping.store(3501, garbage.data(), 500), 0);
    file->write(20000, std::string("y"));
    EXPECT_EQ(file->contents(), std::string(1000, 'a') + zeroes(2500) + "x" + zeroes(16499) + "y");
    EXPECT_EQ(contents_after_crash(durable), file->contents());
}

TEST_F(FileTruncate, MappedBlocksAreLetGo)
{
    file->write(0, pattern(100 * 4096));
    FakeMapping mapping(mm, *file);
    for (u64 block = 0; block < 100; block++)
        ASSERT_EQ(mapping.store(block * 4096, 'x'), 0);
    EXPECT_EQ(file->truncate(10 * 4096 + 1), 0);
    EXPECT_EQ(tracker().numbers().entries, 11u);
    EXPECT_EQ(mapping.store(11 * 4096, 'x'), -ENXIO);
    EXPECT_EQ(mapping.at(10 * 4096), 'x');
    EXPECT_EQ(mapping.at(10 * 4096 + 1), '\0') << "the rest of the last block is zeroed";
    // The freed blocks may be anybody's now.
    auto other = fs->create(mm, "other");
    other->write(0, pattern(100 * 4096, 'A'));
    FakeMapping its(mm, *other);
    for (u64 block = 0; block < 100; block++)
        ASSERT_EQ(its.store(block * 4096, 'o'), 0);
    EXPECT_EQ(file->truncate(100 * 4096), 0);
    EXPECT_EQ(mapping.at(50 * 4096), '\0');
}

TEST_F(FileTruncate, APinHoldsItOffAndNothingChanges)
{
    file->write(0, pattern(50000));
    FakeMapping mapping(mm, *file);
    u64 pfn = 0;
    ASSERT_EQ(mapping.pin(5, TARN_FAULT_WRITE, &pfn), 0);
    const u64 free = fs->free_blocks();
    EXPECT_EQ(file->truncate(4 * 4096), -EBUSY);
    EXPECT_EQ(file->size(), 50000u);
    EXPECT_EQ(fs->free_blocks(), free);
    EXPECT_EQ(file->truncate(5 * 4096 + 1), 0) << "the pinned page stays in the file";
    EXPECT_EQ(file->truncate(5 * 4096), -EBUSY);
    mm.unpin(pfn);
    EXPECT_EQ(file->truncate(5 * 4096), 0);
}

TEST_F(FileTruncate, IsDurableWhenItReturns)
{
    file->write(0, pattern(50000));
    DurableImage durable(device);
    file->truncate(12345);
    EXPECT_EQ(contents_after_crash(durable), pattern(50000).substr(0, 12345));
    file->truncate(20000);
    EXPECT_EQ(contents_after_crash(durable), pattern(50000).substr(0, 12345) + zeroes(20000 - 12345));
}

// At every fence of a truncation and of what makes use of the freed space: the old or the new file, never a mixture.
TEST_F(FileTruncate, ACrashShowsTheOldOrTheNewFile)
{
    const std::string before = std::string(30000, 'o');
    const std::string after = before.substr(0, 5001);
    for (u64 nth = 1; nth < 20; nth++) {
        file->truncate(0);
        file->write(0, before);
        DurableImage durable(device);
        durable.remember_before_fence(nth);
        file->truncate(5001);
        const u64 fences = durable.fences();
        file->truncate(9000);
        if (durable.fences() < nth)
            break;
        std::string found = contents_of_image(durable.remembered());
        if (nth <= fences)
            EXPECT_TRUE(found == before || found == after) << nth << ": " << found.size();
        else
            EXPECT_TRUE(found == after || found == after + zeroes(9000 - 5001)) << nth << ": " << found.size();
    }
}

// More extents than one record can free.
TEST_F(FileTruncate, AFileOfManyPiecesGoesInSteps)
{
    constexpr u64 kPieces = 3000;
    auto other = fs->create(mm, "other");
    const u64 free = fs->free_blocks();
    for (u64 i = 0; i < kPieces; i++) {
        ASSERT_EQ(file->write(i * 8192, std::string("x")), 1);
        ASSERT_EQ(other->write(i * 8192, std::string("y")), 1);
    }
    DurableImage durable(device);
    u64 fences = durable.fences();
    EXPECT_EQ(file->truncate(10), 0);
    u64 steps = durable.fences() - fences;
    EXPECT_GT(steps, 2u);
    EXPECT_EQ(file->contents(), "x" + zeroes(9));
    // Crashes in the middle: the new size, and the mount frees the rest.
    std::string expected = "x" + zeroes(9);
    for (u64 nth : {u64{2}, steps / 2, steps}) {
        for (u64 i = 1; i < kPieces; i++)
            file->write(i * 8192, std::string("x"));
        file->write(0, std::string("x"));
        DurableImage again(device);
        again.remember_before_fence(nth);
        EXPECT_EQ(file->truncate(10), 0);
        EXPECT_EQ(contents_of_image(again.remembered()), expected) << nth;
    }
    EXPECT_EQ(file->truncate(0), 0);
    fs->unlink("other", *other);
    other.reset();
    EXPECT_EQ(fs->free_blocks(), free);
}

TEST_F(FileTruncate, NoMemoryLeavesAFileThatIsWhole)
{
    std::string text = pattern(60000);
    FakeMapping mapping(mm, *file);
    int failures = 0;
    for (long countdown = 0;; countdown++) {
        file->truncate(0);
        file->write(0, text);
        const char value = static_cast<char>('A' + countdown);  // differs from what is there each time
        ASSERT_EQ(mapping.store(50000, value), 0);
        text[50000] = value;
        DurableImage durable(device);
        LogCapture log;
        host::fail_allocation_after(countdown);
        int error = file->truncate(20000);
        host::fail_allocation_after(-1);
        if (!error)
            break;
        failures++;
        ASSERT_EQ(error, -ENOMEM);
        ASSERT_EQ(file->contents(), text);
        ASSERT_EQ(file->sync(), 0);
        ASSERT_EQ(contents_after_crash(durable), text) << "what was stored through the mapping is durable after a sync";
    }
    EXPECT_GT(failures, 1);
    EXPECT_EQ(file->contents(), text.substr(0, 20000));
    ASSERT_EQ(file->truncate(60000), 0);
    EXPECT_EQ(file->contents(), text.substr(0, 20000) + zeroes(40000));
}

// The size is committed before the rest of its block is zeroed: a failure of that is no failure of the
// truncation, or the caller would go on with the old size.
TEST_F(FileTruncate, DamageFoundBehindTheNewEndDoesNotUndoTheSize)
{
    file->write(0, pattern(3 * 4096));
    auto* record =
        reinterpret_cast<tarnfs_inode*>(device.bytes() + InodeObject::of(file->inode()).inode.record.value);
    device.set_observer({record, [](void* context, const host::Event& event) {
                             if (event.kind == host::Event::Kind::kFence)  // of the commit
                                 static_cast<tarnfs_inode*>(context)->root[0] ^= 1;
                             return 0;
                         }});
    LogCapture log;
    EXPECT_EQ(file->truncate(5000), 0);
    device.set_observer({});
    record->root[0] ^= 1;
    EXPECT_EQ(file->size(), 5000u);
    EXPECT_TRUE(log.contains("not cleared behind its end"));
    EXPECT_EQ(file->contents(), pattern(3 * 4096).substr(0, 5000));
}
