// SPDX-License-Identifier: GPL-2.0
// Salvage: the good items of a tree in which something is wrong, and a new tree made of them.
#pragma once
#include "fs/tree/tree.hpp"

namespace tarn {

// Items in any order, in DRAM.
class ItemList {
  public:
    usize size() const { return items_.size(); }
    u64 key(usize index) const { return items_[index].key; }
    Bytes payload(usize index) const;
    // Payloads are multiples of 8 bytes, 8-byte aligned. Error: kNoMemory.
    Status add(u64 key, Bytes payload);
    void set_key(usize index, u64 key) { items_[index].key = key; }
    MutableBytes last_payload();
    void sort();
    // Leaves out items of which `drop(index)` says so; called once for each, in order.
    template <class Drop>
    void remove_if(Drop drop);

  private:
    struct Kept {
        u64 key;
        u64 first;  // word of its payload
        u64 words;

        // Of equal keys the one that was added first.
        bool is_before(const Kept& other) const
        {
            return key != other.key ? key < other.key : first < other.first;
        }
    };
    void sift(usize at, usize count);

    Vector<Kept, 8> items_;
    Vector<u64, 32> words_;
};

template <class Drop>
void ItemList::remove_if(Drop drop)
{
    usize kept = 0;
    for (usize i = 0; i < items_.size(); i++)
        if (!drop(i)) {
            items_[kept++] = items_[i];
        }
    while (items_.size() > kept)
        items_.pop();
}

struct Salvage {
    explicit Salvage(const TreeRoot& where) : root(where) {}

    // Directories and attributes: puts everything where its name belongs; of two with one name the first
    // stays.
    void settle_names(const u64 seed[2]);

    TreeRoot root;
    ItemList items;
    u64 data = 0;                   // blocks in them
    u64 others = 0;                 // blocks that the inode has beside this tree
    Vector<DeviceBlock, 16> nodes;  // good nodes of the old tree
};

// A tree that nothing points to yet.
struct BuiltTree {
    byte root[TARNFS_ROOT_BYTES] = {};  // for the inode's record: the root node,
    DeviceBlock root_block;             // or for attributes where it is (0: there is no item)
    Vector<DeviceBlock, 16> nodes;      // stored, not fenced
};

// Who gives blocks for nodes: free ones, each once.
struct BlockSource {
    void* context;
    Result<DeviceBlock> (*take)(void* context);
};

// Stores a tree of the items (sorted, keys differ) to fresh blocks. Errors: those of the source, kNoMemory.
Status build_tree(Media& media, const TreeRoot& root, const ItemList& items, BlockSource source,
                  BuiltTree& built);

}  // namespace tarn
