// SPDX-License-Identifier: GPL-2.0
// NodeEditor: see node_editor.hpp. Crash argument: everything goes through a Shadow (fs/txn).
#include "fs/tree/node_editor.hpp"

#include <cstring>

#include "fs/space/bits.hpp"

namespace tarn {

// One bit for each 8 bytes of a node.
template <class Kind>
struct NodeEditor<Kind>::Units {
    static constexpr u32 kBytes = 8;
    u64 words[kBlockSize / kBytes / 64] = {};

    void take(u32 offset, u32 bytes) { bits::set(words, offset / kBytes, bytes / kBytes); }
    // Offset of the first free run of `bytes` in [from, limit), or `limit`.
    u32 find(u32 from, u32 limit, u32 bytes) const
    {
        const u32 wanted = bytes / kBytes;
        const u32 end = limit / kBytes;
        for (u32 at = from / kBytes; (at = bits::find(words, at, end, 0)) + wanted <= end;) {
            const u32 taken = bits::find(words, at, at + wanted, 1);
            if (taken == at + wanted)
                return at * kBytes;
            at = taken;
        }
        return limit;
    }
};

template <class Kind>
Result<Bytes> NodeEditor<Kind>::whole_item(Volume& volume, const NodeView& node, u32 slot)
{
    const byte* at = node.item(slot);
    const u32 bytes = at ? item_bytes<Kind>(node.level(), at, node.room(at)) : 0;
    if (!bytes) [[unlikely]]
        return volume.corrupt(Error::kBadNode, node.where(), "item outside of its tree node");
    return Bytes(at, bytes);
}

template <class Kind>
void NodeEditor<Kind>::reset(u32 level)
{
    tarnfs_node header = view().head();
    header.level = static_cast<u8>(level);
    header.count = 0;
    header.heap = static_cast<u16>(view().size());
    header.dead = 0;
    store_header(header);
}

// Neighbours of a new item have lower and higher keys.
template <class Kind>
Status NodeEditor<Kind>::check_order(u32 slot, u64 key)
{
    const NodeView node = view();
    TARN_BUG_ON(slot > node.count());
    const byte* below = slot ? node.item(slot - 1) : nullptr;
    const byte* above = slot < node.count() ? node.item(slot) : nullptr;
    if ((slot && !below) || (slot < node.count() && !above))
        return damaged("item outside of its tree node");
    if ((below && load<u64>(below) >= key) || (above && load<u64>(above) <= key))
        return damaged("tree node with keys out of order");
    return Ok{};
}

template <class Kind>
Status NodeEditor<Kind>::put(u32 slot, u64 key, Bytes payload)
{
    const u32 bytes = NodeView::kKey + static_cast<u32>(payload.size());
    TRY(check_order(slot, key));
    const u16 at = static_cast<u16>(TRY(place(bytes)));
    const NodeView node = view();
    const u32 slot_at = base_ + node.header() + slot * NodeView::kSlot;
    shadow_->store(base_ + at, &key, sizeof key);
    shadow_->store(base_ + at + NodeView::kKey, payload.data(), static_cast<u32>(payload.size()));
    shadow_->move(slot_at + NodeView::kSlot, slot_at, (node.count() - slot) * NodeView::kSlot);
    shadow_->store(slot_at, &at, sizeof at);
    tarnfs_node header = node.head();
    header.count++;
    if (at < header.heap)
        header.heap = at;
    else
        header.dead = static_cast<u16>(header.dead - bytes);
    store_header(header);
    return Ok{};
}

// Where an item of `bytes` goes: an offset below heap, or of a gap.
template <class Kind>
Result<u32> NodeEditor<Kind>::place(u32 bytes)
{
    const u32 lowest = view().slots_end() + NodeView::kSlot;
    if (view().heap() >= lowest + bytes)
        return view().heap() - bytes;
    if (view().heap() >= lowest && view().head().dead >= bytes) {
        const u32 gap = TRY(find_gap(bytes));
        if (gap)
            return gap;
    }
    TRY(compact());
    if (view().heap() < lowest + bytes)
        return damaged("tree node with a wrong byte count");
    return view().heap() - bytes;
}

// The lowest gap that holds `bytes`, or 0.
template <class Kind>
Result<u32> NodeEditor<Kind>::find_gap(u32 bytes)
{
    const NodeView node = view();
    Units units;
    for (u32 slot = 0; slot < node.count(); slot++) {
        const Bytes item = TRY(whole_item(*volume_, node, slot));
        units.take(node.offset(slot), static_cast<u32>(item.size()));
    }
    const u32 gap = units.find(node.heap(), node.size(), bytes);
    return gap < node.size() ? gap : 0;
}

// Moves all items together at the node's end.
template <class Kind>
Status NodeEditor<Kind>::compact()
{
    const NodeView node = view();
    auto image = TRY(Array<byte>::create(node.size()));
    memcpy(image.data(), node.bytes(), node.header());
    u32 heap = node.size();
    for (u32 slot = 0; slot < node.count(); slot++) {
        const Bytes item = TRY(whole_item(*volume_, node, slot));
        if (item.size() > heap - node.slots_end())
            return damaged("tree node whose items overlap");
        heap -= static_cast<u32>(item.size());
        memcpy(image.data() + heap, item.data(), item.size());
        const u16 at = static_cast<u16>(heap);
        memcpy(image.data() + node.header() + slot * NodeView::kSlot, &at, sizeof at);
    }
    const u32 header = node.header();
    const u32 slots = node.count() * NodeView::kSlot;
    shadow_->store(base_ + header, image.data() + header, slots);
    shadow_->store(base_ + heap, image.data() + heap, node.size() - heap);
    tarnfs_node head = node.head();
    head.heap = static_cast<u16>(heap);
    head.dead = 0;
    store_header(head);
    return Ok{};
}

template <class Kind>
Status NodeEditor<Kind>::remove(u32 slot)
{
    const NodeView node = view();
    TARN_BUG_ON(slot >= node.count());
    const u32 at = node.offset(slot);
    const u32 bytes = static_cast<u32>(TRY(whole_item(*volume_, node, slot)).size());
    const u32 slot_at = base_ + node.header() + slot * NodeView::kSlot;
    shadow_->move(slot_at, slot_at + NodeView::kSlot, (node.count() - slot - 1) * NodeView::kSlot);
    tarnfs_node header = node.head();
    header.count--;
    if (header.count == 0) {
        header.heap = static_cast<u16>(node.size());
        header.dead = 0;
    } else if (at == header.heap) {
        header.heap = static_cast<u16>(at + bytes);
    } else {
        header.dead = static_cast<u16>(header.dead + bytes);
    }
    if (header.dead > node.size() - header.heap)
        return damaged("tree node with a wrong byte count");
    store_header(header);
    return Ok{};
}

template <class Kind>
Status NodeEditor<Kind>::keep_first(u32 count)
{
    const NodeView node = view();
    TARN_BUG_ON(count == 0 || count > node.count());
    u32 kept = 0;
    u32 heap = node.size();
    for (u32 slot = 0; slot < count; slot++) {
        kept += static_cast<u32>(TRY(whole_item(*volume_, node, slot)).size());
        heap = min(heap, node.offset(slot));
    }
    if (kept > node.size() - heap)
        return damaged("tree node whose items overlap");
    tarnfs_node header = node.head();
    header.count = static_cast<u16>(count);
    header.heap = static_cast<u16>(heap);
    header.dead = static_cast<u16>(node.size() - heap - kept);
    store_header(header);
    return Ok{};
}

template <class Kind>
void NodeEditor<Kind>::set_payload(u32 slot, Bytes payload)
{
    const u32 at = base_ + view().offset(slot) + NodeView::kKey;
    shadow_->store(at, payload.data(), static_cast<u32>(payload.size()));
}

template <class Kind>
void NodeEditor<Kind>::set_key(u32 slot, u64 key)
{
    shadow_->store(base_ + view().offset(slot), &key, sizeof key);
}

template <class Kind>
Status NodeEditor<Kind>::append(const NodeView& source, u32 first)
{
    for (u32 slot = first; slot < source.count(); slot++) {
        const Bytes item = TRY(whole_item(*volume_, source, slot));
        if (!view().fits(static_cast<u32>(item.size())))
            return damaged("tree node with a wrong byte count");
        TRY(put(view().count(), load<u64>(item.data()), item.subspan(NodeView::kKey)));
    }
    return Ok{};
}

template class NodeEditor<ExtentKind>;
template class NodeEditor<DirentKind>;
template class NodeEditor<XattrKind>;

}  // namespace tarn
