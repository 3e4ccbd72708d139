// SPDX-License-Identifier: GPL-2.0
// Block maps against a map of single blocks: publishing, merging, unmapping, the ends of the largest file,
// steps.
#include "fs/file/block_map.hpp"

#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

// File block to device block.
using Model = std::map<u64, u64>;

class BlockMapTest : public testing::Test {
  protected:
    Volume& volume() { return world_.volume(); }
    BlockMap map() { return BlockMap(volume(), root_); }

    // Evidence for up to `count` zeroed blocks behind `near`.
    Initialised<Durable> zeroed(u64 count, DeviceBlock near = DeviceBlock(0))
    {
        auto reserved = volume().reserve(count, near);
        if (!reserved.is_ok())
            throw std::runtime_error(describe(reserved.error()));
        InFlightBatch batch;
        DurableBatch durable;
        EXPECT_TRUE(batch.add(reserved.take().zero(volume().media())).is_ok());
        EXPECT_TRUE(std::move(batch).fence(volume().media(), durable).is_ok());
        return durable.take(0);
    }
    // Publishes a run in a transaction of its own.
    Error publish(u64 at, u64 count, DeviceBlock near = DeviceBlock(0), Model* model = nullptr)
    {
        Initialised<Durable> token = zeroed(count, near);
        const tarn::Run run = token.run();
        Transaction txn(volume());
        const Status done = map().publish(txn, FileBlock(at), std::move(token));
        if (!done.is_ok())
            return done.error();
        if (model)
            for (u64 i = 0; i < run.count; i++)
                (*model)[at + i] = run.start.value + i;
        return txn.commit().error();
    }
    // Unmaps a range in as many transactions as it takes; returns how many.
    u32 unmap(u64 from, u64 count)
    {
        u32 steps = 0;
        while (count) {
            Transaction txn(volume());
            u64 done = 0;
            const Status status = map().unmap(txn, FileBlock(from), count, &done);
            EXPECT_TRUE(status.is_ok()) << describe(status.error());
            EXPECT_TRUE(txn.commit().is_ok());
            EXPECT_GE(done, 1u);
            EXPECT_LE(done, count);
            if (!status.is_ok() || done == 0)
                return steps;
            from += done;
            count -= done;
            steps++;
        }
        return steps;
    }
    std::vector<Extent> extents()
    {
        std::vector<Extent> found;
        const Survey all = survey<ExtentKind>(volume(), root_);
        EXPECT_TRUE(all.damage.empty());
        for (const auto& [key, payload] : all.items)
            found.push_back(unpack_extent(key, *reinterpret_cast<const u64*>(payload.data())));
        return found;
    }
    // The map is the model's, in as few extents as possible, and every block is accounted for.
    void check(const Model& model)
    {
        Model found;
        const std::vector<Extent> all = extents();
        for (usize i = 0; i < all.size(); i++) {
            for (u64 b = 0; b < all[i].count; b++)
                found[all[i].first.value + b] = all[i].device.value + b;
            if (i > 0 && all[i - 1].end() == all[i].first) {
                ASSERT_NE(all[i - 1].run().end(), all[i].device) << "neighbours that are not merged";
            }
        }
        ASSERT_EQ(found, model);
        const u64 nodes = survey<ExtentKind>(volume(), root_).nodes.size();
        ASSERT_EQ(record_of(volume(), root_).blocks, model.size() + nodes);
        ASSERT_EQ(volume().space().free_blocks(), free_ - model.size() - nodes);
    }
    // lookup() of every length agrees with the model.
    void expect_lookup(const Model& model, u64 at, u64 max_count)
    {
        auto result = map().lookup(nullptr, FileBlock(at), max_count);
        ASSERT_TRUE(result.is_ok());
        const Mapping& mapping = result.value();
        ASSERT_EQ(mapping.first.value, at);
        ASSERT_GE(mapping.count, 1u);
        ASSERT_LE(mapping.count, max_count);
        for (u64 i = 0; i < mapping.count; i++) {
            auto known = model.find(at + i);
            ASSERT_EQ(mapping.is_hole(), known == model.end());
            if (!mapping.is_hole()) {
                ASSERT_EQ(known->second, mapping.device.value + i);
            }
        }
        if (mapping.count < max_count) {
            auto next = model.find(at + mapping.count);
            ASSERT_TRUE(mapping.is_hole()
                            ? next != model.end()
                            : next == model.end() || next->second != mapping.device.value + mapping.count);
        }
    }

    TestVolume world_{8192};
    TreeRoot root_ = make_inode(world_.volume(), 7, TARNFS_TREE_EXTENTS);
    u64 free_ = world_->space().free_blocks();
};

}  // namespace

