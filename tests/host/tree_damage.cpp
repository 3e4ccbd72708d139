// SPDX-License-Identifier: GPL-2.0
// Trees on damaged media: whatever bytes a node holds, everything ends, nothing is touched outside of the
// node, and what is found wrong is reported as corruption.
#include <sanitizer/asan_interface.h>

#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u32 kSlot = 5;

template <class Kind>
std::string payload_of(u64 key, const Layout& layout);

template <>
std::string payload_of<ExtentKind>(u64 key, const Layout& layout)
{
    const u64 value = pack_extent(Extent{FileBlock(key), 1, layout.first_data});
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

template <>
std::string payload_of<DirentKind>(u64 key, const Layout&)
{
    std::string item(8, '\1');
    const u32 length = static_cast<u32>(key * 7 % 40 + 1);
    item += '\4';
    item += static_cast<char>(length);
    item += std::string(length, 'n');
    item.resize(round_up(item.size() + 8, 8) - 8);
    return item;
}

template <>
std::string payload_of<XattrKind>(u64 key, const Layout&)
{
    const u32 name_length = static_cast<u32>(key * 7 % 40 + 1);
    const u32 value_length = static_cast<u32>(key * 31 % 40);
    std::string item{1, static_cast<char>(name_length), 0, 0};
    item.append(reinterpret_cast<const char*>(&value_length), sizeof value_length);
    item += std::string(name_length, 'n');
    item.resize(XattrKind::value_at(name_length) - NodeView::kKey + XattrKind::value_bytes(value_length));
    return item;
}

// A volume with a tree of `count` items, and the tree's good image to go back to.
template <class Kind>
class DamageWorld {
  public:
    explicit DamageWorld(u32 count) : root_(make_inode(world_.volume(), kSlot, Kind::kTag))
    {
        Tree<Kind> tree(world_.volume(), root_);
        for (u32 i = 0; i < count; i++) {
            Transaction txn(world_.volume());
            const u64 key = key_of(i * 97 % count);
            EXPECT_TRUE(tree.insert(txn, key, bytes_of(payload_of<Kind>(key, world_.layout()))).is_ok());
            EXPECT_TRUE(txn.commit().is_ok());
        }
        for (u64 block : survey<Kind>(world_.volume(), root_).nodes)
            nodes_.push_back(DeviceBlock(block));
        // A root block comes last: what is done to the first shows in a node below the root.
        const DeviceBlock root_block(record_of(world_.volume(), root_).attributes);
        std::stable_partition(nodes_.begin(), nodes_.end(),
                              [&](DeviceBlock block) { return block != root_block; });
        good_ = world_.device().image();
    }

    static u64 key_of(u64 index) { return DirentKind::kFirstKey + index * 2; }
    const std::vector<DeviceBlock>& nodes() const { return nodes_; }
    Volume& volume() { return world_.volume(); }
    const TreeRoot& root() const { return root_; }
    byte* record() { return world_.device().bytes() + root_.record.value; }
    byte* node(usize index) { return world_.device().block(nodes_[index].value); }

    // Puts the tree's bytes back and allows changes again.
    void heal()
    {
        for (DeviceBlock block : nodes_)
            std::memcpy(world_.device().block(block.value), &good_[block.value * kBlockSize], kBlockSize);
        std::memcpy(record(), &good_[root_.record.value], TARNFS_INODE_BYTES);
        ASSERT_TRUE(volume().set_read_write().is_ok());
    }

    // Looks, walks and changes. Every answer is a good one or says what is wrong.
    void exercise(std::mt19937_64& random)
    {
        Tree<Kind> tree(volume(), root_);
        const u64 key = key_of(random() % 400) + random() % 2;
        {
            Guard guard(*this);
            expect_sane(tree.at_or_below(nullptr, key).error());
            expect_sane(tree.at_or_above(nullptr, key).error());
            scan(tree);
            survey<Kind>(volume(), root_);
        }
        change(tree, random);
    }

  private:
    // While it lives, AddressSanitizer traps on what lies beside the nodes.
    struct Guard {
        explicit Guard(DamageWorld& world) : its(world)
        {
            its.for_each_gap([](void* at, usize size) { ASAN_POISON_MEMORY_REGION(at, size); });
        }
        ~Guard()
        {
            its.for_each_gap([](void* at, usize size) { ASAN_UNPOISON_MEMORY_REGION(at, size); });
        }
        DamageWorld& its;
    };
    // All of a gap but its first word: a damaged child may name that block, and its magic is looked at.
    template <class Visit>
    void for_each_gap(Visit visit)
    {
        constexpr usize kWord = sizeof(u64);
        std::set<u64> used;
        for (DeviceBlock block : nodes_)
            used.insert(block.value);
        for (DeviceBlock block : nodes_)
            for (u64 beside : {block.value - 1, block.value + 1})
                if (!used.count(beside))
                    visit(world_.device().block(beside) + kWord, kBlockSize - kWord);
        visit(record() + TARNFS_INODE_BYTES, TARNFS_INODE_BYTES);
    }

    static void expect_sane(Error error)
    {
        EXPECT_TRUE(error == Error::kNone || is_corruption(error)) << describe(error);
    }
    // Goes through all items as readdir does: it must end.
    void scan(Tree<Kind>& tree)
    {
        u64 key = 0;
        for (u32 steps = 0;; steps++) {
            ASSERT_LT(steps, 100000u);
            auto item = tree.at_or_above(nullptr, key);
            expect_sane(item.error());
            if (!item.is_ok() || !item.value() || item.value()->key == ~u64{0})
                return;
            ASSERT_GE(item.value()->key, key);
            key = item.value()->key + 1;
        }
    }
    void change(Tree<Kind>& tree, std::mt19937_64& random)
    {
        Transaction txn(volume());
        for (int i = 0; i < 20; i++) {
            const u64 key = key_of(random() % 400) + random() % 2;
            const std::string payload = payload_of<Kind>(key, volume().layout());
            const Status done =
                random() % 2 ? tree.insert(txn, key, bytes_of(payload)) : tree.erase(txn, key);
            const Error error = done.error();
            EXPECT_TRUE(error == Error::kNone || error == Error::kExists || error == Error::kNotFound ||
                        error == Error::kReadOnly || error == Error::kTooLarge || is_corruption(error))
                << describe(error);
            if (is_corruption(error) || error == Error::kReadOnly)
                return;
        }
    }

    TestVolume world_;
    TreeRoot root_;
    std::vector<DeviceBlock> nodes_;
    std::vector<std::byte> good_;
};

}  // namespace

