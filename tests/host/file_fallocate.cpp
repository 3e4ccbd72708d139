// SPDX-License-Identifier: GPL-2.0
// fallocate(2): allocating, punching, zeroing; and what write, fault and truncation make of unwritten blocks.
// (Power cuts: file_fallocate_powercut.cpp.)
#include <cstring>
#include <random>
#include <thread>

#include "tests/host/file_fixture.hpp"
#include "tests/host/support/random.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kB = kBlockSize;

class FileFallocate : public FileTest {
  protected:
    FileFallocate() : FileTest(16384) {}
    DirtyTracker& tracker() { return InodeObject::of(file->inode()).tracker; }
    // Free blocks are full of 'S', so that one that shows is seen.
    void spoil()
    {
        auto spoiled = fs->create(mm, "spoiled");
        spoiled->write(0, std::string((fs->free_blocks() - 600) * kB, 'S'));
        fs->unlink("spoiled", *spoiled);
    }
    // Another file takes what space is left for ordinary operations.
    std::unique_ptr<FakeFile> fill_up()
    {
        auto hog = fs->create(mm, "hog");
        const std::string megabyte(1 << 20, 'h');
        while (hog->write(hog->size(), megabyte) > 0) {
        }
        while (hog->write(hog->size(), std::string(kB, 'h')) > 0) {
        }
        return hog;
    }
};

}  // namespace

TEST_F(FileFallocate, AllocatedBlocksAreTakenAndReadAsZeroes)
{
    spoil();
    const u64 free = fs->free_blocks();
    ASSERT_EQ(file->allocate(5000, 50 * kB), 0);
    EXPECT_EQ(file->size(), 5000 + 50 * kB);
    EXPECT_EQ(file->blocks(), 51u);
    EXPECT_EQ(fs->free_blocks(), free - 51);
    EXPECT_EQ(file->contents(), zeroes(5000 + 50 * kB));
    EXPECT_EQ(file->seek(0, TARN_SEEK_DATA), -ENXIO);
    EXPECT_EQ(file->seek(0, TARN_SEEK_HOLE), 0);
    ASSERT_EQ(file->allocate(0, 60 * kB), 0);
    EXPECT_EQ(file->blocks(), 60u);
    ASSERT_EQ(file->allocate(0, 60 * kB), 0) << "again: there is nothing to do";
    remount();
    EXPECT_EQ(file->blocks(), 60u);
    EXPECT_EQ(file->contents(), zeroes(60 * kB));
}

TEST_F(FileFallocate, ExtentsAreWhatIsMapped)
{
    file->write(0, pattern(3 * kB));
    ASSERT_EQ(file->truncate(20 * kB), 0);
    ASSERT_EQ(file->allocate(10 * kB, 2 * kB), 0);
    ASSERT_EQ(file->allocate_keeping_size(30 * kB, kB), 0);
    const u64 wanted[][4] = {{0, 0, 3, 0}, {1, 1, 2, 0}, {3, 10, 2, 1}, {11, 11, 1, 1}, {12, 30, 1, 1}};
    for (const auto& [from, block, count, unwritten] : wanted) {
        tarn_extent found = {};
        ASSERT_EQ(tarn_file_extent(file->inode(), from, &found), 1) << from;
        EXPECT_EQ(found.block, block);
        EXPECT_EQ(found.count, count);
        EXPECT_EQ(found.unwritten, static_cast<int>(unwritten));
        if (!unwritten) {
            EXPECT_EQ(std::memcmp(mm.page(device.device().first_pfn + found.device_block),
                                  pattern(3 * kB).data() + from * kB, kB),
                      0);
        }
    }
    tarn_extent found = {};
    EXPECT_EQ(tarn_file_extent(file->inode(), 31, &found), 0);
    EXPECT_EQ(tarn_file_extent(file->inode(), ~0ull >> 12, &found), 0);
}