TEST_F(BlockMapTest, RandomChanges)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Model model;
    for (int i = 0; i < 1500; i++) {
        const u64 at = random() % 2000;
        if (random() % 5 < 3) {
            auto next = model.lower_bound(at);
            const u64 room = next == model.end() ? 100 : next->first - at;
            if (!room)
                continue;
            // Near a neighbour, so that runs continue one another often.
            const DeviceBlock near(next == model.begin() ? 0 : std::prev(next)->second + 1);
            ASSERT_EQ(publish(at, min<u64>(room, 1 + random() % 8), near, &model), Error::kNone);
        } else {
            const u64 count = 1 + random() % 40;
            unmap(at, count);
            model.erase(model.lower_bound(at), model.lower_bound(at + count));
        }
        if (i % 10 == 0)
            check(model);
        for (int j = 0; j < 4; j++)
            expect_lookup(model, random() % 2200, 1 + random() % 64);
        ASSERT_FALSE(HasFatalFailure());
    }
    check(model);
    unmap(0, ~u64{0});
    check({});
}

TEST_F(BlockMapTest, DroppedTransactionGivesTheRunBack)
{
    {
        Transaction txn(volume());
        ASSERT_TRUE(map().publish(txn, FileBlock(3), zeroed(5)).is_ok());
        EXPECT_FALSE(map().lookup(&txn, FileBlock(3), 1).value().is_hole());
        EXPECT_TRUE(map().lookup(nullptr, FileBlock(3), 1).value().is_hole());
    }
    check({});
}

