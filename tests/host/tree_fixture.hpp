// SPDX-License-Identifier: GPL-2.0
// For the tests of trees and of what is built on them: an inode record to hang a tree from, and what a walk
// over the tree on the media finds.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fs/tree/walk.hpp"
#include "tests/host/support/random.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

// A fresh inode with an empty tree, in a slot of the first inode chunk.
inline TreeRoot make_inode(Volume& volume, u32 slot, u8 kind)
{
    const DeviceBlock chunk = volume.layout().first_data + TARNFS_INODE_GROUP_HEADER;
    TreeRoot root{address_of(chunk) + slot * TARNFS_INODE_BYTES, InodeNumber(slot), 7, kind};
    Transaction txn(volume);
    auto record = txn.edit_inode_record(root.record);
    EXPECT_TRUE(record.is_ok());
    tarnfs_inode& inode = record.value();
    std::memset(&inode, 0, sizeof inode);
    inode.magic = TARNFS_INODE_MAGIC;
    inode.number = slot;
    inode.generation = root.generation;
    inode.links = 1;
    init_tree_root(inode.root, kind, root.generation);
    EXPECT_TRUE(txn.commit().is_ok());
    return root;
}

inline const tarnfs_inode& record_of(Volume& volume, const TreeRoot& root)
{
    return *reinterpret_cast<const tarnfs_inode*>(volume.media().at(root.record));
}

inline std::string text_of(Bytes bytes)
{
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
inline Bytes bytes_of(const std::string& text)
{
    return Bytes(reinterpret_cast<const byte*>(text.data()), text.size());
}

// What a walk over the tree on the media found.
struct Survey {
    std::map<u64, std::string> items;  // key, payload
    std::set<u64> nodes;               // block nodes
    std::vector<std::string> damage;
    u32 height = 0;  // levels of block nodes
    u64 events = 0;
};

template <class Kind>
Survey survey(Volume& volume, const TreeRoot& root)
{
    Survey found;
    TreeWalk<Kind> walk(volume, root);
    while (std::optional<WalkEvent> event = walk.next()) {
        found.events++;
        if (event->what == WalkEvent::What::kNode) {
            EXPECT_TRUE(found.nodes.insert(event->block.value).second) << "node met twice";
            found.height = max(found.height, event->level + 1);
        } else if (event->what == WalkEvent::What::kItem) {
            EXPECT_TRUE(found.items.empty() || found.items.rbegin()->first < event->item.key);
            found.items.emplace_hint(found.items.end(), event->item.key, text_of(event->item.payload));
        } else {
            found.damage.push_back(event->damage);
        }
    }
    return found;
}

}  // namespace tarn::test
