// SPDX-License-Identifier: GPL-2.0
// TreeBuilder: puts a new tree in the place of one, from items in ascending order. For a change of so many
// items that the record would not hold it: what is logged is the new root, and which blocks come and go.
//
//   TreeBuilder<ExtentKind> builder(txn, volume, root);
//   builder.add(key, payload) ...; builder.drop(node) ...; builder.finish();
//
// Invariants: those of tree.hpp. Nodes are as full as they can be, but for the last of each level.
//
// Locks: the owner's Inode::lock exclusive, from the first add() until the transaction is over.
//
// Crash argument: new nodes are stored past the cache in blocks that nothing points to, and fenced by
// finish(). The caller's one record then links them, marks them in use and frees the old ones: after recovery
// the tree is the old one or the new one. Without the record the blocks were never in use. No record that may
// still be replayed names them: a tree node that has been freed is free only behind the floor.
#pragma once
#include "fs/tree/tree.hpp"

namespace tarn {

template <class Kind>
class TreeBuilder {
  public:
    TreeBuilder(Transaction& txn, Volume& volume, const TreeRoot& root)
        : txn_(txn), volume_(volume), root_(root)
    {
    }

    // All: may sleep; after an error drop the transaction. Errors: kNoSpace, kNoMemory, kTooLarge (no more
    // levels), and those of a fence.
    Status add(u64 key, Bytes payload) { return put(0, key, payload); }
    // A block node of the old tree.
    Status drop(DeviceBlock node);
    // The transaction now replaces the tree.
    Status finish();

  private:
    static constexpr u32 kLevels = TARNFS_TREE_MAX_LEVEL + 1;
    static constexpr u64 kReserveAtOnce = 16;  // blocks

    // The node of a level that is being filled.
    struct Level {
        Array<byte> bytes;  // none: the tree does not reach so high
        bool is_leftmost = true;
    };

    NodeView view(u32 level) const { return NodeView::block(levels_[level].bytes.data(), DeviceBlock()); }
    tarnfs_block_node& header(u32 level)
    {
        return *reinterpret_cast<tarnfs_block_node*>(levels_[level].bytes.data());
    }
    void clear(u32 level);
    Status put(u32 level, u64 key, Bytes payload);
    Status put_down(u32 level);
    Result<Reserved> next_block();
    Status publish();
    Status put_root(u32 level);

    Transaction& txn_;
    Volume& volume_;
    TreeRoot root_;
    Level levels_[kLevels];
    std::optional<Reserved> spare_;
    InFlightBatch in_flight_;
    u64 added_ = 0;
    u64 dropped_ = 0;
};

extern template class TreeBuilder<ExtentKind>;

}  // namespace tarn