TEST_F(FileFallocate, OnlyWhatIsWrittenIsAnOverwrite)
{
    file->write(0, pattern(3 * kB));
    ASSERT_EQ(file->truncate(20 * kB), 0);
    ASSERT_EQ(file->allocate(4 * kB, kB), 0);
    const auto overwrites = [&](u64 offset, u64 length) {
        return tarn_file_is_overwrite(file->inode(), offset, length) != 0;
    };
    EXPECT_TRUE(overwrites(0, 3 * kB) && overwrites(5, 10) && overwrites(3 * kB - 1, 1));
    EXPECT_FALSE(overwrites(3 * kB - 1, 2) || overwrites(3 * kB, 1)) << "a hole";
    EXPECT_FALSE(overwrites(4 * kB, 1)) << "unwritten";
    ASSERT_EQ(file->truncate(2 * kB + 100), 0);
    EXPECT_TRUE(overwrites(2 * kB, 100));
    EXPECT_FALSE(overwrites(2 * kB, 101) || overwrites(3 * kB, ~0ull)) << "behind the end";
}

TEST_F(FileFallocate, AWriteConvertsWhatItWrites)
{
    spoil();
    ASSERT_EQ(file->allocate(0, 40 * kB), 0);
    const u64 free = fs->free_blocks();
    std::string model = zeroes(40 * kB);
    for (auto [offset, length] :
         {std::pair<u64, u64>{10 * kB + 7, 100}, {20 * kB - 1, kB + 2}, {0, kB}, {39 * kB + 1, kB - 1}}) {
        const std::string bytes = pattern(length);
        ASSERT_EQ(file->write(offset, bytes), static_cast<long long>(length));
        model.replace(offset, length, bytes);
        ASSERT_EQ(file->contents(), model);
    }
    EXPECT_EQ(fs->free_blocks(), free - 1) << "a tree node: so many extents do not fit the inode";
    EXPECT_EQ(file->blocks(), 41u);
    EXPECT_EQ(file->seek(0, TARN_SEEK_HOLE), static_cast<long long>(kB));
    EXPECT_EQ(file->seek(kB, TARN_SEEK_DATA), static_cast<long long>(10 * kB));
    EXPECT_EQ(file->seek(11 * kB, TARN_SEEK_DATA), static_cast<long long>(19 * kB));
    EXPECT_EQ(file->seek(19 * kB, TARN_SEEK_HOLE), static_cast<long long>(22 * kB));
    remount();
    EXPECT_EQ(file->contents(), model);
}

// Short copies, and a source that is a mapping of the very blocks.
TEST_F(FileFallocate, AShortCopyConvertsWhatItCopied)
{
    spoil();
    ASSERT_EQ(file->allocate(0, 64 * kB), 0);
    std::string bytes = pattern(50 * kB);
    tarn_user from;
    from.data = reinterpret_cast<std::byte*>(bytes.data());
    from.length = bytes.size();
    from.resident = 5000;
    from.fault_in_limit = 30000;
    ASSERT_EQ(file->write(kB, from, bytes.size()), static_cast<long long>(bytes.size()));
    EXPECT_EQ(file->contents(), zeroes(kB) + bytes + zeroes(13 * kB));
    FakeMapping mapping(mm, *file);
    tarn_user itself;
    itself.mapping = &mapping;
    itself.mapping_offset = 52 * kB;
    ASSERT_EQ(mapping.store(52 * kB + 3, "same file", 9), 0);
    ASSERT_EQ(file->write(58 * kB, itself, 2 * kB), static_cast<long long>(2 * kB));
    EXPECT_EQ(file->read(58 * kB, 12), zeroes(3) + "same file");
}

TEST_F(FileFallocate, AStoreConvertsItsBlock)
{
    spoil();
    ASSERT_EQ(file->allocate(0, 16 * kB), 0);
    FakeMapping one(mm, *file), two(mm, *file);
    EXPECT_EQ(two.at(5 * kB + 1), '\0');
    EXPECT_TRUE(two.is_zero_page(5));
    const u64 free = fs->free_blocks();
    ASSERT_EQ(one.store(5 * kB + 1, 'x'), 0);
    EXPECT_FALSE(two.is_mapped(5)) << "nobody keeps the zero page";
    EXPECT_EQ(two.at(5 * kB + 1), 'x');
    EXPECT_EQ(two.at(5 * kB + 2), '\0');
    EXPECT_EQ(fs->free_blocks(), free);
    EXPECT_EQ(file->seek(0, TARN_SEEK_DATA), static_cast<long long>(5 * kB));
    EXPECT_EQ(file->seek(5 * kB, TARN_SEEK_HOLE), static_cast<long long>(6 * kB));
    EXPECT_EQ(file->contents(), zeroes(5 * kB + 1) + "x" + zeroes(11 * kB - 2));
}

