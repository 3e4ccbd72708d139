// SPDX-License-Identifier: GPL-2.0
// Trees against std::map: random changes in transactions that commit or are dropped, the whole tree checked
// after each.
#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

using Model = std::map<u64, std::string>;

// Random items.
struct Extents {
    using Kind = ExtentKind;
    static constexpr u64 kKeys = 3000;
    static u64 key(u64 index) { return index; }
    static std::string payload(std::mt19937_64& random, u64 key, const Layout& layout)
    {
        const DeviceBlock block(layout.first_data.value + random() % 100);
        const u64 value = pack_extent(Extent{FileBlock(key), 1 + random() % 3, block});
        return std::string(reinterpret_cast<const char*>(&value), sizeof value);
    }
};

std::string entry_payload(std::mt19937_64& random, u32 name_length)
{
    const u64 inode = 1 + random() % 1000;
    std::string item(reinterpret_cast<const char*>(&inode), sizeof inode);
    item += static_cast<char>(8);
    item += static_cast<char>(name_length);
    for (u32 i = 0; i < name_length; i++)
        item += static_cast<char>('a' + random() % 26);
    item.resize(round_up(NodeView::kKey + item.size(), 8) - NodeView::kKey);
    return item;
}

// Mostly short names, as in life, some of the longest.
struct Names {
    using Kind = DirentKind;
    static constexpr u64 kKeys = 1500;
    static u64 key(u64 index) { return DirentKind::kFirstKey + index; }
    static std::string payload(std::mt19937_64& random, u64, const Layout&)
    {
        return entry_payload(random, static_cast<u32>(random() % 8 ? 1 + random() % 24 : 1 + random() % 255));
    }
};

// Few items to a leaf: many nodes, several levels.
struct LongNames {
    using Kind = DirentKind;
    static constexpr u64 kKeys = 9000;
    static u64 key(u64 index) { return DirentKind::kFirstKey + index; }
    static std::string payload(std::mt19937_64& random, u64, const Layout&)
    {
        return entry_payload(random, static_cast<u32>(200 + random() % 56));
    }
};

std::string xattr_payload(std::mt19937_64& random, u32 name_length, u32 value_length, const Layout& layout)
{
    std::string item(1, static_cast<char>(1 + random() % 4));
    item += static_cast<char>(name_length);
    item += std::string(2, '\0');
    item.append(reinterpret_cast<const char*>(&value_length), sizeof value_length);
    item += std::string(name_length, 'n');
    item.resize(XattrKind::value_at(name_length) - NodeView::kKey);
    const usize value_at = item.size();
    for (u32 i = 0; i < XattrKind::value_blocks(value_length); i++) {
        const u64 block = layout.first_data.value + i;
        item.append(reinterpret_cast<const char*>(&block), sizeof block);
    }
    item.resize(value_at + XattrKind::value_bytes(value_length), static_cast<char>('a' + random() % 26));
    return item;
}

// The root is a block, and the items are of all sizes.
struct Xattrs {
    using Kind = XattrKind;
    static constexpr u64 kKeys = 300;
    static u64 key(u64 index) { return DirentKind::kFirstKey + index; }
    static std::string payload(std::mt19937_64& random, u64, const Layout& layout)
    {
        const u32 name_length = static_cast<u32>(1 + random() % (random() % 8 ? 24 : 255));
        return xattr_payload(random, name_length, static_cast<u32>(random() % (random() % 8 ? 600 : 65537)),
                             layout);
    }
};

// As many nodes as possible.
struct LongXattrs {
    using Kind = XattrKind;
    static constexpr u64 kKeys = 4000;
    static u64 key(u64 index) { return DirentKind::kFirstKey + index; }
    static std::string payload(std::mt19937_64& random, u64, const Layout& layout)
    {
        return xattr_payload(random, static_cast<u32>(250 + random() % 6), TARNFS_XATTR_INLINE, layout);
    }
};

enum class Check : u8 { kNow, kLater };

template <class Source>
class TreeWorld {
  public:
    using Kind = typename Source::Kind;

    explicit TreeWorld(u64 seed, u64 blocks = kTestBlocks)
        : random_(seed),
          world_(blocks),
          root_(make_inode(world_.volume(), 5, Kind::kTag)),
          free_(world_->space().free_blocks())
    {
    }

