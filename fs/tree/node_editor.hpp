// SPDX-License-Identifier: GPL-2.0
// NodeEditor: changes of one node, made in a transaction's shadow.
//
// What an insertion logs is the new item, the slots behind it and the header: items stay where they are. Room
// is taken in this order: below the lowest item; in a gap that a removed item left (nothing else moves); and
// only when neither is large enough, all items are moved together (compact).
//
// Nothing here trusts the node: an item that does not lie in it, or bytes that do not add up, are kBadNode.
// After an error the transaction must be dropped.
#pragma once
#include "fs/tree/node.hpp"
#include "fs/txn/transaction.hpp"
#include "fs/txn/volume.hpp"

namespace tarn {

template <class Kind>
class NodeEditor {
  public:
    static NodeEditor root(Volume& volume, Shadow& shadow)
    {
        return NodeEditor(volume, shadow, offsetof(tarnfs_inode, root));
    }
    static NodeEditor block(Volume& volume, Shadow& shadow) { return NodeEditor(volume, shadow, 0); }

    // The node as it is now. Editing makes no earlier view stale but for the bytes it changes.
    NodeView view() const
    {
        const DeviceBlock where = block_of(shadow_->address());
        return base_ ? NodeView::root(shadow_->bytes(), where) : NodeView::block(shadow_->bytes(), where);
    }

    // Makes an empty node of a fresh block.
    void init(const tarnfs_block_node& header) { shadow_->store(0, &header, sizeof header); }
    // Takes all items out and changes the level.
    void reset(u32 level);

    // Adds an item as slot `slot` (0..count). fits() has said yes. May sleep. Errors: kBadNode, kNoMemory.
    Status put(u32 slot, u64 key, Bytes payload);
    // Takes an item out.
    Status remove(u32 slot);
    // Keeps the items of slots below `count`.
    Status keep_first(u32 count);
    // Same size as the old payload.
    void set_payload(u32 slot, Bytes payload);
    void set_key(u32 slot, u64 key);
    // Adds the items of `source` from slot `first` on, behind the ones that are here.
    Status append(const NodeView& source, u32 first);

    // An item of `node` whole (key first), checked to lie in the node. Errors: kBadNode.
    static Result<Bytes> whole_item(Volume& volume, const NodeView& node, u32 slot);

  private:
    NodeEditor(Volume& volume, Shadow& shadow, u32 base) : volume_(&volume), shadow_(&shadow), base_(base) {}

    struct Units;  // which 8-byte units of the node hold items

    void store_header(const tarnfs_node& header) { shadow_->store(base_, &header, sizeof header); }
    Error damaged(const char* what) { return volume_->corrupt(Error::kBadNode, view().where(), what); }
    Status check_order(u32 slot, u64 key);
    Result<u32> place(u32 bytes);
    Result<u32> find_gap(u32 bytes);
    Status compact();

    Volume* volume_;
    Shadow* shadow_;
    u32 base_;  // of the node in the shadow
};

}  // namespace tarn