TEST_F(FileFallocate, BlocksBehindTheEndWaitForTheFileToGrow)
{
    spoil();
    file->write(0, pattern(1000));
    ASSERT_EQ(file->allocate_keeping_size(0, 30 * kB), 0);
    EXPECT_EQ(file->size(), 1000u);
    EXPECT_EQ(file->blocks(), 30u);
    FakeMapping mapping(mm, *file);
    EXPECT_EQ(mapping.store(5 * kB, 'x'), -ENXIO);
    remount();
    const u64 free = fs->free_blocks();
    EXPECT_EQ(file->blocks(), 30u) << "a mount keeps them";
    ASSERT_EQ(file->truncate(3 * kB), 0);
    EXPECT_EQ(file->blocks(), 30u) << "growing keeps them";
    file->write(10 * kB + 5, pattern(100));
    EXPECT_EQ(file->contents(), pattern(1000) + zeroes(10 * kB + 5 - 1000) + pattern(100));
    EXPECT_EQ(fs->free_blocks(), free);
    ASSERT_EQ(file->truncate(file->size()), 0);
    EXPECT_EQ(file->blocks(), 11u) << "truncating to the same size frees them";
    ASSERT_EQ(file->allocate_keeping_size(20 * kB, 10 * kB), 0);
    ASSERT_EQ(file->truncate(500), 0);
    EXPECT_EQ(file->blocks(), 1u);
    EXPECT_EQ(file->contents(), pattern(1000).substr(0, 500));
}

TEST_F(FileFallocate, GrowingZeroesBehindTheOldEnd)
{
    for (int kind = 0; kind < 2; kind++) {
        file->truncate(0);
        file->write(0, pattern(1000));
        FakeMapping mapping(mm, *file);
        DurableImage durable(device);
        ASSERT_EQ(mapping.store(1000, std::string(3000, 'G').data(), 3000), 0);
        ASSERT_EQ(kind ? file->zero(6000, 4000) : file->allocate(6000, 4000), 0);
        EXPECT_EQ(file->contents(), pattern(1000) + zeroes(9000));
        EXPECT_EQ(contents_after_crash(durable), pattern(1000) + zeroes(9000));
    }
}

TEST_F(FileFallocate, PunchingFreesBlocksAndZeroesParts)
{
    const std::string text = pattern(50 * kB);
    file->write(0, text);
    FakeMapping mapping(mm, *file);
    for (u64 block = 0; block < 50; block++)
        ASSERT_EQ(mapping.store(block * kB, text.data() + block * kB, 8), 0);
    const u64 free = fs->free_blocks();
    std::string model = text;
    auto punch = [&](u64 offset, u64 length) {
        ASSERT_EQ(file->punch(offset, length), 0);
        if (offset < model.size())
            model.replace(offset, min<u64>(length, model.size() - offset),
                          zeroes(min<u64>(length, model.size() - offset)));
        ASSERT_EQ(file->contents(), model) << offset;
        for (u64 block = 0; block < 50; block++)
            ASSERT_EQ(mapping.at(block * kB + 9), model[block * kB + 9]) << offset << ", " << block;
    };
    punch(10 * kB, 5 * kB);
    EXPECT_EQ(fs->free_blocks(), free + 5);
    EXPECT_EQ(tracker().numbers().entries, 45u);
    punch(20 * kB + 100, 50);
    punch(22 * kB - 5, 10);
    punch(25 * kB - 5, 2 * kB + 10);
    EXPECT_EQ(fs->free_blocks(), free + 7);
    punch(48 * kB + 1, 100 * kB);
    EXPECT_EQ(fs->free_blocks(), free + 8);
    EXPECT_EQ(file->size(), 50 * kB);
    punch(0, 50 * kB);
    EXPECT_EQ(file->blocks(), 0u);
    EXPECT_EQ(file->seek(0, TARN_SEEK_DATA), -ENXIO);
    ASSERT_EQ(mapping.store(12 * kB, 'n'), 0);
    EXPECT_EQ(file->read(12 * kB, 2), std::string("n") + '\0');
}

