// SPDX-License-Identifier: GPL-2.0
// RadixTree against std::map.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "cxxrt/host/host.hpp"
#include "fs/dax/radix.hpp"

using namespace tarn;
using Tag = RadixTree::Tag;

namespace {

constexpr Tag kAllTags[] = {Tag::kDirty, Tag::kToWrite, Tag::kWriteBack};

// What the tree should do, said with a map.
class Model {
  public:
    struct Item {
        u64 word;
        std::set<Tag> tags;
    };
    std::map<u64, Item> items;

    std::optional<u64> next(u64 from, u64 last) const
    {
        auto found = items.lower_bound(from);
        return found != items.end() && found->first <= last ? std::optional(found->first) : std::nullopt;
    }
    std::optional<u64> next_tagged(Tag tag, u64 from, u64 last) const
    {
        for (auto at = items.lower_bound(from); at != items.end() && at->first <= last; ++at)
            if (at->second.tags.count(tag))
                return at->first;
        return std::nullopt;
    }
    u64 tagged_before(Tag tag, u64 index, u64 most) const
    {
        u64 run = 0;
        for (; run < most && run < index; run++)
            if (auto at = items.find(index - run - 1); at == items.end() || !at->second.tags.count(tag))
                break;
        return run;
    }
};

class Tree {
  public:
    ~Tree()
    {
        while (auto index = tree.next(0, ~u64{0}))
            tree.erase(*index);
    }
    void set(u64 index, u64 word)
    {
        RadixTree::Spare spare;
        while (!tree.set(index, word, spare))
            ASSERT_TRUE(spare.fill());
    }
    RadixTree tree;
};

void expect_same(const RadixTree& tree, const Model& model)
{
    ASSERT_EQ(tree.empty(), model.items.empty());
    u64 at = 0;
    for (auto& [index, item] : model.items) {
        ASSERT_EQ(tree.next(at, ~u64{0}), index);
        ASSERT_EQ(tree.get(index), item.word);
        for (Tag tag : kAllTags)
            ASSERT_EQ(tree.has_tag(index, tag), item.tags.count(tag) != 0) << index;
        at = index + 1;
    }
    if (at != 0) {
        ASSERT_EQ(tree.next(at, ~u64{0}), std::nullopt);
    }
    for (Tag tag : kAllTags)
        ASSERT_EQ(tree.any_tagged(tag), model.next_tagged(tag, 0, ~u64{0}).has_value());
}

// Indexes that lie close together, far apart, and at the edges of nodes.
u64 some_index(std::mt19937_64& random)
{
    switch (random() % 6) {
    case 0: return random() % 64;
    case 1: return random() % 10000;
    case 2: return (u64{1} << (random() % 64)) - 1;
    case 3: return (u64{1} << (random() % 64)) + random() % 3;
    case 4: return (random() % 50) * 64 + 63 * (random() % 2);
    default: return ~u64{0} - random() % 130;
    }
}

}  // namespace

TEST(TrackerRadix, StartsEmptyAndFindsNothing)
{
    RadixTree tree;
    EXPECT_TRUE(tree.empty());
    EXPECT_EQ(tree.get(0), 0u);
    EXPECT_EQ(tree.get(~u64{0}), 0u);
    EXPECT_EQ(tree.next(0, ~u64{0}), std::nullopt);
    EXPECT_EQ(tree.next_tagged(Tag::kDirty, 0, ~u64{0}), std::nullopt);
    tree.erase(5);
    tree.set_tag(5, Tag::kDirty);
    EXPECT_FALSE(tree.has_tag(5, Tag::kDirty));
}

TEST(TrackerRadix, HoldsTheFirstAndTheLastIndex)
{
    Tree tree;
    tree.set(0, 1);
    tree.set(~u64{0}, 3);
    EXPECT_EQ(tree.tree.get(0), 1u);
    EXPECT_EQ(tree.tree.get(~u64{0}), 3u);
    EXPECT_EQ(tree.tree.next(1, ~u64{0}), ~u64{0});
    EXPECT_EQ(tree.tree.next(1, ~u64{0} - 1), std::nullopt);
}

TEST(TrackerRadix, FreesNodesWithTheirLastWord)
{
    u64 before = host::live_allocations();
    {
        Tree tree;
        for (u64 index = 0; index < 100000; index += 37)
            tree.set(index << 10, 1);
        EXPECT_GT(tree.tree.node_count(), 100u);
        for (u64 index = 0; index < 100000; index += 37)
            tree.tree.erase(index << 10);
        EXPECT_TRUE(tree.tree.empty());
        EXPECT_EQ(tree.tree.node_count(), 0u);
    }
    EXPECT_EQ(host::live_allocations(), before);
}

