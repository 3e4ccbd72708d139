// SPDX-License-Identifier: GPL-2.0
// Trees across power cuts that lose every line that was not fenced: after recovery a tree is as before or as
// after a transaction that splits and joins nodes, never in between, and every block is accounted for.
#include "tests/host/support/durable.hpp"
#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

using Model = std::map<u64, std::string>;

// Opens what a power cut left and compares.
void expect_tree(const std::vector<std::byte>& image, const TreeRoot& root, const Model& model)
{
    LogCapture quiet;
    TestVolume after(image);
    const Survey found = survey<DirentKind>(after.volume(), root);
    ASSERT_TRUE(found.damage.empty()) << found.damage[0];
    ASSERT_EQ(found.items, model);
    ASSERT_EQ(record_of(after.volume(), root).blocks, found.nodes.size());
    for (u64 block : found.nodes) {
        const auto& bitmap = after.device().at<tarnfs_bitmap>(after.layout().bitmap(0).value);
        ASSERT_TRUE(bitmap.words[block / 64] >> block % 64 & 1)
            << "node " << block << " is not marked in use";
    }
}

std::string payload_of(u64 length)
{
    std::string item(8, '\1');
    item += '\4';
    item += static_cast<char>(length);
    item += std::string(length, 'n');
    item.resize(round_up(item.size() + 8, 8) - 8);
    return item;
}

// Changes that make nodes split and join: many of one sort.
void change(Transaction& txn, Tree<DirentKind>& tree, Model& model, std::mt19937_64& random, u64 inserts)
{
    for (int i = 0; i < 25; i++) {
        const u64 key = DirentKind::kFirstKey + random() % 400;
        if (random() % 100 < inserts) {
            const std::string payload = payload_of(1 + random() % 255);
            if (model.emplace(key, payload).second) {
                ASSERT_TRUE(tree.insert(txn, key, bytes_of(payload)).is_ok());
            }
        } else if (model.erase(key)) {
            ASSERT_TRUE(tree.erase(txn, key).is_ok());
        }
    }
}

}  // namespace

TEST(TreeCrash, BeforeOrAfter)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    TestVolume world;
    const TreeRoot root = make_inode(world.volume(), 5, TARNFS_TREE_DIRECTORY);
    Tree<DirentKind> tree(world.volume(), root);
    DurableImage durable(world.device());
    Model model;
    for (int step = 0; step < 60; step++) {
        const Model before = model;
        Transaction txn(world.volume());
        change(txn, tree, model, random, step < 30 ? 90 : 10);
        durable.remember_before_fence(1);
        const u64 fences = durable.fences();
        ASSERT_TRUE(txn.commit().is_ok());
        expect_tree(durable.bytes(), root, model);
        if (durable.fences() == fences + 1)
            expect_tree(durable.remembered(), root, before);
        ASSERT_FALSE(HasFatalFailure()) << "step " << step;
    }
}

}  // namespace tarn::test
