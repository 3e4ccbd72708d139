// SPDX-License-Identifier: GPL-2.0
// Faults of 2 MiB: what they map, what fsync makes of it, and what truncation, holes, writes and pins do to
// it.
#include <random>
#include <thread>

#include "tests/host/file_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kHuge = kHugeEntry * kBlockSize;  // 2 MiB

class FileHuge : public FileTest {
  protected:
    FileHuge() : FileTest(32768) {}

    DirtyTracker& tracker() { return InodeObject::of(file->inode()).tracker; }
    std::unique_ptr<FakeMapping> map()
    {
        auto mapping = std::make_unique<FakeMapping>(mm, *file);
        mapping->allow_huge();
        return mapping;
    }
    u64 count(tarn_count what) { return tarn_fs_counted(fs->fs(), what); }
    u64 served()
    {
        return count(TARN_COUNT_HUGE_READ) + count(TARN_COUNT_HUGE_WRITE) + count(TARN_COUNT_HUGE_MKWRITE);
    }
    u64 lines_of_sync()
    {
        const u64 before = device.counters().written_back_lines.load_relaxed();
        EXPECT_EQ(file->sync(), 0);
        return device.counters().written_back_lines.load_relaxed() - before;
    }
    // 2 MiB of the file, from block `first` on, mapped writable by one PMD.
    std::unique_ptr<FakeMapping> dirty_huge(u64 blocks = kHugeEntry)
    {
        file->truncate(blocks * kBlockSize);
        auto mapping = map();
        for (u64 block = 0; block < blocks; block += kHugeEntry)
            EXPECT_EQ(mapping->store(block * kBlockSize, 'h'), 0);
        EXPECT_TRUE(mapping->is_huge(0));
        return mapping;
    }
};

}  // namespace

TEST_F(FileHuge, AHoleIsMappedOnceAndTheFirstStoreReplacesItEverywhere)
{
    file->truncate(2 * kHuge);
    auto one = map(), two = map();
    EXPECT_EQ(one->at(kHuge + 5000), '\0');
    EXPECT_EQ(two->at(2 * kHuge - 1), '\0');
    EXPECT_TRUE(one->is_huge(512) && one->is_zero_page(1023));
    EXPECT_FALSE(one->is_mapped(511));
    EXPECT_EQ(file->blocks(), 0u);
    EXPECT_TRUE(tracker().empty());
    const u64 fences = device.counters().fences.load_relaxed();
    ASSERT_EQ(one->store(kHuge + 4096, 'x'), 0);
    EXPECT_EQ(device.counters().fences.load_relaxed() - fences, 2u);
    EXPECT_TRUE(one->is_huge(512) && one->is_writable(1023));
    EXPECT_FALSE(two->is_mapped(512));
    EXPECT_EQ(two->at(kHuge + 4096), 'x');
    EXPECT_FALSE(two->is_writable(513));
    EXPECT_EQ(file->blocks(), 512u);
    EXPECT_EQ(tracker().numbers().entries, 1u);
    EXPECT_EQ(file->read(kHuge, kHuge), zeroes(4096) + 'x' + zeroes(kHuge - 4097));
    EXPECT_EQ(one->faults(), 2u);
    EXPECT_EQ(served(), 4u);
}

TEST_F(FileHuge, WhatWasThereBeforeIsNotShown)
{
    auto other = fs->create(mm, "other");
    other->write(0, std::string(6 * kHuge, 's'));
    fs->unlink("other", *other);
    other.reset();
    DurableImage durable(device);
    dirty_huge(4 * kHugeEntry);
    EXPECT_EQ(file->contents(), [] {
        std::string piece = "h" + zeroes(kHuge - 1);
        return piece + piece + piece + piece;
    }());
    EXPECT_EQ(contents_after_crash(durable), zeroes(4 * kHuge))
        << "allocated and durable, what was stored is not";
}

TEST_F(FileHuge, AllocatedSpaceIsMadeWrittenAtOnce)
{
    ASSERT_EQ(file->allocate(0, 2 * kHuge), 0);
    auto mapping = map();
    EXPECT_EQ(mapping->at(7), '\0');
    EXPECT_TRUE(mapping->is_huge(0) && mapping->is_zero_page(0));
    ASSERT_EQ(mapping->store(kHuge, 'x'), 0);
    EXPECT_TRUE(mapping->is_huge(512));
    EXPECT_EQ(file->seek(0, TARN_SEEK_DATA), static_cast<long long>(kHuge));
    EXPECT_EQ(file->blocks(), 1024u);
    ASSERT_EQ(mapping->store(0, 'y'), 0);
    EXPECT_EQ(file->contents(), "y" + zeroes(kHuge - 1) + "x" + zeroes(kHuge - 1));
}

