// SPDX-License-Identifier: GPL-2.0
// KUnit: the dirty tracker: entries, tags and the radix tree under them.
#include "fs/core.h"
#include "fs/dax/tracker.hpp"
#include "cxxrt/box.hpp"
#include "kunit/fs/fake_mapper.hpp"
#include "kunit/kunit.hpp"

namespace tarn {

// The cases stand where the entry points stand: they hold whatever invalidate_lock would protect.
struct FileEntryPoints {
    static constexpr InvalidateHeld invalidate_lock_held() { return InvalidateHeld(); }
};

}  // namespace tarn

using namespace tarn;
using tarn::kunit::FakeMapper;

namespace {

struct Tracked {
    FakeMapper mapper;
    tarn_inode owner = {};
    Trackers trackers;
    DirtyTracker tracker{&owner, trackers};

    ~Tracked()
    {
        mapper.pinned = ~u64{0};
        tracker.each(FileBlock(0), FileBlock(~u64{0} >> kBlockShift), [](LockedRange& range) {
            range.zap();
            range.drop();
        });
    }
    bool install(u64 block, u64 pfn, tarn_protection protection)
    {
        auto entry = tracker.lock(FileBlock(block), FileEntryPoints::invalidate_lock_held());
        if (!entry.is_ok())
            return false;
        tarn_fault fault;
        return (protection == TARN_MAP_WRITE
                    ? entry.value().install_writable(&fault, {FileBlock(block), 1, Pfn(pfn)})
                    : entry.value().install_readable(&fault, {FileBlock(block), 1, Pfn(pfn)}))
            .is_ok();
    }
    // The write-back of one block up to its fence; afterwards finish().
    void begin(u64 block)
    {
        MutexGuard guard(tracker.write_back_lock());
        tracker.tag_for_write_back(FileBlock(block), FileBlock(block));
        tracker.each_tagged(DirtyTracker::Tag::kToWrite, FileBlock(block), FileBlock(block), [](LockedRange& range) {
            range.zap();
            range.begin_write_back();
        });
    }
    void finish(u64 block)
    {
        MutexGuard guard(tracker.write_back_lock());
        tracker.each_tagged(DirtyTracker::Tag::kWriteBack, FileBlock(block), FileBlock(block),
                            [](LockedRange& range) { range.finish_write_back(); });
    }
};

}  // namespace

TARN_KUNIT_CASE(tracker_write_tags_dirty)
{
    auto made = Box<Tracked>::create();
    TARN_REQUIRE(made.is_ok());
    Tracked& t = *made.value();
    TARN_REQUIRE(t.install(5, 100, TARN_MAP_WRITE));
    TARN_EXPECT(t.mapper.pte(5).writable);
    TARN_EXPECT(t.tracker.has_tag(FileBlock(5), DirtyTracker::Tag::kDirty));
    TARN_EXPECT(t.mapper.marked_dirty);
}

TARN_KUNIT_CASE(tracker_read_is_clean)
{
    auto made = Box<Tracked>::create();
    TARN_REQUIRE(made.is_ok());
    Tracked& t = *made.value();
    TARN_REQUIRE(t.install(5, 100, TARN_MAP_READ));
    TARN_EXPECT(t.mapper.pte(5).present && !t.mapper.pte(5).writable);
    TARN_EXPECT(!t.tracker.has_dirty());
    TARN_EXPECT(t.tracker.numbers().entries == 1);
    TARN_EXPECT(!t.install(5, 101, TARN_MAP_READ));  // another page for the same block: reported, not believed
}

TARN_KUNIT_CASE(tracker_write_back_cleans)
{
    auto made = Box<Tracked>::create();
    TARN_REQUIRE(made.is_ok());
    Tracked& t = *made.value();
    TARN_REQUIRE(t.install(5, 100, TARN_MAP_WRITE));
    t.begin(5);
    TARN_EXPECT(!t.mapper.pte(5).present);
    TARN_EXPECT(t.tracker.has_dirty());  // until the fence
    t.finish(5);
    TARN_EXPECT(!t.tracker.has_dirty());
    TARN_EXPECT(t.tracker.empty());
    TARN_EXPECT(!t.mapper.marked_dirty);
}

TARN_KUNIT_CASE(tracker_redirtied_stays)
{
    auto made = Box<Tracked>::create();
    TARN_REQUIRE(made.is_ok());
    Tracked& t = *made.value();
    TARN_REQUIRE(t.install(5, 100, TARN_MAP_WRITE));
    t.begin(5);
    TARN_REQUIRE(t.install(5, 100, TARN_MAP_WRITE));  // between write-back and fence
    t.finish(5);
    TARN_EXPECT(t.tracker.has_tag(FileBlock(5), DirtyTracker::Tag::kDirty));
    TARN_EXPECT(t.mapper.pte(5).writable);
}

TARN_KUNIT_CASE(tracker_pinned_stays)
{
    auto made = Box<Tracked>::create();
    TARN_REQUIRE(made.is_ok());
    Tracked& t = *made.value();
    TARN_REQUIRE(t.install(5, 100, TARN_MAP_WRITE));
    t.mapper.pinned = 100;
    t.begin(5);
    t.finish(5);
    TARN_EXPECT(t.tracker.has_tag(FileBlock(5), DirtyTracker::Tag::kDirty));
    TARN_EXPECT(t.tracker.find_pinned(FileBlock(0), FileBlock(10)).has_value());
    t.mapper.pinned = ~u64{0};
    t.begin(5);
    t.finish(5);
    TARN_EXPECT(t.tracker.empty());
}

TARN_KUNIT_CASE(tracker_many_entries)
{
    auto made = Box<Tracked>::create();
    TARN_REQUIRE(made.is_ok());
    Tracked& t = *made.value();
    for (u64 block = 0; block < FakeMapper::kBlocks; block++)
        TARN_REQUIRE(t.install(block, 1000 + block, block % 3 ? TARN_MAP_READ : TARN_MAP_WRITE));
    TARN_EXPECT(t.tracker.numbers().entries == FakeMapper::kBlocks);
    TARN_EXPECT(t.tracker.numbers().dirty == divide_up(FakeMapper::kBlocks, 3));
    u64 seen = 0;
    t.tracker.each_tagged(DirtyTracker::Tag::kDirty, FileBlock(0), FileBlock(FakeMapper::kBlocks),
                          [&](LockedRange& range) { seen += range.count(); });
    TARN_EXPECT(seen == divide_up(FakeMapper::kBlocks, 3));
}