template <class Kind>
class TreeDamage : public testing::Test {
};
using Kinds = testing::Types<ExtentKind, DirentKind, XattrKind>;
TYPED_TEST_SUITE(TreeDamage, Kinds);

TYPED_TEST(TreeDamage, FlippedBitsAndBytes)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    LogCapture log;
    DamageWorld<TypeParam> world(1500);
    ASSERT_GT(world.nodes().size(), 6u);
    for (int round = 0; round < 1500; round++) {
        const bool in_root = random() % 8 == 0;
        byte* bytes = in_root ? world.record() + offsetof(tarnfs_inode, root)
                              : world.node(random() % world.nodes().size());
        // Headers and slots matter more than the rest.
        const u64 size = in_root ? TARNFS_ROOT_BYTES : random() % 2 ? kBlockSize : 64;
        for (u64 flips = 1 + random() % 4; flips; flips--)
            bytes[random() % size] = random() % 2 ? static_cast<byte>(random()) : byte{0xff};
        world.exercise(random);
        world.heal();
        ASSERT_FALSE(testing::Test::HasFatalFailure()) << "round " << round;
    }
}

TYPED_TEST(TreeDamage, NodesOfRandomBytes)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    LogCapture log;
    DamageWorld<TypeParam> world(1500);
    for (int round = 0; round < 300; round++) {
        byte* bytes = world.node(random() % world.nodes().size());
        // The header stays good, so that what follows is looked at.
        for (u64 at = NodeView::kBlockHeader; at < kBlockSize; at++)
            bytes[at] = static_cast<byte>(random());
        auto& head = *reinterpret_cast<tarnfs_node*>(bytes);
        head.count = static_cast<u16>(1 + random() % 300);
        head.heap =
            static_cast<u16>(round_up(NodeView::kBlockHeader + 2 * head.count, 8) + random() % 300 * 8);
        head.dead = static_cast<u16>(random() % 500);
        world.exercise(random);
        world.heal();
        ASSERT_FALSE(testing::Test::HasFatalFailure()) << "round " << round;
    }
}