// The last block is whole as far as the file goes; what fallocate put behind the end goes, too.
TEST_F(FileFallocate, PunchingReachesBehindTheEnd)
{
    file->write(0, pattern(3 * kB + 100));
    ASSERT_EQ(file->allocate_keeping_size(0, 20 * kB), 0);
    ASSERT_EQ(file->punch(3 * kB, 100), 0);
    EXPECT_EQ(file->blocks(), 19u);
    ASSERT_EQ(file->punch(10 * kB, 10 * kB), 0);
    EXPECT_EQ(file->blocks(), 9u);
    EXPECT_EQ(file->size(), 3 * kB + 100);
    EXPECT_EQ(file->contents(), pattern(3 * kB) + zeroes(100));
    ASSERT_EQ(file->punch(TARN_FILE_SIZE_MAX - 10, 10), 0);
}

TEST_F(FileFallocate, ZeroingKeepsBlocksAndFillsHoles)
{
    const std::string text = pattern(50 * kB);
    file->write(0, text);
    file->punch(20 * kB, 5 * kB);
    FakeMapping mapping(mm, *file);
    for (u64 block = 0; block < 50; block++)
        ASSERT_EQ(mapping.store(block * kB + 1, 'x'), 0);
    file->punch(20 * kB, 5 * kB);
    const u64 free = fs->free_blocks();
    std::string model = file->contents();
    ASSERT_EQ(file->zero(10 * kB + 10, 20 * kB), 0);
    model.replace(10 * kB + 10, 20 * kB, zeroes(20 * kB));
    EXPECT_EQ(file->contents(), model);
    EXPECT_EQ(fs->free_blocks(), free - 5) << "the holes have blocks now";
    EXPECT_EQ(file->blocks(), 50u);
    for (u64 block = 0; block < 50; block++)
        ASSERT_EQ(mapping.at(block * kB + 1), model[block * kB + 1]) << block;
    EXPECT_EQ(file->seek(11 * kB, TARN_SEEK_DATA), static_cast<long long>(30 * kB));
    ASSERT_EQ(file->zero(45 * kB, 20 * kB, FakeFile::KeepSize::kYes), 0);
    EXPECT_EQ(file->size(), 50 * kB);
    EXPECT_EQ(file->blocks(), 65u);
    ASSERT_EQ(file->zero(45 * kB, 20 * kB + 1), 0);
    EXPECT_EQ(file->size(), 65 * kB + 1);
    model.resize(45 * kB);
    model.resize(65 * kB + 1);
    EXPECT_EQ(file->contents(), model);
    ASSERT_EQ(mapping.store(12 * kB, 'n'), 0);
    model[12 * kB] = 'n';
    EXPECT_EQ(file->contents(), model);
}

TEST_F(FileFallocate, ZeroesInOneBlock)
{
    const std::string text = pattern(2 * kB);
    for (u64 kind = 0; kind < 2; kind++) {
        file->write(0, text);
        std::string model = text;
        for (auto [offset, length] : {std::pair<u64, u64>{0, 1}, {4095, 1}, {100, 8}, {4095, 2}}) {
            ASSERT_EQ(kind ? file->punch(offset, length) : file->zero(offset, length), 0);
            model.replace(offset, length, zeroes(length));
            EXPECT_EQ(file->contents(), model) << offset;
            EXPECT_EQ(file->blocks(), 2u);
        }
    }
}

