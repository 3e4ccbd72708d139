// SPDX-License-Identifier: GPL-2.0
// Tree: a persistent B+tree of variable-size items, one template for every kind of item (fs/tree/kinds.hpp).
//
// The root node is embedded in an inode record, or is a block that the record names (Kind::kRoot); all other
// nodes are blocks (include/tarnfs/node.h). A root block comes with the first item and goes with the last.
//
// Invariants (TreeWalk checks them all):
//   - A child's level is one less than its parent's; the root's is at most TARNFS_TREE_MAX_LEVEL.
//   - Keys of a node ascend strictly. A child holds keys from its item's key up to the next item's. The first
//     item of an internal node has the key of its parent's item (0 in the root): every key belongs to one
//     leaf.
//   - A block node has at least one item; only an embedded root may be empty, and then it is a leaf. (A root
//   block may
//     be inside a transaction.)
//   - Every block node carries its own number, its owner and the owner's generation.
//   - tarnfs_inode.blocks counts the block nodes (and data blocks: fs/file/block_map.hpp).
// Everything read from the media is checked: damage is kBadNode (kBadExtent, kBadDirectory, kBadXattr for an
// item), reported with the block it is in. A descent takes at most TARNFS_TREE_MAX_LEVEL + 1 steps whatever
// the media says.
//
// Locks: the caller holds the owner's Inode::lock, shared to look, exclusive from the first change until the
// transaction has been committed or dropped.
//
// Crash argument: a change of the tree, with all its splits, merges and freed nodes, is part of one
// Transaction: after recovery the tree is as before it or as after it. A new node is logged whole
// (Transaction::init_block) by the record that links it, or was durable before (builder.hpp). A freed node is
// Freed::kMetadata: its block is not used again while a record that could replay the old node over it may be
// replayed.
#pragma once
#include <optional>

#include "fs/tree/kinds.hpp"
#include "fs/tree/node.hpp"
#include "fs/txn/transaction.hpp"
#include "fs/txn/volume.hpp"

namespace tarn {

// Where a tree is and whose it is.
struct TreeRoot {
    MediaAddress record;  // the inode record that embeds the root node, or names its block
    InodeNumber owner;    // its number
    u32 generation = 0;   // its generation
    u8 kind = 0;          // TARNFS_TREE_*
};

// The header of a block node without items.
inline tarnfs_block_node empty_node(const TreeRoot& root, u8 kind, u32 level, DeviceBlock self)
{
    tarnfs_block_node header{};
    header.node.magic = TARNFS_NODE_MAGIC;
    header.node.kind = kind;
    header.node.level = static_cast<u8>(level);
    header.node.heap = kBlockSize;
    header.node.generation = root.generation;
    header.owner = root.owner.value;
    header.self = self.value;
    return header;
}

// Points into the media or a shadow: valid until the tree changes or the lock is dropped.
struct Item {
    u64 key = 0;
    Bytes payload;  // without the key
};

// Writes an empty root node to `root` (TARNFS_ROOT_BYTES bytes of an inode record under construction).
void init_tree_root(u8* root, u8 kind, u32 generation);

// The way from the root to a leaf: in each internal node the slot that was followed, in the leaf the number
// of items with a key <= the one looked for.
struct TreePath {
    struct Step {
        u64 block;  // of the node; the record's block for the embedded root
        u32 slot;
    };
    Step steps[TARNFS_TREE_MAX_LEVEL + 1];  // only those below `depth` are set: look-ups are on every fault
    u32 depth = 0;                          // steps in use; the last is the leaf

    u32 leaf() const { return depth - 1; }
};

// Towards lower or higher keys.
enum class Side : u8 { kLower, kHigher };

template <class Kind>
class NodeEditor;

template <class Kind>
class Tree {
  public:
    // A root of another kind is damage, met by whatever is done first: the media says what an inode is.
    Tree(Volume& volume, const TreeRoot& root) : volume_(volume), root_(root) {}