// One kind of damage at a time: noticed by a look-up that meets it, with the right words, and by the walk.
TYPED_TEST(TreeDamage, IsNamed)
{
    struct Case {
        const char* words;
        void (*damage)(tarnfs_block_node& node);
    };
    const Case cases[] = {
        {"no tree node of this kind", [](tarnfs_block_node& n) { n.node.magic ^= 1; }},
        {"no tree node of this kind", [](tarnfs_block_node& n) { n.node.kind ^= 3; }},
        {"tree node of an earlier inode", [](tarnfs_block_node& n) { n.node.generation--; }},
        {"tree node of another place or owner", [](tarnfs_block_node& n) { n.owner++; }},
        {"tree node of another place or owner", [](tarnfs_block_node& n) { n.self++; }},
        {"tree node of another level", [](tarnfs_block_node& n) { n.node.level++; }},
        {"tree node of an impossible level", [](tarnfs_block_node& n) { n.node.level = 9; }},
        {"empty tree node", [](tarnfs_block_node& n) { n.node.count = 0; }},
        {"tree node whose slots and items overlap", [](tarnfs_block_node& n) { n.node.count = 4000; }},
        {"tree node whose slots and items overlap", [](tarnfs_block_node& n) { n.node.heap = 40; }},
        {"tree node with an impossible byte count", [](tarnfs_block_node& n) { n.node.dead = 4096; }},
    };
    DamageWorld<TypeParam> world(1500);
    for (const Case& one : cases) {
        LogCapture log;
        one.damage(*reinterpret_cast<tarnfs_block_node*>(world.node(0)));
        const Survey found = survey<TypeParam>(world.volume(), world.root());
        ASSERT_EQ(found.damage.size(), 1u) << one.words;
        EXPECT_EQ(found.damage[0], one.words);
        EXPECT_LT(found.nodes.size(), world.nodes().size());
        Tree<TypeParam> tree(world.volume(), world.root());
        Error error = Error::kNone;
        for (u64 key = 0; error == Error::kNone && key < 1500; key++)
            error = tree.at_or_below(nullptr, world.key_of(key)).error();
        EXPECT_EQ(error, Error::kBadNode) << one.words;
        EXPECT_TRUE(log.contains(one.words)) << log.text();
        EXPECT_TRUE(world.volume().is_read_only());
        world.heal();
    }
}

// Damage that look-ups need not notice but the walk does.
TYPED_TEST(TreeDamage, WalkSeesWhatLookupsPassBy)
{
    LogCapture log;
    DamageWorld<TypeParam> world(1500);
    auto slots = [&](usize node) {
        return reinterpret_cast<u16*>(world.node(node) + NodeView::kBlockHeader);
    };
    auto expect = [&](const char* words) {
        const Survey found = survey<TypeParam>(world.volume(), world.root());
        ASSERT_FALSE(found.damage.empty()) << words;
        EXPECT_EQ(found.damage[0], words);
        world.heal();
    };
    // A leaf: find one by its level.
    usize leaf = 0;
    while (reinterpret_cast<tarnfs_node*>(world.node(leaf))->level != 0)
        leaf++;
    std::swap(slots(leaf)[3], slots(leaf)[4]);
    expect("tree node with keys out of order");
    slots(leaf)[3] = slots(leaf)[4];
    expect("tree node whose items overlap");
    reinterpret_cast<tarnfs_node*>(world.node(leaf))->dead += 8;
    expect("tree node with a wrong byte count");
    *reinterpret_cast<u64*>(world.node(leaf) + slots(leaf)[0]) = DirentKind::kFirstKey + 1'000'000;
    expect("tree node with keys of another");
    slots(leaf)[0] += 1;
    expect("item outside of its tree node");
}

// A root of many levels whose nodes all point to one another: the walk ends soon, and so does every look-up.
TYPED_TEST(TreeDamage, NodesSharedByManyParents)
{
    LogCapture log;
    DamageWorld<TypeParam> world(1500);
    for (usize i = 0; i < world.nodes().size(); i++) {
        auto& node = *reinterpret_cast<tarnfs_block_node*>(world.node(i));
        if (node.node.level == 0)
            continue;
        const auto* slots = reinterpret_cast<u16*>(&node + 1);
        const u64 first = reinterpret_cast<tarnfs_child_item*>(world.node(i) + slots[0])->block;
        for (u32 slot = 1; slot < node.node.count; slot++)
            reinterpret_cast<tarnfs_child_item*>(world.node(i) + slots[slot])->block = first;
    }
    const Survey found = survey<TypeParam>(world.volume(), world.root());
    EXPECT_FALSE(found.damage.empty());
    EXPECT_LT(found.events, 5000u);
    std::mt19937_64 random(1);
    world.exercise(random);
}

TYPED_TEST(TreeDamage, ItemsThatMakeNoSense)
{
    LogCapture log;
    DamageWorld<TypeParam> world(40);
    ASSERT_EQ(world.nodes().size(), 1u);
    const u16 offset = *reinterpret_cast<u16*>(world.node(0) + NodeView::kBlockHeader);
    // A run of no blocks; an entry that names inode 0; an attribute of no name space.
    std::memset(world.node(0) + offset + 8, 0, std::is_same_v<TypeParam, XattrKind> ? 1 : 8);
    Tree<TypeParam> tree(world.volume(), world.root());
    EXPECT_EQ(tree.at_or_above(nullptr, 0).error(), TypeParam::kDefect);
    EXPECT_TRUE(tree.at_or_above(nullptr, world.key_of(1)).is_ok());
    EXPECT_EQ(survey<TypeParam>(world.volume(), world.root()).damage.size(), 1u);
    EXPECT_EQ(survey<TypeParam>(world.volume(), world.root()).items.size(), 39u);
}

}  // namespace tarn::test