TEST_F(FileHuge, WhyNotIsCounted)
{
    auto mapping = map();
    file->truncate(kHuge - kBlockSize);
    EXPECT_EQ(mapping->at(0), '\0');
    EXPECT_EQ(count(TARN_COUNT_FALLBACK_END), 1u);
    EXPECT_FALSE(mapping->is_huge(0));
    file->truncate(4 * kHuge);
    FakeMapping small(mm, *file);
    ASSERT_EQ(small.store(kHuge, 'x'), 0);
    mapping->at(kHuge);
    EXPECT_EQ(count(TARN_COUNT_FALLBACK_ENTRIES), 1u);
    file->write(2 * kHuge, "w");
    mapping->at(2 * kHuge + kBlockSize);
    EXPECT_EQ(count(TARN_COUNT_FALLBACK_SCATTERED), 1u);
    mm.fail_huge_zero();
    mapping->at(3 * kHuge);
    EXPECT_EQ(count(TARN_COUNT_FALLBACK_NO_MEMORY), 1u);
    EXPECT_EQ(served(), 0u);
    auto hog = fs->create(mm, "hog");
    while (hog->write(hog->size(), pattern(1 << 20)) > 0)
        ;
    ASSERT_EQ(hog->truncate(hog->size() - 300 * kBlockSize), 0);
    auto late = map();
    ASSERT_EQ(late->store(3 * kHuge, 'x'), 0);
    EXPECT_EQ(count(TARN_COUNT_FALLBACK_NO_SPACE), 1u);
    EXPECT_EQ(late->at(3 * kHuge), 'x');
    EXPECT_FALSE(late->is_huge(3 * 512));
}

TEST_F(FileHuge, ASyncWritesTheWholeOfItBackAndForgetsIt)
{
    auto mapping = dirty_huge(2 * kHugeEntry);
    FakeMapping child(mm, *file);
    child.copy_from(*mapping);
    ASSERT_EQ(mapping->store(kHuge - 1, 'e'), 0);
    DurableImage durable(device);
    EXPECT_EQ(lines_of_sync(), 2 * kHuge / 64);
    EXPECT_EQ(contents_after_crash(durable), file->contents());
    EXPECT_FALSE(mapping->is_mapped(0) || child.is_mapped(0));
    EXPECT_TRUE(tracker().empty());
    EXPECT_EQ(lines_of_sync(), 0u);
    ASSERT_EQ(mapping->store(0, 'i'), 0);
    EXPECT_TRUE(mapping->is_huge(0));
    EXPECT_EQ(file->sync(5 * kBlockSize, 6 * kBlockSize), 0);
    EXPECT_EQ(contents_after_crash(durable)[0], 'i') << "any block of it stands for all";
}

TEST_F(FileHuge, EntriesAreCountedWhileTheyLast)
{
    auto entries = [&] { return std::pair(count(TARN_COUNT_ENTRIES), count(TARN_COUNT_HUGE_ENTRIES)); };
    auto dirty = [&] { return std::pair(count(TARN_COUNT_DIRTY), count(TARN_COUNT_HUGE_DIRTY)); };
    using Pair = std::pair<u64, u64>;
    auto mapping = dirty_huge(2 * kHugeEntry);
    auto small = std::make_unique<FakeMapping>(mm, *file);
    EXPECT_EQ(entries(), Pair(0, 2));
    EXPECT_EQ(dirty(), Pair(0, 2));
    ASSERT_EQ(file->truncate(kHuge + 100 * kBlockSize), 0);
    EXPECT_EQ(entries(), Pair(100, 1)) << "one of them is cut";
    EXPECT_EQ(dirty(), Pair(100, 1));
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(entries(), Pair(0, 0));
    EXPECT_EQ(dirty(), Pair(0, 0));
    mapping->at(0);
    small->at(kHuge);
    EXPECT_EQ(entries(), Pair(1, 1));
    EXPECT_EQ(dirty(), Pair(0, 0));
    mapping.reset();
    small.reset();
    file.reset();
    EXPECT_EQ(entries(), Pair(0, 0));
}

TEST_F(FileHuge, AStoreDuringASyncIsNotForgotten)
{
    auto mapping = dirty_huge(2 * kHugeEntry);
    DurableImage durable(device);
    int zaps = 0;
    mm.hook = [&](const char* what) {
        if (what == std::string("zap") && ++zaps == 2) {
            EXPECT_EQ(mapping->store(100, 'b'), 0);
        }
    };
    ASSERT_EQ(file->sync(), 0);
    mm.hook = nullptr;
    EXPECT_EQ(zaps, 2);
    EXPECT_EQ(tracker().numbers().dirty, 1u);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable)[100], 'b');
}

