// SPDX-License-Identifier: GPL-2.0
// DirtyTracker: entry locks, tags, and what a write-back may clear, on made-up page frames.
#include <atomic>
#include <random>
#include <thread>

#include "cxxrt/host/host.hpp"
#include "tests/host/tracker_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

class TrackerEntries : public TrackerTest {
  protected:
    static PageRun page(u64 block) { return page(block, block); }
    static PageRun page(u64 block, u64 pfn) { return {FileBlock(block), 1, Pfn(pfn)}; }
    void write(u64 block) { ASSERT_TRUE(lock(block).install_writable(&fault, page(block))); }
    void read(u64 block) { ASSERT_TRUE(lock(block).install_readable(&fault, page(block))); }
    u64 entries() { return tracker.numbers().entries; }
};

}  // namespace

TEST_F(TrackerEntries, AnEntryWithoutAPageGoesWithItsLock)
{
    {
        LockedEntry entry = lock(5);
        EXPECT_EQ(entries(), 1u);
        EXPECT_EQ(entry.pfn(FileBlock(5)), std::nullopt);
    }
    EXPECT_TRUE(tracker.empty());
}

TEST_F(TrackerEntries, OnlyAWritablePageIsDirty)
{
    read(3);
    EXPECT_FALSE(has(3, Tag::kDirty));
    EXPECT_FALSE(tracker.has_dirty());
    EXPECT_FALSE(mm.is_marked_dirty(&storage));
    write(3);
    EXPECT_TRUE(has(3, Tag::kDirty));
    EXPECT_TRUE(mm.is_marked_dirty(&storage));
    EXPECT_EQ(tracker.numbers().dirty, 1u);
    EXPECT_EQ(mm.owner(3)->block, 3u);
}

TEST_F(TrackerEntries, TheZeroPageLeavesNoEntry)
{
    ASSERT_TRUE(lock(9).install_zero(&fault, FileBlock(9), 1));
    EXPECT_TRUE(tracker.empty());
}

TEST_F(TrackerEntries, AnotherPageForABlockIsAnErrorNotACrash)
{
    write(4);
    EXPECT_EQ(lock(4).install_readable(&fault, page(4, 40)).error(), Error::kBadEntry);
    EXPECT_EQ(lock(4).install_writable(&fault, page(4, 40)).error(), Error::kBadEntry);
    EXPECT_EQ(lock(4).install_zero(&fault, FileBlock(4), 1).error(), Error::kBadEntry);
    EXPECT_EQ(mm.owner(40).has_value(), false);
}

TEST_F(TrackerEntries, APageThatCouldNotBeMappedStaysDirty)
{
    mm.fail_installs(1);
    EXPECT_EQ(lock(4).install_writable(&fault, page(4)).error(), Error::kNoMemory);
    EXPECT_TRUE(has(4, Tag::kDirty));
}

TEST_F(TrackerEntries, NoMemoryForAnEntryLocksNothing)
{
    host::fail_allocation_after(0);
    Error error = tracker.lock(FileBlock(7), FileEntryPoints::held()).error();
    EXPECT_EQ(error, Error::kNoMemory);
    host::fail_allocation_after(1);
    error = tracker.lock_range(FileBlock(u64{1} << 40), 3).error();
    EXPECT_EQ(error, Error::kNoMemory);
    host::fail_allocation_after(-1);
    EXPECT_TRUE(tracker.empty());
    EXPECT_TRUE(tracker.lock(FileBlock(7), FileEntryPoints::held()).is_ok());
}

TEST_F(TrackerEntries, WriteBackCleansAndForgets)
{
    for (u64 block : {0, 1, 2, 70, 4000})
        write(block);
    start_write_back();
    EXPECT_TRUE(has(70, Tag::kDirty));
    EXPECT_TRUE(has(70, Tag::kWriteBack));
    EXPECT_FALSE(has(70, Tag::kToWrite));
    end_write_back();
    EXPECT_TRUE(tracker.empty());
    EXPECT_FALSE(tracker.has_dirty());
    EXPECT_EQ(mm.owner(70).has_value(), false);
}

TEST_F(TrackerEntries, WriteBackOfARangeLeavesTheRest)
{
    for (u64 block = 0; block < 200; block++)
        write(block);
    start_write_back(50, FileBlock(149));
    end_write_back(50, FileBlock(149));
    for (u64 block = 0; block < 200; block++)
        EXPECT_EQ(has(block, Tag::kDirty), block < 50 || block > 149) << block;
    EXPECT_EQ(entries(), 100u);
}

TEST_F(TrackerEntries, DirtiedAgainBeforeTheFenceStaysDirty)
{
    write(1);
    write(2);
    start_write_back();
    write(1);
    end_write_back();
    EXPECT_TRUE(has(1, Tag::kDirty));
    EXPECT_FALSE(has(2, Tag::kDirty));
    EXPECT_EQ(entries(), 1u);
}

TEST_F(TrackerEntries, ReadAgainBeforeTheFenceIsCleanButKept)
{
    write(1);
    start_write_back();
    read(1);
    end_write_back();
    EXPECT_FALSE(has(1, Tag::kDirty));
    EXPECT_EQ(entries(), 1u);
    EXPECT_TRUE(mm.owner(1).has_value());
}