TEST_F(BlockMapTest, FillingAGapMakesOneExtent)
{
    Model model;
    auto run = volume().reserve(30, DeviceBlock(0));
    ASSERT_TRUE(run.is_ok());
    Reserved a = run.take();
    Reserved b = a.split(10);
    Reserved c = b.split(10);
    const u64 start = a.run().start.value;
    u64 at = 100;
    for (Reserved* part : {&a, &c, &b}) {
        InFlightBatch batch;
        DurableBatch durable;
        ASSERT_TRUE(batch.add(std::move(*part).zero(volume().media())).is_ok());
        ASSERT_TRUE(std::move(batch).fence(volume().media(), durable).is_ok());
        at = 100 + (durable.run(0).start.value - start);
        Transaction txn(volume());
        ASSERT_TRUE(map().publish(txn, FileBlock(at), durable.take(0)).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
        for (u64 i = 0; i < 10; i++)
            model[at + i] = start + at - 100 + i;
    }
    check(model);
    EXPECT_EQ(extents().size(), 1u);
    EXPECT_EQ(map().last().value()->value, 129u);
}

TEST_F(BlockMapTest, MappedRangeIsRefused)
{
    ASSERT_EQ(publish(10, 4), Error::kNone);
    const auto before = extents();
    LogCapture log;
    for (u64 at : {7u, 10u, 12u, 13u}) {
        EXPECT_EQ(publish(at, 4), Error::kBadExtent) << at;
        ASSERT_TRUE(volume().set_read_write().is_ok());
    }
    EXPECT_EQ(extents().size(), before.size());
    EXPECT_EQ(volume().space().free_blocks(), free_ - 4);
}

TEST_F(BlockMapTest, EndsOfTheLargestFile)
{
    const u64 last = kMaxFileBlocks - 1;
    EXPECT_EQ(map().lookup(nullptr, FileBlock(0), ~u64{0}).value().count, kMaxFileBlocks);
    EXPECT_EQ(map().lookup(nullptr, FileBlock(last), 10).value().count, 1u);
    EXPECT_EQ(map().lookup(nullptr, FileBlock(kMaxFileBlocks), 1).error(), Error::kTooLarge);
    EXPECT_FALSE(map().last().value().has_value());
    ASSERT_EQ(publish(last, 1), Error::kNone);
    ASSERT_EQ(publish(0, 1), Error::kNone);
    EXPECT_EQ(publish(last - 1, 3), Error::kTooLarge);
    EXPECT_EQ(publish(kMaxFileBlocks, 1), Error::kTooLarge);
    EXPECT_EQ(map().lookup(nullptr, FileBlock(1), ~u64{0}).value().count, last - 1);
    EXPECT_FALSE(map().lookup(nullptr, FileBlock(last), ~u64{0}).value().is_hole());
    EXPECT_EQ(map().last().value()->value, last);
    unmap(1, ~u64{0} - 1);
    EXPECT_EQ(map().last().value()->value, 0u);
    unmap(0, 1);
    check({});
}

TEST_F(BlockMapTest, ExtentsStopAtTheirLargestLength)
{
    // The long extent is put there as it is: its blocks are not marked in use, and it is never unmapped.
    TestVolume large(TARNFS_EXTENT_MAX_LENGTH + 20000);
    const TreeRoot root = make_inode(large.volume(), 7, TARNFS_TREE_EXTENTS);
    BlockMap long_map(large.volume(), root);
    auto reserved = large->reserve(3, DeviceBlock(TARNFS_EXTENT_MAX_LENGTH + 10000));
    ASSERT_TRUE(reserved.is_ok());
    Reserved first = reserved.take();
    ASSERT_EQ(first.run().count, 3u);
    const u64 length = TARNFS_EXTENT_MAX_LENGTH - 1;
    const DeviceBlock start = first.run().start - length;
    {
        const u64 value = pack_extent(Extent{FileBlock(0), length, start});
        Transaction txn(large.volume());
        ASSERT_TRUE(Tree<ExtentKind>(large.volume(), root)
                        .insert(txn, 0, Bytes(reinterpret_cast<const byte*>(&value), sizeof value))
                        .is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    Reserved second = first.split(1);
    InFlightBatch batch;
    DurableBatch durable;
    ASSERT_TRUE(batch.add(std::move(first).zero(large->media())).is_ok());
    ASSERT_TRUE(batch.add(std::move(second).zero(large->media())).is_ok());
    ASSERT_TRUE(std::move(batch).fence(large->media(), durable).is_ok());
    Transaction txn(large.volume());
    ASSERT_TRUE(long_map.publish(txn, FileBlock(length), durable.take(0)).is_ok());
    ASSERT_TRUE(long_map.publish(txn, FileBlock(length + 1), durable.take(1)).is_ok());
    ASSERT_TRUE(txn.commit().is_ok());
    EXPECT_EQ(long_map.lookup(nullptr, FileBlock(0), ~u64{0}).value().count, TARNFS_EXTENT_MAX_LENGTH);
    EXPECT_EQ(long_map.lookup(nullptr, FileBlock(length + 1), ~u64{0}).value().count, 2u);
}

// A file in a thousand pieces goes in steps that each fit one record, and a hole punched into the middle
// splits.
TEST_F(BlockMapTest, LongUnmapGoesInSteps)
{
    Model model;
    for (u64 i = 5000; i-- > 0;)  // downwards: on the device no piece goes on where the one before it in the file ends
        ASSERT_EQ(publish(i * 2, 1, DeviceBlock(0), &model), Error::kNone);
    check(model);
    EXPECT_GT(unmap(1000, 3000), 1u);
    model.erase(model.lower_bound(1000), model.lower_bound(4000));
    check(model);
    EXPECT_GT(unmap(0, ~u64{0}), 1u);
    check({});
}

TEST_F(BlockMapTest, HoleInTheMiddleOfAnExtent)
{
    Model model;
    ASSERT_EQ(publish(10, 50, DeviceBlock(0), &model), Error::kNone);
    unmap(20, 5);
    model.erase(model.lower_bound(20), model.lower_bound(25));
    check(model);
    EXPECT_EQ(extents().size(), 2u);
    expect_lookup(model, 15, 100);
    expect_lookup(model, 20, 100);
    expect_lookup(model, 25, 100);
    unmap(0, 12);
    model.erase(model.lower_bound(0), model.lower_bound(12));
    unmap(55, 100);
    model.erase(model.lower_bound(55), model.end());
    check(model);
}

// Appends in small pieces: one extent, and a record of one size however long the file is.
TEST_F(BlockMapTest, AppendsAreCheap)
{
    u64 at = 0;
    DeviceBlock near(0);
    u64 most = 0;
    for (int i = 0; i < 1000; i++) {
        Initialised<Durable> token = zeroed(1, near);
        near = token.run().end();
        const u64 before = world_.device().counters().streamed_bytes();
        Transaction txn(volume());
        ASSERT_TRUE(map().publish(txn, FileBlock(at++), std::move(token)).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
        most = max(most, world_.device().counters().streamed_bytes() - before);
    }
    EXPECT_EQ(extents().size(), 1u);
    EXPECT_LE(most, 192u);
}

TEST_F(BlockMapTest, ImpossibleExtentsAreReported)
{
    ASSERT_EQ(publish(10, 4), Error::kNone);
    byte* root = world_.device().bytes() + root_.record.value + offsetof(tarnfs_inode, root);
    const u16 offset = *reinterpret_cast<u16*>(root + NodeView::kRootHeader);
    u64& value = *reinterpret_cast<u64*>(root + offset + 8);
    const u64 good = value;
    const Extent bad[] = {
        {FileBlock(10), 0, DeviceBlock(5000)},                                      // empty
        {FileBlock(10), 4, DeviceBlock(0)},                                         // over the superblock
        {FileBlock(10), 4, world_.layout().first_data - 1},                         // over the bitmaps
        {FileBlock(10), 4, world_.layout().replica() - 3},                          // over the replica
        {FileBlock(10), 4, DeviceBlock((u64{1} << TARNFS_EXTENT_BLOCK_BITS) - 1)},  // beyond the device
    };
    for (const Extent& extent : bad) {
        LogCapture log;
        value = pack_extent(extent);
        EXPECT_EQ(map().lookup(nullptr, FileBlock(11), 1).error(), Error::kBadExtent);
        EXPECT_TRUE(volume().is_read_only());
        EXPECT_TRUE(log.contains("data area")) << log.text();
        value = good;
        ASSERT_TRUE(volume().set_read_write().is_ok());
    }
}

}  // namespace tarn::test