    // `changes` changes in one transaction, which commits or, one time in eight, is dropped. `inserts` of 100
    // insert.
    void step(u32 changes, u32 inserts, Check when = Check::kNow)
    {
        Model model = model_;
        {
            Transaction txn(world_.volume());
            Tree<Kind> tree(world_.volume(), root_);
            for (u32 i = 0; i < changes; i++) {
                change(txn, tree, model, inserts);
                look(&txn, tree, model);
                if (testing::Test::HasFatalFailure())
                    return;
            }
            if (random_() % 8 == 0)
                model = model_;
            else
                ASSERT_TRUE(txn.commit().is_ok());
        }
        model_ = std::move(model);
        if (when == Check::kNow)
            check();
    }

    void check()
    {
        const Survey found = survey<Kind>(world_.volume(), root_);
        ASSERT_TRUE(found.damage.empty()) << found.damage[0];
        ASSERT_EQ(found.items, model_);
        ASSERT_EQ(record_of(world_.volume(), root_).blocks, found.nodes.size());
        const Space& space = world_->space();
        ASSERT_EQ(space.free_blocks() + found.nodes.size(), free_);
        for (int i = 0; i < 8; i++)
            look(nullptr, Tree<Kind>(world_.volume(), root_), model_);
    }

    void reopen()
    {
        world_.abandon();
        world_.open();
        free_ = world_->space().free_blocks() + survey<Kind>(world_.volume(), root_).nodes.size();
        check();
    }

    usize size() const { return model_.size(); }
    TestVolume& world() { return world_; }
    const TreeRoot& root() const { return root_; }
    std::mt19937_64& random() { return random_; }

  private:
    u64 random_key() { return Source::key(random_() % Source::kKeys); }

    void change(Transaction& txn, Tree<Kind>& tree, Model& model, u32 inserts)
    {
        u64 key = random_key();
        const u64 what = random_() % 100;
        // Most erasures and replacements shall find something.
        if (what >= inserts && random_() % 4 && !model.empty()) {
            const auto near = model.lower_bound(key);
            key = near == model.end() ? model.begin()->first : near->first;
        }
        const std::string payload = Source::payload(random_, key, world_.layout());
        const bool known = model.count(key) != 0;
        if (what < inserts) {
            ASSERT_EQ(tree.insert(txn, key, bytes_of(payload)).error(),
                      known ? Error::kExists : Error::kNone);
            model.emplace(key, payload);
        } else if (what % 4 == 0) {
            ASSERT_EQ(tree.replace(txn, key, bytes_of(payload)).error(),
                      known ? Error::kNone : Error::kNotFound);
            if (known)
                model[key] = payload;
        } else {
            ASSERT_EQ(tree.erase(txn, key).error(), known ? Error::kNone : Error::kNotFound);
            model.erase(key);
        }
    }

    void look(const Transaction* txn, const Tree<Kind>& tree, const Model& model)
    {
        const u64 key = random_key();
        auto above = tree.at_or_above(txn, key);
        auto expected = model.lower_bound(key);
        ASSERT_TRUE(above.is_ok());
        expect_same(above.value(), expected == model.end() ? nullptr : &*expected);
        auto below = tree.at_or_below(txn, key);
        expected = model.upper_bound(key);
        ASSERT_TRUE(below.is_ok());
        expect_same(below.value(), expected == model.begin() ? nullptr : &*std::prev(expected));
    }

    static void expect_same(const std::optional<Item>& item, const Model::value_type* expected)
    {
        ASSERT_EQ(item.has_value(), expected != nullptr);
        if (!item)
            return;
        ASSERT_EQ(item->key, expected->first);
        ASSERT_EQ(text_of(item->payload), expected->second);
    }

    std::mt19937_64 random_;
    TestVolume world_;
    TreeRoot root_;
    u64 free_;  // blocks free or in the tree
    Model model_;
};

// Grows, stays, shrinks to nothing; then opens the volume as after a power cut.
template <class Source>
void live(TreeWorld<Source>& world, u32 changes, u32 steps)
{
    for (u32 inserts : {85u, 50u, 15u}) {
        for (u32 i = 0; i < steps; i++) {
            world.step(1 + static_cast<u32>(world.random()() % changes), inserts);
            if (testing::Test::HasFatalFailure())
                return;
        }
        world.reopen();
    }
}

}  // namespace

