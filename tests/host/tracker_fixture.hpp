// SPDX-License-Identifier: GPL-2.0
// A DirtyTracker and the address space that it maps in, on made-up page frames: blocks and pages have the
// same numbers. At the end nothing may be left in it.
#pragma once
#include <gtest/gtest.h>

#include "fs/dax/tracker.hpp"
#include "tests/host/support/fake_mm.hpp"

namespace tarn {

// Tests stand in for the C entry points.
struct FileEntryPoints {
    static constexpr InvalidateHeld held() { return InvalidateHeld(); }
};

namespace test {

class TrackerTest : public testing::Test {
  protected:
    using Tag = DirtyTracker::Tag;
    static constexpr FileBlock kLast{(u64{1} << 51) - 1};

    ~TrackerTest() override
    {
        tracker.each(FileBlock(0), kLast, [](LockedRange& range) { range.drop(); });
        EXPECT_TRUE(tracker.empty());
        EXPECT_EQ(tracker.numbers().entries, 0u);
        EXPECT_FALSE(tracker.has_dirty());
        EXPECT_FALSE(mm.is_marked_dirty(&storage));
    }

    LockedEntry lock(u64 block) { return tracker.lock(FileBlock(block), FileEntryPoints::held()).take(); }
    std::optional<LockedEntry> lock_huge(u64 block)
    {
        return tracker.lock_huge(FileBlock(block), FileEntryPoints::held()).take();
    }
    static PageRun pages(u64 block, u64 count) { return {FileBlock(block), count, Pfn(block)}; }
    bool has(u64 block, Tag tag) { return tracker.has_tag(FileBlock(block), tag); }

    // The two halves of a write-back: up to the fence, and what follows it.
    void start_write_back(u64 from = 0, FileBlock last = kLast)
    {
        tracker.tag_for_write_back(FileBlock(from), last);
        tracker.each_tagged(Tag::kToWrite, FileBlock(from), last, [](LockedRange& range) {
            range.zap();
            range.begin_write_back();
        });
    }
    void end_write_back(u64 from = 0, FileBlock last = kLast)
    {
        tracker.each_tagged(Tag::kWriteBack, FileBlock(from), last,
                            [](LockedRange& range) { range.finish_write_back(); });
    }

    TestDevice device{64};
    FakeMm mm{device};
    tarn_inode storage;
    tarn_fault fault;
    Trackers trackers;
    DirtyTracker tracker{&storage, trackers};
};

}  // namespace test
}  // namespace tarn