TEST_F(FileHuge, AMappingOf4KiBSharesTheEntry)
{
    auto mapping = dirty_huge();
    ASSERT_EQ(file->sync(), 0);
    mapping->at(0);
    ASSERT_TRUE(mapping->is_huge(0));
    FakeMapping small(mm, *file);
    small.fault_around(16);
    EXPECT_EQ(small.at(20 * kBlockSize), '\0');
    EXPECT_TRUE(small.is_mapped(16) && small.is_mapped(31) && !small.is_mapped(32) && !small.is_mapped(15));
    EXPECT_EQ(tracker().numbers().entries, 1u);
    ASSERT_EQ(small.store(20 * kBlockSize, 's'), 0);
    EXPECT_FALSE(mapping->is_writable(0));
    EXPECT_EQ(mapping->at(20 * kBlockSize), 's');
    DurableImage durable(device);
    EXPECT_EQ(lines_of_sync(), kHuge / 64);
    EXPECT_FALSE(small.is_mapped(20));
    EXPECT_EQ(contents_after_crash(durable)[20 * kBlockSize], 's');
}

TEST_F(FileHuge, ACutInTheMiddleKeepsWhatIsInFrontDirty)
{
    auto mapping = dirty_huge(2 * kHugeEntry);
    ASSERT_EQ(mapping->store(kHuge + 99 * kBlockSize, 'k'), 0);
    ASSERT_EQ(mapping->store(kHuge + 100 * kBlockSize + 7, 'c'), 0);
    ASSERT_EQ(file->truncate(kHuge + 100 * kBlockSize + 5), 0);
    EXPECT_FALSE(mapping->is_mapped(512));
    EXPECT_TRUE(mapping->is_huge(0));
    EXPECT_EQ(tracker().numbers().entries, 102u);
    EXPECT_EQ(file->blocks(), 512u + 101);
    EXPECT_EQ(mapping->at(kHuge + 99 * kBlockSize), 'k');
    EXPECT_FALSE(mapping->is_huge(512));
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable), file->contents());
    ASSERT_EQ(file->truncate(2 * kHuge), 0);
    EXPECT_EQ(file->read(kHuge + 100 * kBlockSize, kBlockSize), zeroes(kBlockSize));
}

TEST_F(FileHuge, AHoleInTheMiddleAndOneOverAnEdge)
{
    for (bool punch : {true, false}) {
        auto mapping = dirty_huge(3 * kHugeEntry);
        std::string expected = file->contents();
        ASSERT_EQ(mapping->store(200 * kBlockSize, 'p'), 0);
        expected[200 * kBlockSize] = 'p';
        auto clear = [&](u64 offset, u64 length) {
            ASSERT_EQ(punch ? file->punch(offset, length) : file->zero(offset, length), 0);
            expected.replace(offset, length, zeroes(length));
        };
        clear(10 * kBlockSize + 100, 20 * kBlockSize);
        EXPECT_EQ(tracker().numbers().dirty, 2u + 512 - 19);
        clear(2 * kHuge - 3 * kBlockSize, 5 * kBlockSize);
        EXPECT_EQ(file->contents(), expected);
        for (u64 at = 0; at < expected.size(); at += kBlockSize)
            ASSERT_EQ(mapping->at(at), expected[at]);
        ASSERT_EQ(mapping->store(15 * kBlockSize, 'n'), 0);
        expected[15 * kBlockSize] = 'n';
        DurableImage durable(device);
        ASSERT_EQ(file->sync(), 0);
        EXPECT_EQ(contents_after_crash(durable), expected);
        mapping.reset();
        ASSERT_EQ(file->truncate(0), 0);
    }
}

TEST_F(FileHuge, ACutThatFindsNoMemoryChangesNothing)
{
    auto mapping = dirty_huge();
    const std::string before = file->contents();
    host::fail_allocation_after(3);
    EXPECT_EQ(file->truncate(100 * kBlockSize), -ENOMEM);
    host::fail_allocation_after(-1);
    EXPECT_EQ(file->contents(), before);
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable), before);
    EXPECT_EQ(file->truncate(100 * kBlockSize), 0);
}