TEST(TrackerRadix, GivingUpLeavesNothingBehind)
{
    u64 before = host::live_allocations();
    for (unsigned nodes = 0; nodes < RadixTree::kLevels; nodes++) {
        Tree tree;
        tree.set(7, 1);
        {
            RadixTree::Spare spare;
            unsigned filled = 0;
            while (!tree.tree.set(~u64{0}, 3, spare) && filled++ < nodes)
                ASSERT_TRUE(spare.fill());
        }
        if (!tree.tree.get(~u64{0}))
            tree.tree.abandon(~u64{0});
        EXPECT_EQ(tree.tree.get(7), 1u);
        EXPECT_EQ(tree.tree.next(8, ~u64{0} - 1), std::nullopt);
        tree.tree.erase(7);
        tree.tree.erase(~u64{0});
        EXPECT_EQ(tree.tree.node_count(), 0u);
    }
    EXPECT_EQ(host::live_allocations(), before);
}

TEST(TrackerRadix, TagsGoWithTheirWord)
{
    Tree tree;
    tree.set(100, 1);
    tree.tree.set_tag(100, Tag::kDirty);
    tree.tree.erase(100);
    tree.set(100, 3);
    EXPECT_FALSE(tree.tree.has_tag(100, Tag::kDirty));
    EXPECT_FALSE(tree.tree.any_tagged(Tag::kDirty));
}

TEST(TrackerRadix, FindingATaggedWordCostsNoWalkOverTheOthers)
{
    Tree tree;
    for (u64 index = 0; index < 300000; index++)
        tree.set(index, 1);
    tree.tree.set_tag(299999, Tag::kDirty);
    for (int i = 0; i < 200000; i++)
        ASSERT_EQ(tree.tree.next_tagged(Tag::kDirty, 1, ~u64{0}), 299999u);
}

TEST(TrackerRadix, CopiesATagInSteps)
{
    Tree tree;
    for (u64 index = 0; index < 1000; index++) {
        tree.set(index * 3, 1);
        if (index % 2)
            tree.tree.set_tag(index * 3, Tag::kDirty);
    }
    std::optional<u64> at = 30;
    int steps = 0;
    while (at) {
        at = tree.tree.copy_tag(Tag::kDirty, Tag::kToWrite, *at, 2000, 2);
        steps++;
    }
    EXPECT_GT(steps, 5);
    for (u64 index = 0; index < 1000; index++)
        ASSERT_EQ(tree.tree.has_tag(index * 3, Tag::kToWrite), index % 2 && index * 3 >= 30 && index * 3 <= 2000) << index;
}

class TrackerRadixRandom : public testing::TestWithParam<unsigned> {};

TEST_P(TrackerRadixRandom, DoesWhatAMapDoes)
{
    std::mt19937_64 random(GetParam());
    Tree tree;
    Model model;
    for (int step = 0; step < 4000; step++) {
        u64 index = some_index(random);
        // Half of the time something that is there.
        if (!model.items.empty() && random() % 2)
            index = model.next(index, ~u64{0}).value_or(model.items.begin()->first);
        Tag tag = kAllTags[random() % 3];
        switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
            u64 word = random() | 1;
            tree.set(index, word);
            model.items[index].word = word;
            break;
        }
        case 3:
            tree.tree.erase(index);
            model.items.erase(index);
            break;
        case 4:
            tree.tree.set_tag(index, tag);
            if (model.items.count(index))
                model.items[index].tags.insert(tag);
            break;
        case 5:
            tree.tree.clear_tag(index, tag);
            if (model.items.count(index))
                model.items[index].tags.erase(tag);
            break;
        case 6: {
            u64 last = some_index(random);
            Tag to = kAllTags[random() % 3];
            for (std::optional<u64> at = index; at && *at <= last;)
                at = tree.tree.copy_tag(tag, to, *at, last, 1 + random() % 3);
            for (auto& [there, item] : model.items)
                if (there >= index && there <= last && item.tags.count(tag))
                    item.tags.insert(to);
            break;
        }
        default: {
            u64 last = some_index(random);
            ASSERT_EQ(tree.tree.next(index, last), model.next(index, last));
            ASSERT_EQ(tree.tree.next_tagged(tag, index, last), model.next_tagged(tag, index, last));
            ASSERT_EQ(tree.tree.tagged_before(tag, index, 100), model.tagged_before(tag, index, 100));
        }
        }
        if (step % 64 == 0)
            expect_same(tree.tree, model);
    }
    expect_same(tree.tree, model);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TrackerRadixRandom, testing::Range(1u, 13u));