TEST_F(FileFallocate, APinHoldsItOffAndNothingChanges)
{
    const std::string text = pattern(50000);
    file->write(0, text);
    FakeMapping mapping(mm, *file);
    u64 pfn = 0;
    ASSERT_EQ(mapping.pin(5, TARN_FAULT_WRITE, &pfn), 0);
    const u64 free = fs->free_blocks();
    EXPECT_EQ(file->punch(4 * kB + 5, 3 * kB), -EBUSY);
    EXPECT_EQ(file->zero(4 * kB + 5, 3 * kB), -EBUSY);
    EXPECT_EQ(file->contents(), text);
    EXPECT_EQ(fs->free_blocks(), free);
    EXPECT_EQ(file->punch(6 * kB, 2 * kB), 0) << "others go";
    EXPECT_EQ(file->punch(5 * kB + 1, kB), 0) << "a pinned page stays in the file when part of it is zeroed";
    EXPECT_EQ(file->allocate(0, 100000), 0) << "allocating takes nothing away";
    mm.unpin(pfn);
    EXPECT_EQ(file->punch(5 * kB, kB), 0);
}

// A4. Every second block of a large file, so that each conversion makes the map grow.
TEST_F(FileFallocate, ConvertsOnAFullFileSystem)
{
    const u64 blocks = fs->free_blocks() * 9 / 10;
    ASSERT_EQ(file->allocate(0, blocks * kB), 0);
    auto hog = fill_up();
    EXPECT_EQ(hog->write(hog->size(), std::string(kB, 'h')), -ENOSPC);
    std::vector<u64> order;
    for (u64 block = 0; block < blocks; block += 2)
        order.push_back(block);
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(seed)));
    FakeMapping mapping(mm, *file);
    for (u64 i = 0; i < order.size(); i++) {
        if (i % 2)
            ASSERT_EQ(mapping.store(order[i] * kB, 'c'), 0) << i << " of " << order.size();
        else
            ASSERT_EQ(file->write(order[i] * kB, std::string("c")), 1) << i << " of " << order.size();
    }
    for (u64 block = 0; block < blocks; block += 97)
        ASSERT_EQ(file->read(block * kB, 2), std::string(1, block % 2 ? '\0' : 'c') + '\0');
    ASSERT_EQ(file->zero(0, blocks * kB), 0);
    EXPECT_EQ(file->read(0, 2), zeroes(2));
}

TEST_F(FileFallocate, NoSpaceLeavesWhatWasAllocated)
{
    file->write(0, pattern(100));
    const u64 free = fs->free_blocks();
    EXPECT_EQ(file->allocate(0, free * kB + kB), -ENOSPC);
    EXPECT_EQ(file->size(), 100u);
    EXPECT_LT(fs->free_blocks(), free / 10);
    EXPECT_EQ(file->contents(), pattern(100));
    EXPECT_EQ(file->truncate(100), 0);
    EXPECT_EQ(fs->free_blocks(), free);
    // Zeroes, even where there is no space for all of it.
    file->write(10 * kB, pattern(kB));
    EXPECT_EQ(file->zero(0, free * kB + kB), -ENOSPC);
    EXPECT_EQ(file->contents(), zeroes(11 * kB));
}

TEST_F(FileFallocate, Limits)
{
    EXPECT_EQ(file->allocate(TARN_FILE_SIZE_MAX, 1), -EFBIG);
    EXPECT_EQ(file->allocate(1, TARN_FILE_SIZE_MAX), -EFBIG);
    EXPECT_EQ(file->allocate(TARN_FILE_SIZE_MAX - 1, 1), 0);
    EXPECT_EQ(file->size(), TARN_FILE_SIZE_MAX);
    EXPECT_EQ(file->blocks(), 1u);
    EXPECT_EQ(file->write(TARN_FILE_SIZE_MAX - 1, std::string("x")), 1);
    EXPECT_EQ(file->seek(0, TARN_SEEK_DATA), static_cast<long long>(TARN_FILE_SIZE_MAX - kB));
    EXPECT_EQ(file->zero(0, 10 * kB), 0);
    EXPECT_EQ(file->punch(0, TARN_FILE_SIZE_MAX), 0);
    EXPECT_EQ(file->blocks(), 0u);
}

