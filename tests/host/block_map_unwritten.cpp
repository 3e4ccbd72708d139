// SPDX-License-Identifier: GPL-2.0
// Block maps with unwritten runs, against a map of single blocks: allocating, converting, unwriting,
// unmapping, moving what is behind a place.
#include "fs/dax/tracker.hpp"
#include "fs/file/block_map.hpp"
#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

struct Block {
    u64 device;
    bool unwritten;
    bool operator==(const Block&) const = default;
};
using Model = std::map<u64, Block>;

class UnwrittenTest : public testing::Test {
  protected:
    Volume& volume() { return world_.volume(); }
    BlockMap map() { return BlockMap(volume(), root_); }

    void allocate(u64 at, u64 count, DeviceBlock near)
    {
        Transaction txn(volume());
        auto reserved = volume().reserve(count, near);
        ASSERT_TRUE(reserved.is_ok());
        Reserved run = reserved.take();
        for (u64 i = 0; i < run.run().count; i++)
            model_[at + i] = {run.run().start.value + i, true};
        ASSERT_TRUE(map().allocate(txn, FileBlock(at), std::move(run)).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    // What is unwritten of a range, run by run.
    void convert(u64 at, u64 count)
    {
        while (count) {
            const Mapping mapping = map().lookup(nullptr, FileBlock(at), count).take();
            if (mapping.state == Mapping::State::kUnwritten)
                convert_run(mapping);
            at += mapping.count;
            count -= mapping.count;
        }
    }
    void convert_run(const Mapping& mapping)
    {
        LockedRange range = tracker_.lock_range(mapping.first, mapping.count).take();
        Unwritten unwritten = map().unwritten(range, mapping.first, mapping.count).take();
        auto durable = std::move(unwritten).zero(volume().media()).fence(volume().media());
        Transaction txn(volume());
        ASSERT_TRUE(map().publish(txn, mapping.first, durable.take()).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
        for (u64 i = 0; i < mapping.count; i++)
            model_.at(mapping.first.value + i).unwritten = false;
    }
    template <class Step>
    void in_steps(u64 at, u64 count, Step step)
    {
        while (count) {
            Transaction txn(volume());
            u64 done = 0;
            ASSERT_TRUE(step(txn, FileBlock(at), count, &done).is_ok());
            ASSERT_TRUE(txn.commit().is_ok());
            ASSERT_GE(done, 1u);
            at += done;
            count -= done;
        }
    }
    void unwrite(u64 at, u64 count)
    {
        in_steps(at, count, [&](Transaction& txn, auto... step) { return map().unwrite(txn, step...); });
        for (auto block = model_.lower_bound(at); block != model_.lower_bound(at + count); block++)
            block->second.unwritten = true;
    }
    void unmap(u64 at, u64 count)
    {
        in_steps(at, count, [&](Transaction& txn, auto... step) { return map().unmap(txn, step...); });
        model_.erase(model_.lower_bound(at), model_.lower_bound(at + count));
    }
    void shift(u64 at, u64 count, BlockMap::Shift how)
    {
        Transaction txn(volume());
        ASSERT_TRUE(map().shift(txn, FileBlock(at), count, how).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
        const bool collapses = how == BlockMap::Shift::kCollapse;
        Model moved;
        for (const auto& [block, what] : model_)
            if (block < at)
                moved[block] = what;
            else if (!collapses || block >= at + count)
                moved[collapses ? block - count : block + count] = what;
        model_ = moved;
    }
    void check()
    {
        Model found;
        std::optional<Extent> last;
        const Survey all = survey<ExtentKind>(volume(), root_);
        ASSERT_TRUE(all.damage.empty());
        for (const auto& [key, payload] : all.items) {
            const Extent extent = unpack_extent(key, *reinterpret_cast<const u64*>(payload.data()));
            for (u64 b = 0; b < extent.count; b++)
                found[extent.first.value + b] = {extent.device.value + b, extent.unwritten};
            ASSERT_FALSE(last && last->end() == extent.first && last->run().end() == extent.device &&
                         last->unwritten == extent.unwritten)
                << "neighbours that are not merged at " << extent.first.value;
            last = extent;
        }
        ASSERT_EQ(found, model_);
        ASSERT_EQ(record_of(volume(), root_).blocks, model_.size() + all.nodes.size());
        ASSERT_EQ(volume().space().free_blocks(), free_ - model_.size() - all.nodes.size());
    }

    TestVolume world_{8192};
    TreeRoot root_ = make_inode(world_.volume(), 7, TARNFS_TREE_EXTENTS);
    Trackers trackers_;
    DirtyTracker tracker_{nullptr, trackers_};
    u64 free_ = world_->space().free_blocks();
    Model model_;
};

}  // namespace

TEST_F(UnwrittenTest, RandomChanges)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 2000; i++) {
        const u64 at = random() % 2000;
        const u64 count = 1 + random() % 40;
        if (random() % 10 == 0) {
            const bool collapses = random() % 2;
            shift(at, count, collapses ? BlockMap::Shift::kCollapse : BlockMap::Shift::kInsert);
        } else if (const u64 what = random() % 8; what < 3) {
            auto next = model_.lower_bound(at);
            const u64 room = next == model_.end() ? 100 : next->first - at;
            const DeviceBlock near(next == model_.begin() ? 0 : std::prev(next)->second.device + 1);
            if (room)
                allocate(at, min(room, count), near);
        } else if (what < 5) {
            convert(at, count);
        } else if (what < 7) {
            unwrite(at, count);
        } else {
            unmap(at, count / 2 + 1);
        }
        if (i % 10 == 0)
            check();
        ASSERT_FALSE(HasFatalFailure()) << i;
    }
    check();
    unmap(0, ~u64{0});
    check();
}

// A tree of three levels becomes one of three levels, of two, and a root alone, with nothing lost.
TEST_F(UnwrittenTest, ALargeMapMoves)
{
    constexpr u64 kPieces = 2500;
    for (u64 i = 0; i < kPieces; i++)
        allocate(i * 2, 1, DeviceBlock(0));
    const u64 nodes = survey<ExtentKind>(volume(), root_).nodes.size();
    shift(1001, 7, BlockMap::Shift::kInsert);
    check();
    EXPECT_LE(survey<ExtentKind>(volume(), root_).nodes.size(), nodes) << "new nodes are full";
    for (u64 left : {2000u, 300u, 10u, 0u}) {
        const u64 from = std::next(model_.begin(), static_cast<long>(left))->first;
        shift(from, model_.rbegin()->first + 1 - from, BlockMap::Shift::kCollapse);
        check();
        EXPECT_EQ(model_.size(), left);
    }
    EXPECT_TRUE(survey<ExtentKind>(volume(), root_).nodes.empty());
}

// The range goes, and what was around it is one extent again; the other way round it is two.
TEST_F(UnwrittenTest, WhatMeetsIsOneExtent)
{
    allocate(10, 100, DeviceBlock(0));
    shift(50, 5, BlockMap::Shift::kInsert);
    EXPECT_EQ(survey<ExtentKind>(volume(), root_).items.size(), 2u);
    check();
    shift(50, 5, BlockMap::Shift::kCollapse);
    EXPECT_EQ(survey<ExtentKind>(volume(), root_).items.size(), 1u);
    check();
}

// Damage: one extent lies in another. It is said, and nothing moves.
TEST_F(UnwrittenTest, ExtentsThatOverlapAreNotMoved)
{
    allocate(10, 20, DeviceBlock(0));
    allocate(40, 1, DeviceBlock(0));
    Tree<ExtentKind> tree(volume(), root_);
    {
        const u64 value = pack_extent({FileBlock(15), 3, DeviceBlock(model_.at(40).device), true});
        Transaction txn(volume());
        ASSERT_TRUE(tree.insert(txn, 15, Bytes(reinterpret_cast<const byte*>(&value), sizeof value)).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    LogCapture log;
    {
        Transaction txn(volume());
        EXPECT_EQ(map().shift(txn, FileBlock(12), 4, BlockMap::Shift::kInsert).error(), Error::kBadExtent);
    }
    ASSERT_TRUE(volume().set_read_write().is_ok());
    Transaction txn(volume());
    ASSERT_TRUE(tree.erase(txn, 15).is_ok());
    ASSERT_TRUE(txn.commit().is_ok());
    check();
}

// Nothing lies beyond the largest file, and a map that would is as it was.
TEST_F(UnwrittenTest, NothingMovesBeyondTheLargestFile)
{
    allocate(kMaxFileBlocks - 10, 5, DeviceBlock(0));
    {
        Transaction txn(volume());
        EXPECT_EQ(map().shift(txn, FileBlock(0), 6, BlockMap::Shift::kInsert).error(), Error::kTooLarge);
    }
    check();
    shift(0, 5, BlockMap::Shift::kInsert);
    check();
}

TEST_F(UnwrittenTest, WrittenFromFrontToBackItIsTwoExtentsThenOne)
{
    allocate(10, 100, DeviceBlock(0));
    for (u64 i = 0; i < 100; i++) {
        convert(10 + i, 1);
        EXPECT_EQ(survey<ExtentKind>(volume(), root_).items.size(), i == 99 ? 1u : 2u);
    }
    check();
}

TEST_F(UnwrittenTest, WhatIsNotUnwrittenIsNotConverted)
{
    allocate(10, 4, DeviceBlock(0));
    convert(12, 2);
    LockedRange range = tracker_.lock_range(FileBlock(9), 6).take();
    EXPECT_EQ(map().unwritten(range, FileBlock(9), 1).error(), Error::kBadExtent);
    EXPECT_EQ(map().unwritten(range, FileBlock(12), 1).error(), Error::kBadExtent);
    EXPECT_EQ(map().unwritten(range, FileBlock(10), 4).value().run().count, 2u);
}

// The token was made for another place, or what it was made for has gone: nothing becomes written.
TEST_F(UnwrittenTest, EvidenceHoldsOnlyForItsPlace)
{
    allocate(10, 4, DeviceBlock(0));
    LogCapture log;
    for (u64 at : {9u, 11u, 13u}) {
        LockedRange range = tracker_.lock_range(FileBlock(10), 4).take();
        auto durable =
            map().unwritten(range, FileBlock(10), 2).take().zero(volume().media()).fence(volume().media());
        Transaction txn(volume());
        EXPECT_EQ(map().publish(txn, FileBlock(at), durable.take()).error(), Error::kBadExtent) << at;
        ASSERT_TRUE(volume().set_read_write().is_ok());
    }
    check();
}

}  // namespace tarn::test