TEST_F(TrackerEntries, WhatBecomesDirtyLaterIsLeftToTheNextWriteBack)
{
    write(1);
    tracker.tag_for_write_back(FileBlock(0), kLast);
    write(2);
    write(3);
    unsigned visited = 0;
    tracker.each_tagged(Tag::kToWrite, FileBlock(0), kLast, [&](LockedRange& range) {
        visited += static_cast<unsigned>(range.count());
        range.zap();
        range.begin_write_back();
    });
    EXPECT_EQ(visited, 1u);
    end_write_back();
    EXPECT_EQ(tracker.numbers().dirty, 2u);
}

TEST_F(TrackerEntries, APinnedPageStaysDirty)
{
    write(1);
    write(2);
    mm.pin(1);
    start_write_back();
    EXPECT_FALSE(has(1, Tag::kWriteBack));
    end_write_back();
    EXPECT_TRUE(has(1, Tag::kDirty));
    EXPECT_EQ(entries(), 1u);
    mm.unpin(1);
    start_write_back();
    end_write_back();
    EXPECT_TRUE(tracker.empty());
}

TEST_F(TrackerEntries, APagePinnedAgainBeforeTheFenceKeepsItsEntry)
{
    write(1);
    start_write_back();
    read(1);  // without a PTE nobody pins
    mm.pin(1);
    end_write_back();
    EXPECT_FALSE(has(1, Tag::kDirty));
    EXPECT_EQ(entries(), 1u);
    EXPECT_EQ(tracker.find_pinned(FileBlock(0), kLast), Pfn(1));
    mm.unpin(1);
}

TEST_F(TrackerEntries, AFailedFenceLeavesEverythingDirty)
{
    write(1);
    start_write_back();
    tracker.each_tagged(Tag::kWriteBack, FileBlock(0), kLast,
                        [](LockedRange& range) { range.cancel_write_back(); });
    end_write_back();
    EXPECT_TRUE(has(1, Tag::kDirty));
    EXPECT_TRUE(mm.is_marked_dirty(&storage));
}

TEST_F(TrackerEntries, TrimForgetsCleanPagesAndMarksPinnedOnes)
{
    read(1);
    read(2);
    write(3);
    mm.pin(2);
    EXPECT_TRUE(tracker.take_mapped());
    EXPECT_FALSE(tracker.take_mapped());
    bool dirty = false;
    tracker.each(FileBlock(0), kLast, [&](LockedRange& range) {
        range.zap();
        dirty |= range.trim();
    });
    EXPECT_TRUE(dirty);
    EXPECT_EQ(entries(), 2u);
    EXPECT_TRUE(has(2, Tag::kDirty));
    EXPECT_TRUE(has(3, Tag::kDirty));
    mm.unpin(2);
}

TEST_F(TrackerEntries, RunsAreConsecutiveAndBounded)
{
    for (u64 block = 10; block < 210; block++)
        write(block);
    write(300);
    tracker.tag_for_write_back(FileBlock(0), kLast);
    u64 expected = 10, blocks = 0;
    tracker.each_tagged(Tag::kToWrite, FileBlock(0), kLast, [&](LockedRange& range) {
        EXPECT_LE(range.count(), DirtyTracker::kMaxRange);
        EXPECT_EQ(range.first().value, expected);
        expected = range.end().value == 210 ? 300 : range.end().value;
        blocks += range.count();
        range.zap();
        range.begin_write_back();
    });
    EXPECT_EQ(blocks, 201u);
    EXPECT_LE(mm.zaps(), 6u);
    end_write_back();
}

TEST_F(TrackerEntries, OneLockHolderAtATime)
{
    constexpr int kThreads = 4, kRounds = 300;
    std::atomic<int> inside[8] = {};
    std::atomic<long> total = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(t));
            for (int i = 0; i < kRounds; i++) {
                u64 first = random() % 6, count = 1 + random() % 3;
                if (first + count > 8)
                    count = 8 - first;
                LockedRange range = tracker.lock_range(FileBlock(first), count).take();
                for (u64 at = first; at < first + count; at++)
                    EXPECT_EQ(inside[at].fetch_add(1), 0);
                total++;
                if (random() % 4 == 0)
                    std::this_thread::yield();
                for (u64 at = first; at < first + count; at++)
                    inside[at].fetch_sub(1);
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(total, kThreads * kRounds);
    EXPECT_TRUE(tracker.empty());
}

TEST_F(TrackerEntries, NoWritablePageWithoutATagWhateverTheInterleaving)
{
    // Writers, readers and write-backs race on a few blocks; a block whose last event was an install is dirty.
    std::atomic<bool> stop = false;
    std::thread syncer([&] {
        while (!stop) {
            MutexGuard guard(tracker.write_back_lock());
            start_write_back();
            end_write_back();
        }
    });
    std::vector<std::thread> writers;
    for (unsigned t = 0; t < 3; t++)
        writers.emplace_back([&, t] {
            std::mt19937 random(t);
            for (int i = 0; i < 2000; i++) {
                u64 block = random() % 5;
                LockedEntry entry = lock(block);
                Status installed = random() % 2 ? entry.install_writable(&fault, page(block))
                                                : entry.install_readable(&fault, page(block));
                ASSERT_TRUE(installed);
                if (random() % 2) {
                    ASSERT_TRUE(entry.install_writable(&fault, page(block)));
                    // Still locked: nobody may have cleaned it.
                    ASSERT_TRUE(has(block, Tag::kDirty));
                    ASSERT_FALSE(has(block, Tag::kWriteBack));
                }
            }
        });
    for (auto& writer : writers)
        writer.join();
    stop = true;
    syncer.join();
    start_write_back();
    end_write_back();
    EXPECT_FALSE(tracker.has_dirty());
}