TEST_F(FileHuge, PinnedPagesStayDirtyAndAreNotCutOff)
{
    auto mapping = dirty_huge();
    u64 kept = 0, cut = 0;
    ASSERT_EQ(mapping->pin(50, TARN_FAULT_WRITE, &kept), 0);
    ASSERT_EQ(mapping->pin(150, TARN_FAULT_WRITE, &cut), 0);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(tracker().numbers().dirty, 1u);
    EXPECT_EQ(file->truncate(100 * kBlockSize), -EBUSY);
    EXPECT_EQ(file->size(), kHuge);
    mm.unpin(cut);
    EXPECT_EQ(file->truncate(100 * kBlockSize), 0);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(tracker().numbers().dirty, 1u) << "the one that DMA may still store to";
    mm.page(kept)[9] = std::byte('d');
    mm.unpin(kept);
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable)[50 * kBlockSize + 9], 'd');
    EXPECT_TRUE(tracker().empty());
}

TEST_F(FileHuge, AWriteReplacesZeroesAndOverwrites)
{
    file->truncate(2 * kHuge);
    auto mapping = map();
    EXPECT_EQ(mapping->at(0), '\0');
    file->write(3 * kBlockSize, "into the hole");
    EXPECT_EQ(mapping->at(3 * kBlockSize), 'i');
    ASSERT_EQ(mapping->store(kHuge, 'x'), 0);
    ASSERT_TRUE(mapping->is_huge(512));
    file->write(kHuge - 2, "over");
    EXPECT_EQ(mapping->at(kHuge), 'e');
    EXPECT_EQ(mapping->at(kHuge - 2), 'o');
    EXPECT_TRUE(mapping->is_huge(512));
    tarn_user from;
    from.mapping = mapping.get();
    from.mapping_offset = kHuge;
    ASSERT_EQ(file->write(100 * kBlockSize, from, 200 * kBlockSize),
              static_cast<long long>(200 * kBlockSize));
    EXPECT_EQ(file->read(100 * kBlockSize, 3), std::string("er\0", 3));
}

TEST_F(FileHuge, WhatNobodyMapsAnyMoreIsForgotten)
{
    dirty_huge();
    EXPECT_EQ(tarn_file_trim(file->inode()), 1);
    EXPECT_EQ(file->sync(), 0);
    map()->at(0);
    EXPECT_EQ(tracker().numbers().entries, 1u);
    EXPECT_EQ(tarn_file_trim(file->inode()), 0);
    EXPECT_TRUE(tracker().empty());
    auto mapping = dirty_huge();
    ASSERT_EQ(mapping->store(77, 'e'), 0);
    mapping.reset();
    DurableImage durable(device);
    file.reset();
    EXPECT_EQ(contents_after_crash(durable)[77], 'e');
    file = fs->open(mm, "file");
}

TEST_F(FileHuge, NothingIsLostWhateverTheInterleaving)
{
    constexpr u64 kBlocks = 2 * kHugeEntry;
    file->truncate(kBlocks * kBlockSize);
    std::atomic<bool> stop = false;
    std::vector<std::thread> others;
    others.emplace_back([&] {
        while (!stop)
            ASSERT_EQ(file->sync(), 0);
    });
    others.emplace_back([&] {  // cuts and holes where nobody stores, in the same 2 MiB
        std::mt19937 random(77);
        while (!stop) {
            if (random() % 2) {
                ASSERT_EQ(file->punch((300 + random() % 100) * kBlockSize, 50 * kBlockSize), 0);
            } else {
                ASSERT_EQ(file->truncate((kBlocks - 100 + random() % 90) * kBlockSize), 0);
                ASSERT_EQ(file->truncate(kBlocks * kBlockSize), 0);
            }
        }
    });
    std::vector<std::thread> threads;
    for (u64 t = 0; t < 3; t++)
        threads.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(t));
            for (unsigned round = 0; round < 60; round++) {
                FakeMapping mapping(mm, *file);
                mapping.fault_around(16);
                if ((round + t) % 2)
                    mapping.allow_huge();
                for (unsigned step = 0; step < 40; step++) {
                    const u64 at = (random() % 200 + (random() % 2 ? kHugeEntry : 0)) * kBlockSize + t * 8;
                    const char value = static_cast<char>(1 + random() % 100);
                    if (random() % 8 == 0)
                        ASSERT_EQ(file->write(at, std::string(1, value)), 1);
                    else
                        ASSERT_EQ(mapping.store(at, value), 0);
                    ASSERT_EQ(mapping.at(at), value);
                    ASSERT_EQ(file->read(at, 1)[0], value);
                }
            }
        });
    for (auto& thread : threads)
        thread.join();
    stop = true;
    for (auto& other : others)
        other.join();
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable), file->contents());
}
