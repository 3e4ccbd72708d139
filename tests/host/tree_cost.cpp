// SPDX-License-Identifier: GPL-2.0
// What trees cost: journal bytes of a change, how full nodes are, and that a million items work.
#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

u64 value_of(u64 key, const Layout& layout)
{
    return pack_extent(Extent{FileBlock(key), 1, layout.first_data + key % 64});
}

Status insert_extent(Transaction& txn, Tree<ExtentKind>& tree, u64 key, const Layout& layout)
{
    const u64 value = value_of(key, layout);
    return tree.insert(txn, key, Bytes(reinterpret_cast<const byte*>(&value), sizeof value));
}

// Inserts the keys, several to a transaction.
void fill(TestVolume& world, const TreeRoot& root, const std::vector<u64>& keys)
{
    Tree<ExtentKind> tree(world.volume(), root);
    for (usize at = 0; at < keys.size();) {
        Transaction txn(world.volume());
        for (; at < keys.size() && txn.weight() < Transaction::kStepWeight; at++)
            ASSERT_TRUE(insert_extent(txn, tree, keys[at], world.layout()).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
}

// Items that fit into one leaf.
constexpr u64 kLeaf = (kBlockSize - NodeView::kBlockHeader) / (sizeof(tarnfs_extent_item) + NodeView::kSlot);

}  // namespace

// Files that grow fill their nodes.
TEST(TreeCost, AscendingInsertionsFillTheNodes)
{
    TestVolume world;
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_EXTENTS);
    std::vector<u64> keys;
    for (u64 i = 0; i < 20000; i++)
        keys.push_back(i * 2);
    fill(world, root, keys);
    EXPECT_LE(survey<ExtentKind>(world.volume(), root).nodes.size(), 20000 / kLeaf + 3);
}

// So do those whose last block was written first.
TEST(TreeCost, AscendingInsertionsBelowALastItemFillTheNodes)
{
    TestVolume world;
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_EXTENTS);
    std::vector<u64> keys{1'000'000, 1'000'002, 1'000'004, 1'000'006};
    for (u64 i = 0; i < 20000; i++)
        keys.push_back(i * 2);
    fill(world, root, keys);
    EXPECT_LE(survey<ExtentKind>(world.volume(), root).nodes.size(), 20000 / kLeaf * 105 / 100 + 3);
}

// Random insertions fill nodes to ln 2, as splitting in halves does.
TEST(TreeCost, RandomInsertionsFillTheNodesByTwoThirds)
{
    TestVolume world;
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_EXTENTS);
    std::vector<u64> keys;
    for (u64 i = 0; i < 20000; i++)
        keys.push_back(i);
    std::shuffle(keys.begin(), keys.end(), std::mt19937_64(1));
    fill(world, root, keys);
    EXPECT_LE(survey<ExtentKind>(world.volume(), root).nodes.size(), 20000 * 100 / 64 / kLeaf + 3);
}

// Journal bytes of one insertion into a node with room: the item, slots, the header.
TEST(TreeCost, InsertionLogsLittle)
{
    TestVolume world;
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_EXTENTS);
    Tree<ExtentKind> tree(world.volume(), root);
    std::mt19937_64 random(1);
    std::vector<u64> costs;
    for (int i = 0; i < 2000; i++) {
        Transaction txn(world.volume());
        const u64 before = world.device().counters().streamed_bytes();
        if (!insert_extent(txn, tree, random() % 1'000'000, world.layout()).is_ok())
            continue;
        ASSERT_TRUE(txn.commit().is_ok());
        costs.push_back(world.device().counters().streamed_bytes() - before);
    }
    std::sort(costs.begin(), costs.end());
    EXPECT_LE(costs[costs.size() / 2], 320u);         // median
    EXPECT_LE(costs[costs.size() * 97 / 100], 640u);  // all but those that split a node
}

// A steady churn in a full node reuses the room of erased items: nothing is moved together.
TEST(TreeCost, ChurnReusesGaps)
{
    TestVolume world;
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_EXTENTS);
    std::vector<u64> keys;
    for (u64 i = 0; i < kLeaf - 4; i++)
        keys.push_back(i * 100);
    fill(world, root, keys);
    Tree<ExtentKind> tree(world.volume(), root);
    std::mt19937_64 random(1);
    for (int i = 0; i < 2000; i++) {
        Transaction txn(world.volume());
        const u64 before = world.device().counters().streamed_bytes();
        u64& key = keys[random() % keys.size()];
        ASSERT_TRUE(tree.erase(txn, key).is_ok());
        key = key / 100 * 100 + (key + 1) % 100;
        ASSERT_TRUE(insert_extent(txn, tree, key, world.layout()).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
        ASSERT_LE(world.device().counters().streamed_bytes() - before, 256u);
    }
    EXPECT_EQ(survey<ExtentKind>(world.volume(), root).nodes.size(), 1u);
}

TEST(TreeCost, MillionItems)
{
    constexpr u64 kItems = 1'000'000;
    TestVolume world(32768);  // 128 MiB
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_EXTENTS);
    std::vector<u64> keys;
    for (u64 i = 0; i < kItems; i++)
        keys.push_back(i * 3);
    // Two thirds in order, the rest in between.
    std::shuffle(keys.begin() + kItems / 3 * 2, keys.end(), std::mt19937_64(1));
    fill(world, root, keys);
    const Survey found = survey<ExtentKind>(world.volume(), root);
    ASSERT_TRUE(found.damage.empty()) << found.damage[0];
    EXPECT_EQ(found.items.size(), kItems);
    EXPECT_EQ(found.height, 3u);
    EXPECT_EQ(record_of(world.volume(), root).blocks, found.nodes.size());
    Tree<ExtentKind> tree(world.volume(), root);
    for (u64 i = 0; i < kItems; i += 997) {
        auto item = tree.at_or_below(nullptr, i * 3 + 2);
        ASSERT_TRUE(item.is_ok() && item.value());
        EXPECT_EQ(item.value()->key, i * 3);
    }
}

// A device without a free block: an insertion that needs one changes nothing, and the rest goes on.
TEST(TreeCost, NoSpaceLeavesTheTransactionAsItWas)
{
    TestVolume world;
    Volume& volume = world.volume();
    const TreeRoot root = make_inode(volume, 5, TARNFS_TREE_EXTENTS);
    std::vector<u64> keys;
    for (u64 i = 0; i < kLeaf; i++)
        keys.push_back(i * 10);
    fill(world, root, keys);
    std::vector<Reserved> all;
    for (;;) {
        auto run = volume.reserve(1000, DeviceBlock(0));
        if (!run.is_ok())
            break;
        all.push_back(run.take());
    }
    Tree<ExtentKind> tree(volume, root);
    {
        Transaction txn(volume);
        ASSERT_EQ(insert_extent(txn, tree, 5, world.layout()).error(), Error::kNoSpace);
        ASSERT_TRUE(tree.erase(txn, 10).is_ok());
        ASSERT_TRUE(insert_extent(txn, tree, 5, world.layout()).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    const Survey found = survey<ExtentKind>(volume, root);
    EXPECT_TRUE(found.damage.empty());
    EXPECT_EQ(found.items.size(), kLeaf);
    EXPECT_EQ(found.items.count(5), 1u);
    // Who may use the reserve goes on.
    Transaction txn(volume);
    const u64 value = value_of(7, world.layout());
    EXPECT_TRUE(tree.insert(txn, 7, Bytes(reinterpret_cast<const byte*>(&value), 8), Use::kReserve).is_ok());
}

}  // namespace tarn::test
