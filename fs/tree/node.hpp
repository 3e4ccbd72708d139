// SPDX-License-Identifier: GPL-2.0
// NodeView: one tree node, read with every offset checked. Layout: include/tarnfs/node.h.
//
// header_defect() must have passed before anything else is asked. It bounds the slots; each slot's offset is
// checked when it is followed (item()), so that a look-up pays only for the slots it touches.
#pragma once
#include "fs/tree/kinds.hpp"

namespace tarn {

class NodeView {
  public:
    static constexpr u32 kRootHeader = sizeof(tarnfs_node);
    static constexpr u32 kBlockHeader = sizeof(tarnfs_block_node);
    static constexpr u32 kSlot = sizeof(tarn_u16);
    static constexpr u32 kKey = sizeof(tarnfs_item);
    static constexpr u32 kChildBytes = sizeof(tarnfs_child_item);  // no item is smaller

    // The root embedded in the inode record at `record`, which lies in `block`.
    static NodeView root(const byte* record, DeviceBlock block)
    {
        return NodeView(record + offsetof(tarnfs_inode, root), block, kRootHeader, TARNFS_ROOT_BYTES);
    }
    static NodeView block(const byte* bytes, DeviceBlock block)
    {
        return NodeView(bytes, block, kBlockHeader, kBlockSize);
    }

    // The block it lies in.
    DeviceBlock where() const { return where_; }
    // In an inode record.
    bool is_embedded() const { return size_ == TARNFS_ROOT_BYTES; }
    const byte* bytes() const { return bytes_; }
    const tarnfs_node& head() const { return *reinterpret_cast<const tarnfs_node*>(bytes_); }
    u32 level() const { return head().level; }
    u32 count() const { return head().count; }
    u32 heap() const { return head().heap; }
    u32 size() const { return size_; }
    u32 header() const { return header_; }
    u32 capacity() const { return size_ - header_; }
    u32 slots_end() const { return header_ + count() * kSlot; }
    // Bytes of slots and items.
    u32 used() const { return count() * kSlot + size_ - heap() - head().dead; }
    // True when an item of `bytes` has room, if need be after the others have been moved.
    bool fits(u32 bytes) const { return used() + kSlot + bytes <= capacity(); }

    // Null, or what is wrong with the header; `generation` is the owner's.
    const char* header_defect(u8 kind, u32 generation) const
    {
        const tarnfs_node& h = head();
        if (h.magic != TARNFS_NODE_MAGIC || h.kind != kind) [[unlikely]]
            return "no tree node of this kind";
        if (h.generation != generation) [[unlikely]]
            return "tree node of an earlier inode";
        return shape_defect();
    }
    // Further for a block node: for a root block,
    const char* place_defect(InodeNumber owner) const
    {
        const auto& b = *reinterpret_cast<const tarnfs_block_node*>(bytes_);
        const bool is_ours = b.self == where_.value && b.owner == owner.value;
        return is_ours ? nullptr : "tree node of another place or owner";
    }
    // and for one below.
    const char* identity_defect(InodeNumber owner, u32 level) const
    {
        if (const char* defect = place_defect(owner)) [[unlikely]]
            return defect;
        if (head().level != level) [[unlikely]]
            return "tree node of another level";
        return count() ? nullptr : "empty tree node";
    }

    u32 offset(u32 slot) const { return load<u16>(bytes_ + header_ + slot * kSlot); }
    // The item of a slot: at least its key and eight more bytes lie inside the node. Null when the offset is
    // bad.
    const byte* item(u32 slot) const
    {
        const u32 at = offset(slot);
        return at % 8 == 0 && at >= heap() && at <= size_ - kChildBytes ? bytes_ + at : nullptr;
    }
    // How many bytes from `item` to the end of the node.
    u32 room(const byte* item) const { return static_cast<u32>(bytes_ + size_ - item); }

    // The number of items with a key <= `key`, or a negative number when a slot is bad. (Of unsorted keys it
    // gives some number: the check tells.)
    s32 rank(u64 key) const
    {
        const u32 lowest = heap();
        // One comparison for item()'s three: what is not a multiple of 8 becomes large by the rotation.
        const u32 limit = (size_ - kChildBytes - lowest) / 8;
        const byte* slots = bytes_ + header_;
        u32 low = 0;
        u32 high = count();
        while (low < high) {
            const u32 middle = (low + high) / 2;
            const u32 at = load<u16>(slots + middle * kSlot);
            if (std::rotr(at - lowest, 3) > limit) [[unlikely]]
                return -1;
            const bool below = load<u64>(bytes_ + at) <= key;
            low = below ? middle + 1 : low;
            high = below ? high : middle;
        }
        return static_cast<s32>(low);
    }

  private:
    NodeView(const byte* bytes, DeviceBlock where, u32 header, u32 size)
        : bytes_(bytes), where_(where), header_(header), size_(size)
    {
    }
    const char* shape_defect() const
    {
        const tarnfs_node& h = head();
        if (h.level > TARNFS_TREE_MAX_LEVEL || (h.level && !h.count)) [[unlikely]]
            return "tree node of an impossible level";
        if (h.heap > size_ || h.heap % 8 != 0 || slots_end() > h.heap) [[unlikely]]
            return "tree node whose slots and items overlap";
        if (h.dead > size_ - h.heap || (h.count && h.heap > size_ - kChildBytes)) [[unlikely]]
            return "tree node with an impossible byte count";
        return nullptr;
    }

    const byte* bytes_;
    DeviceBlock where_;
    u32 header_;
    u32 size_;
};

// Size of an item of a node at `level`, or 0 when it does not fit into `room`.
template <class Kind>
u32 item_bytes(u32 level, const byte* item, u32 room)
{
    if (level)
        return room >= NodeView::kChildBytes ? NodeView::kChildBytes : 0;
    return Kind::bytes(item, room);
}

}  // namespace tarn