// What takes more than one record can be left off between any two; the mappings' stores are not lost.
TEST_F(FileFallocate, AChainMayEndAfterEachStep)
{
    constexpr u64 kPieces = 3000;
    auto other = fs->create(mm, "other");
    for (u64 i = 0; i < kPieces; i++) {
        ASSERT_EQ(file->write(i * 2 * kB, std::string("x")), 1);
        ASSERT_EQ(other->write(i * 2 * kB, std::string("y")), 1);
    }
    FakeMapping mapping(mm, *file);
    for (u64 i = 0; i < kPieces; i += 10)
        ASSERT_EQ(mapping.store(i * 2 * kB + 1, 'm'), 0);
    std::string before = file->contents();
    DurableImage durable(device);
    for (auto kind : {TARN_FALLOCATE_ZERO, TARN_FALLOCATE_PUNCH}) {
        ASSERT_EQ(file->fallocate(kind, FakeFile::KeepSize::kYes, kB, before.size(), 2), 1);
        const std::string found = file->contents();
        EXPECT_EQ(contents_after_crash(durable), found);
        u64 zeroed = 0;
        for (u64 i = 1; i < kPieces; i++) {
            const std::string now = found.substr(i * 2 * kB, 2);
            if (now == zeroes(2))
                zeroed++;
            else
                ASSERT_EQ(now, before.substr(i * 2 * kB, 2));
        }
        EXPECT_GT(zeroed, 10u);
        EXPECT_LT(zeroed, kPieces - 10);
        before = found;
    }
    EXPECT_EQ(check_as_is(device).text(), "");
    ASSERT_EQ(file->punch(0, before.size()), 0);
    EXPECT_EQ(file->blocks(), 0u);
}

// Faults fill holes while fallocate makes them unwritten: each block is allocated once, no store is lost.
TEST_F(FileFallocate, FaultsGoOnWhileItAllocates)
{
    constexpr u64 kBlocks = 400;
    for (int round = 0; round < 5; round++) {
        file->truncate(0);
        file->truncate(kBlocks * kB);
        FakeMapping mapping(mm, *file);
        std::thread storer([&] {
            for (u64 block = 0; block < kBlocks; block++)
                EXPECT_EQ(mapping.store(block * 7 % kBlocks * kB + 5, 's'), 0);
        });
        for (u64 block = 0; block < kBlocks; block += 3)
            EXPECT_EQ(file->allocate(block * kB, 3 * kB), 0);
        storer.join();
        file->truncate(kBlocks * kB);
        EXPECT_EQ(file->seek(0, TARN_SEEK_HOLE), static_cast<long long>(kBlocks * kB));
        for (u64 block = 0; block < kBlocks; block++)
            ASSERT_EQ(mapping.at(block * kB + 5), 's');
    }
}

TEST_F(FileFallocate, NoMemoryLeavesAFileThatIsWhole)
{
    const std::string text = pattern(60000);
    for (auto kind : {TARN_FALLOCATE_KEEP, TARN_FALLOCATE_ZERO, TARN_FALLOCATE_PUNCH}) {
        int failures = 0;
        for (long countdown = 0;; countdown++) {
            file->truncate(0);
            file->write(0, text);
            file->punch(3 * kB, kB);
            FakeMapping mapping(mm, *file);
            ASSERT_EQ(mapping.store(5 * kB, 'm'), 0);
            const std::string before = file->contents();
            std::string after = before;
            if (kind != TARN_FALLOCATE_KEEP)
                after.replace(100, 50000, zeroes(50000));
            DurableImage durable(device);
            LogCapture log;
            host::fail_allocation_after(countdown);
            const int error = file->fallocate(kind, FakeFile::KeepSize::kYes, 100, 50000);
            host::fail_allocation_after(-1);
            if (!error) {
                ASSERT_EQ(file->contents(), after);
                break;
            }
            failures++;
            ASSERT_EQ(error, -ENOMEM);
            const std::string found = file->contents();
            for (u64 at = 0; at < found.size(); at++)
                ASSERT_TRUE(found[at] == before[at] || found[at] == after[at]) << at;
            ASSERT_EQ(file->sync(), 0);
            ASSERT_EQ(contents_after_crash(durable), found);
        }
        EXPECT_GT(failures, 1);
    }
}