    // Look-ups. `txn` may be null; otherwise its uncommitted changes are seen. No sleep.
    // Errors: kBadNode, or the kind's own for an item that makes no sense.
    Result<std::optional<Item>> at_or_below(const Transaction* txn, u64 key) const;  // greatest key' <= key
    Result<std::optional<Item>> at_or_above(const Transaction* txn, u64 key) const;  // least key' >= key

    // Changes. The payload is what the kind says, a multiple of 8 bytes, and does not point into the tree.
    // May sleep. Errors: kExists, kNotFound and kNoSpace leave the transaction as it was; after any other
    // (kNoMemory, kBadNode, kTooLarge: no more levels) it may hold half of the change, and the caller drops
    // it.
    Status insert(Transaction& txn, u64 key, Bytes payload, Use use = Use::kOrdinary);
    // Gives an existing item another payload, of any size. After kNoSpace (only when it grows) drop the
    // transaction.
    Status replace(Transaction& txn, u64 key, Bytes payload, Use use = Use::kOrdinary);
    Status erase(Transaction& txn, u64 key);

    const TreeRoot& root() const { return root_; }

  private:
    using Editor = NodeEditor<Kind>;
    using Found = std::optional<Item>;
    using Spares = Vector<Reserved, 2>;  // blocks for the nodes a change will add
    struct Carry;                        // an item to put in, on its way up the path

    // Looking
    Error damaged(DeviceBlock where, const char* what) const;
    const byte* record(const Transaction* txn) const;
    bool has_root(const Transaction* txn) const;
    DeviceBlock root_block(const Transaction* txn) const;
    Result<NodeView> root_node(const Transaction* txn) const;
    Result<NodeView> child(const Transaction* txn, const NodeView& parent, u32 slot) const;
    Result<NodeView> node_at(const Transaction* txn, const TreePath& path, u32 step) const;
    Result<NodeView> descend(const Transaction* txn, u64 key, TreePath& path) const;
    Result<NodeView> descend_edge(const Transaction* txn, NodeView node, u32 slot, Side side) const;
    Result<Found> beside(const Transaction* txn, const TreePath& path, u64 key, Side side) const;
    Result<Found> item(const NodeView& leaf, u32 slot) const;
    Result<u32> find(const NodeView& leaf, const TreePath& path, u64 key) const;

    // Changing
    Result<Editor> edit_root(Transaction& txn) const;
    Result<Editor> edit(Transaction& txn, const TreePath& path, u32 step) const;
    Status make_root(Transaction& txn, Use use);
    Result<Editor> add_node(Transaction& txn, Spares& spares, u32 level);
    Status drop_node(Transaction& txn, DeviceBlock block);
    Status gather(Transaction& txn, const TreePath& path, u32 bytes, Use use, Spares& spares);
    Status put_up(Transaction& txn, const TreePath& path, Carry& carry, Spares& spares);
    Status push_down(Transaction& txn, Editor& root, u32 slot, Carry& carry, Spares& spares);
    Status split(Transaction& txn, Editor& node, u32 slot, Carry& carry, Spares& spares);
    Result<u32> split_point(const NodeView& node, u32 slot) const;
    Status remove(Transaction& txn, u64 key);
    Status take_up(Transaction& txn, const TreePath& path);
    Status take(Transaction& txn, Editor& node, u32 slot);
    Status lower_first(Transaction& txn, Editor node, u64 key);
    Result<std::optional<u32>> merge(Transaction& txn, const TreePath& path, u32 step);
    Status join(Transaction& txn, DeviceBlock left, const NodeView& right);
    Status pull_up(Transaction& txn);
    Status drop_root(Transaction& txn);

    Volume& volume_;
    TreeRoot root_;
};

extern template class Tree<ExtentKind>;
extern template class Tree<DirentKind>;
extern template class Tree<XattrKind>;

}  // namespace tarn