template <class Source>
class TreeProperty : public testing::Test {
};
using Sources = testing::Types<Extents, Names, Xattrs>;
TYPED_TEST_SUITE(TreeProperty, Sources);

TYPED_TEST(TreeProperty, OneChangeInATransaction)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    TreeWorld<TypeParam> world(seed);
    live(world, 1, 700);
}

TYPED_TEST(TreeProperty, ManyChangesInATransaction)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    TreeWorld<TypeParam> world(seed);
    live(world, 40, 150);
}

// Changes around the sizes at which the root moves out and in, a node splits and joins.
TYPED_TEST(TreeProperty, SmallTrees)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    TreeWorld<TypeParam> world(seed);
    for (u32 i = 0; i < 1500; i++) {
        world.step(1, world.size() < 4 ? 80 : world.size() > 9 ? 20 : 50);
        ASSERT_FALSE(this->HasFatalFailure());
    }
}

// Internal nodes split and join, too: checked now and then, as the tree is large.
template <class Source>
class LargeTree : public testing::Test {
};
using LongSources = testing::Types<LongNames, LongXattrs>;
TYPED_TEST_SUITE(LargeTree, LongSources);

TYPED_TEST(LargeTree, GrowsAndShrinks)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    TreeWorld<TypeParam> world(seed, 16384);
    usize most = 0;
    for (u32 inserts : {95u, 50u, 0u}) {
        for (u32 i = 0; i < 12; i++) {
            for (u32 j = 0; j < 10; j++)
                world.step(40, inserts, Check::kLater);
            world.check();
            ASSERT_FALSE(this->HasFatalFailure());
            most = max(most,
                       survey<typename TypeParam::Kind>(world.world().volume(), world.root()).nodes.size());
        }
        world.reopen();
    }
    EXPECT_GT(most, 300u);  // more leaves than one internal node has room for
}

// Everything goes, the tree is as at first, and so is the free space once the journals are retired.
TYPED_TEST(TreeProperty, EmptiedTreeGivesEverythingBack)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    TreeWorld<TypeParam> world(seed);
    Volume& volume = world.world().volume();
    const u64 free = volume.space().free_blocks();
    for (u32 i = 0; i < 60; i++)
        world.step(40, 90);
    ASSERT_GT(record_of(volume, world.root()).blocks, 4u);
    Tree<typename TypeParam::Kind> tree(volume, world.root());
    for (;;) {
        auto first = tree.at_or_above(nullptr, 0);
        ASSERT_TRUE(first.is_ok());
        if (!first.value())
            break;
        Transaction txn(volume);
        ASSERT_TRUE(tree.erase(txn, first.value()->key).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    EXPECT_EQ(record_of(volume, world.root()).blocks, 0u);
    const auto& root = *reinterpret_cast<const tarnfs_node*>(record_of(volume, world.root()).root);
    EXPECT_EQ(root.level, 0);
    EXPECT_EQ(root.count, 0);
    ASSERT_TRUE(volume.retire().is_ok());
    EXPECT_EQ(volume.space().free_blocks(), free);
}

// A transaction may add a node and free it again (a rename in a small directory does).
TYPED_TEST(TreeProperty, NodeAddedAndFreedInOneTransaction)
{
    TreeWorld<TypeParam> world(1);
    Volume& volume = world.world().volume();
    const u64 free = volume.space().free_blocks();
    Tree<typename TypeParam::Kind> tree(volume, world.root());
    std::vector<u64> keys;
    {
        Transaction txn(volume);
        while (record_of(volume, world.root()).blocks == 0 && keys.size() < 12) {
            keys.push_back(TypeParam::key(keys.size()));
            const auto payload = TypeParam::payload(world.random(), keys.back(), volume.layout());
            ASSERT_TRUE(tree.insert(txn, keys.back(), bytes_of(payload)).is_ok());
        }
        for (u64 key : keys)
            ASSERT_TRUE(tree.erase(txn, key).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    world.check();
    ASSERT_TRUE(volume.retire().is_ok());
    EXPECT_EQ(volume.space().free_blocks(), free);
    world.reopen();
}

}  // namespace tarn::test
