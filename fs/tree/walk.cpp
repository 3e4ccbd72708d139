// SPDX-License-Identifier: GPL-2.0
// TreeWalk: see walk.hpp. Reads only.
#include "fs/tree/walk.hpp"

#include "fs/space/bits.hpp"

namespace tarn {

namespace {

constexpr u64 kNoLimit = ~u64{0};

// Adds up a node's items and checks that no two share a byte.
class ItemTally {
  public:
    // Both multiples of 8, inside the node. False when something else has been there.
    bool add(u32 offset, u32 bytes)
    {
        const u32 first = offset / 8;
        const u32 end = first + bytes / 8;
        if (bits::find(units_, first, end, 1) != end)
            return false;
        bits::set(units_, first, end - first);
        total_ += bytes;
        return true;
    }
    u32 total() const { return total_; }

  private:
    u64 units_[kBlockSize / 8 / 64] = {};
    u32 total_ = 0;
};

const char* key_defect(const NodeView& node, u32 slot, u64 key, const NodePlace& place)
{
    if (key < place.lower || key > place.last)
        return "tree node with keys of another";
    if (slot == 0)
        return node.level() && key != place.lower ? "first key of a tree node above its parent's" : nullptr;
    return key > load<u64>(node.item(slot - 1)) ? nullptr : "tree node with keys out of order";
}

template <class Kind>
const char* items_defect(const NodeView& node, const NodePlace& place)
{
    ItemTally tally;
    for (u32 slot = 0; slot < node.count(); slot++) {
        const byte* at = node.item(slot);
        const u32 bytes = at ? item_bytes<Kind>(node.level(), at, node.room(at)) : 0;
        if (!bytes)
            return "item outside of its tree node";
        if (!tally.add(node.offset(slot), bytes))
            return "tree node whose items overlap";
        if (const char* defect = key_defect(node, slot, load<u64>(at), place))
            return defect;
    }
    const u32 dead = node.size() - node.heap() - tally.total();
    return dead == node.head().dead ? nullptr : "tree node with a wrong byte count";
}

}  // namespace

template <class Kind>
const char* node_defect(const NodeView& node, const TreeRoot& root, const NodePlace& place)
{
    if (const char* defect = node.header_defect(Kind::kTag, root.generation))
        return defect;
    if (!node.is_embedded())
        if (const char* defect = node.identity_defect(root.owner, place.level))
            return defect;
    return items_defect<Kind>(node, place);
}

template <class Kind>
NodeView TreeWalk<Kind>::view(u32 frame) const
{
    Media& media = volume_.media();
    if (frame == 0 && Kind::kRoot == RootPlace::kRecord)
        return NodeView::root(media.at(root_.record), block_of(root_.record));
    return NodeView::block(media.at(frames_[frame].block), frames_[frame].block);
}

// Checks a node and, when it is good, makes it the current one.
template <class Kind>
WalkEvent TreeWalk<Kind>::enter(const NodeView& node, const NodePlace& place)
{
    if (const char* defect = node_defect<Kind>(node, root_, place))
        return {WalkEvent::What::kDamage, node.where(), place.level, {}, defect};
    frames_[depth_++] = {node.where(), 0, place};
    return {WalkEvent::What::kNode, node.where(), node.level()};
}

// The root that a record names is a block of the tree.
template <class Kind>
std::optional<WalkEvent> TreeWalk<Kind>::start_block()
{
    const auto& record = *reinterpret_cast<const tarnfs_inode*>(volume_.media().at(root_.record));
    const DeviceBlock block(record.attributes);
    if (block == DeviceBlock(0))
        return std::nullopt;
    if (!volume_.layout().is_data(Run{block, 1}))
        return WalkEvent{
            WalkEvent::What::kDamage, block_of(root_.record), 0, {}, "root outside of the data area"};
    frames_[0].block = block;
    const NodeView root = view(0);
    return enter(root, NodePlace{root.level(), 0, kNoLimit});
}

// The embedded root is no block of the tree: only its damage is an event.
template <class Kind>
std::optional<WalkEvent> TreeWalk<Kind>::start()
{
    state_ = State::kStarted;
    if constexpr (Kind::kRoot == RootPlace::kBlock)
        return start_block();
    const NodeView root = view(0);
    const WalkEvent event = enter(root, NodePlace{root.level(), 0, kNoLimit});
    if (event.what == WalkEvent::What::kDamage)
        return event;
    return std::nullopt;
}

template <class Kind>
WalkEvent TreeWalk<Kind>::step_child(Frame& frame, const NodeView& node)
{
    const u32 slot = frame.slot++;
    const byte* item = node.item(slot);
    const DeviceBlock block(load<u64>(item + NodeView::kKey));
    NodePlace place{node.level() - 1, load<u64>(item), frame.place.last};
    if (slot + 1 < node.count())
        place.last = load<u64>(node.item(slot + 1)) - 1;
    if (!volume_.layout().is_data(Run{block, 1}))
        return {WalkEvent::What::kDamage, node.where(), node.level(), {}, "child outside of the data area"};
    return enter(NodeView::block(volume_.media().at(block), block), place);
}

template <class Kind>
WalkEvent TreeWalk<Kind>::step_item(Frame& frame, const NodeView& node)
{
    const byte* at = node.item(frame.slot++);
    const u32 bytes = Kind::bytes(at, node.room(at));
    if (const char* defect = Kind::defect(volume_.layout(), Bytes(at, bytes)))
        return {WalkEvent::What::kDamage, node.where(), 0, {}, defect};
    const Item item{load<u64>(at), Bytes(at + NodeView::kKey, bytes - NodeView::kKey)};
    return {WalkEvent::What::kItem, node.where(), 0, item};
}

template <class Kind>
std::optional<WalkEvent> TreeWalk<Kind>::next()
{
    if (state_ == State::kNew)
        if (auto event = start())
            return event;
    while (depth_) {
        Frame& frame = frames_[depth_ - 1];
        const NodeView node = view(depth_ - 1);
        if (frame.slot < node.count())
            return node.level() ? step_child(frame, node) : step_item(frame, node);
        depth_--;
    }
    return std::nullopt;
}

template <class Kind>
void TreeWalk<Kind>::skip()
{
    if (depth_ > 1 || Kind::kRoot == RootPlace::kBlock)
        depth_ -= depth_ ? 1 : 0;
}

template const char* node_defect<ExtentKind>(const NodeView&, const TreeRoot&, const NodePlace&);
template const char* node_defect<DirentKind>(const NodeView&, const TreeRoot&, const NodePlace&);
template const char* node_defect<XattrKind>(const NodeView&, const TreeRoot&, const NodePlace&);
template class TreeWalk<ExtentKind>;
template class TreeWalk<DirentKind>;
template class TreeWalk<XattrKind>;

}  // namespace tarn
