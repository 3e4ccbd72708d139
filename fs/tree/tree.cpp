// SPDX-License-Identifier: GPL-2.0
// Tree: finding items, inserting and erasing them. Invariants, locks and crash argument: tree.hpp.
//
// A change goes down once, to the leaf, and then up the path as far as it has to. Going up, an insertion
// carries the item for the next node (that of a new child), an erasure the slot that is to go.
//   - Full nodes split. Where insertions come in ascending order they split at the insertion, so that the
//     left node stays full; otherwise in halves of bytes.
//   - A full root moves its contents to a new block and gets a level more; where that block is as full, it
//   splits.
//   - A node that loses its last item goes. One with less than a third in use joins a neighbour when both
//     then fill at most two thirds, so that insertions and erasures in turn do not split and join.
//   - A root with one small child takes the child's contents; a root block without an item goes.
#include "fs/tree/tree.hpp"

#include "fs/tree/node_editor.hpp"

namespace tarn {

// ---- looking: the way of a fault ------------------------------------------------------------------------

template <class Kind>
Error Tree<Kind>::damaged(DeviceBlock where, const char* what) const
{
    return volume_.corrupt(Error::kBadNode, where, what);
}

template <class Kind>
const byte* Tree<Kind>::record(const Transaction* txn) const
{
    return txn ? txn->view(root_.record) : volume_.media().at(root_.record);
}

// 0 where there is none.
template <class Kind>
DeviceBlock Tree<Kind>::root_block(const Transaction* txn) const
{
    return DeviceBlock(reinterpret_cast<const tarnfs_inode*>(record(txn))->attributes);
}

template <class Kind>
bool Tree<Kind>::has_root(const Transaction* txn) const
{
    if constexpr (Kind::kRoot == RootPlace::kRecord)
        return true;
    return root_block(txn) != DeviceBlock(0);
}

template <class Kind>
Result<NodeView> Tree<Kind>::root_node(const Transaction* txn) const
{
    if constexpr (Kind::kRoot == RootPlace::kRecord) {
        const NodeView node = NodeView::root(record(txn), block_of(root_.record));
        if (const char* defect = node.header_defect(Kind::kTag, root_.generation)) [[unlikely]]
            return damaged(node.where(), defect);
        return node;
    }
    const DeviceBlock block = root_block(txn);
    if (!volume_.layout().is_data(Run{block, 1}))
        return damaged(block_of(root_.record), "root outside of the data area");
    const NodeView node = NodeView::block(txn ? txn->view(block) : volume_.media().at(block), block);
    const char* defect = node.header_defect(Kind::kTag, root_.generation);
    if (!defect)
        defect = node.place_defect(root_.owner);
    if (defect)
        return damaged(block, defect);
    return node;
}

// The child in a slot of an internal node. Levels fall by one, which bounds every descent.
template <class Kind>
Result<NodeView> Tree<Kind>::child(const Transaction* txn, const NodeView& parent, u32 slot) const
{
    const byte* item = parent.item(slot);
    const DeviceBlock block(item ? load<u64>(item + NodeView::kKey) : 0);
    if (!volume_.layout().is_data(Run{block, 1})) [[unlikely]]
        return damaged(parent.where(), "child outside of the data area");
    const NodeView node = NodeView::block(txn ? txn->view(block) : volume_.media().at(block), block);
    const char* defect = node.header_defect(Kind::kTag, root_.generation);
    if (!defect)
        defect = node.identity_defect(root_.owner, parent.level() - 1);
    if (defect) [[unlikely]]
        return damaged(block, defect);
    return node;
}

// A node of a path that descend() has checked.
template <class Kind>
Result<NodeView> Tree<Kind>::node_at(const Transaction* txn, const TreePath& path, u32 step) const
{
    if (step == 0)
        return root_node(txn);
    const DeviceBlock block(path.steps[step].block);
    return NodeView::block(txn ? txn->view(block) : volume_.media().at(block), block);
}

template <class Kind>
Result<NodeView> Tree<Kind>::descend(const Transaction* txn, u64 key, TreePath& path) const
{
    NodeView node = TRY(root_node(txn));
    for (path.depth = 0;;) {
        const s32 rank = node.rank(key);
        if (rank < 0) [[unlikely]]
            return damaged(node.where(), "item outside of its tree node");
        TreePath::Step& step = path.steps[path.depth++];
        step = {node.where().value, static_cast<u32>(rank)};
        if (node.level() == 0)
            return node;
        if (rank == 0) [[unlikely]]
            return damaged(node.where(), "first key of a tree node above its parent's");
        step.slot--;
        node = TRY(child(txn, node, step.slot));
    }
}

// From a slot of an internal node down to its lowest or highest leaf.
template <class Kind>
Result<NodeView> Tree<Kind>::descend_edge(const Transaction* txn, NodeView node, u32 slot, Side side) const
{
    for (;;) {
        node = TRY(child(txn, node, slot));
        if (node.level() == 0)
            return node;
        slot = side == Side::kHigher ? node.count() - 1 : 0;
    }
}

// The last item of the leaf below the path's (kLower), the first of the one above (kHigher). It is on its
// side of `key`, so that whoever goes through a damaged tree still gets on.
template <class Kind>
Result<std::optional<Item>> Tree<Kind>::beside(const Transaction* txn, const TreePath& path, u64 key,
                                               Side side) const
{
    for (u32 step = path.leaf(); step-- > 0;) {
        const NodeView node = TRY(node_at(txn, path, step));
        const u32 slot = path.steps[step].slot;
        if (side == Side::kLower ? slot == 0 : slot + 1 >= node.count())
            continue;
        const bool lower = side == Side::kLower;
        const NodeView leaf = TRY(lower ? descend_edge(txn, node, slot - 1, Side::kHigher)
                                        : descend_edge(txn, node, slot + 1, Side::kLower));
        const Found found = TRY(item(leaf, lower ? leaf.count() - 1 : 0));
        if (lower ? found->key >= key : found->key <= key) [[unlikely]]
            return damaged(leaf.where(), "tree node with keys of another");
        return found;
    }
    return Found();
}

// A leaf's item, checked.
template <class Kind>
Result<std::optional<Item>> Tree<Kind>::item(const NodeView& leaf, u32 slot) const
{
    const byte* at = leaf.item(slot);
    const u32 bytes = at ? Kind::bytes(at, leaf.room(at)) : 0;
    if (!bytes) [[unlikely]]
        return damaged(leaf.where(), "item outside of its tree node");
    const Bytes whole(at, bytes);
    if (const char* defect = Kind::defect(volume_.layout(), whole)) [[unlikely]]
        return volume_.corrupt(Kind::kDefect, leaf.where(), defect);
    return Found(Item{load<u64>(at), Bytes(at + NodeView::kKey, bytes - NodeView::kKey)});
}

template <class Kind>
Result<std::optional<Item>> Tree<Kind>::at_or_below(const Transaction* txn, u64 key) const
{
    if (!has_root(txn))
        return Found();
    TreePath path;
    const NodeView leaf = TRY(descend(txn, key, path));
    const u32 rank = path.steps[path.leaf()].slot;
    return rank ? item(leaf, rank - 1) : beside(txn, path, key, Side::kLower);
}

template <class Kind>
Result<std::optional<Item>> Tree<Kind>::at_or_above(const Transaction* txn, u64 key) const
{
    if (!has_root(txn))
        return Found();
    TreePath path;
    const NodeView leaf = TRY(descend(txn, key, path));
    const u32 rank = path.steps[path.leaf()].slot;
    if (rank && load<u64>(leaf.item(rank - 1)) == key)
        return item(leaf, rank - 1);
    return rank < leaf.count() ? item(leaf, rank) : beside(txn, path, key, Side::kHigher);
}

// The slot of `key` in the leaf that descend() found, or kNotFound.
template <class Kind>
Result<u32> Tree<Kind>::find(const NodeView& leaf, const TreePath& path, u64 key) const
{
    const u32 rank = path.steps[path.leaf()].slot;
    const byte* at = rank ? leaf.item(rank - 1) : nullptr;
    if (!at || load<u64>(at) != key)
        return Error::kNotFound;
    return rank - 1;
}

// ---- nodes ----------------------------------------------------------------------------------------------

namespace {

Bytes bytes_of(const u64& value) { return Bytes(reinterpret_cast<const byte*>(&value), sizeof value); }

}  // namespace

// The payload is the caller's for a leaf; for the levels above it is `child`.
template <class Kind>
struct Tree<Kind>::Carry {
    u64 key;
    Bytes payload;
    u64 child = 0;

    u32 bytes() const { return NodeView::kKey + static_cast<u32>(payload.size()); }
    void become(u64 lowest_key, DeviceBlock block)
    {
        key = lowest_key;
        child = block.value;
        payload = bytes_of(child);
    }
};

template <class Kind>
Result<NodeEditor<Kind>> Tree<Kind>::edit_root(Transaction& txn) const
{
    if constexpr (Kind::kRoot == RootPlace::kRecord)
        return Editor::root(volume_, TRY(txn.edit_inode(root_.record)));
    return Editor::block(volume_, TRY(txn.edit_block(root_block(&txn))));
}

template <class Kind>
Result<NodeEditor<Kind>> Tree<Kind>::edit(Transaction& txn, const TreePath& path, u32 step) const
{
    if (step == 0)
        return edit_root(txn);
    return Editor::block(volume_, TRY(txn.edit_block(DeviceBlock(path.steps[step].block))));
}

template <class Kind>
Result<NodeEditor<Kind>> Tree<Kind>::add_node(Transaction& txn, Spares& spares, u32 level)
{
    TARN_BUG_ON(spares.empty());
    Reserved spare = std::move(spares.back());
    spares.pop();
    const tarnfs_block_node header = empty_node(root_, Kind::kTag, level, spare.run().start);
    Editor node = Editor::block(volume_, TRY(txn.init_block(std::move(spare))));
    node.init(header);
    tarnfs_inode& record = TRY(txn.edit_inode_record(root_.record));
    record.blocks++;
    return node;
}

template <class Kind>
Status Tree<Kind>::drop_node(Transaction& txn, DeviceBlock block)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(root_.record));
    record.blocks -= record.blocks ? 1 : 0;
    return txn.free(Run{block, 1}, Freed::kMetadata);
}

// ---- inserting ------------------------------------------------------------------------------------------

template <class Kind>
Status Tree<Kind>::insert(Transaction& txn, u64 key, Bytes payload, Use use)
{
    TARN_ASSERT(payload.size() % 8 == 0 && payload.size() + NodeView::kKey <= Kind::kMaxBytes);
    if (!has_root(&txn))
        TRY(make_root(txn, use));
    TreePath path;
    const NodeView leaf = TRY(descend(&txn, key, path));
    if (find(leaf, path, key).is_ok())
        return Error::kExists;
    Carry carry{key, payload};
    Spares spares;
    TRY(gather(txn, path, carry.bytes(), use, spares));
    return put_up(txn, path, carry, spares);
}

// Sets aside a block for each node that put_up() will add: before anything changes, so that a full device
// fails well.
template <class Kind>
Status Tree<Kind>::gather(Transaction& txn, const TreePath& path, u32 bytes, Use use, Spares& spares)
{
    for (u32 step = path.leaf();; step--) {
        const NodeView node = TRY(node_at(&txn, path, step));
        if (node.fits(bytes))
            return Ok{};
        if (step == 0 && node.level() == TARNFS_TREE_MAX_LEVEL)
            return Error::kTooLarge;
        for (u32 left = step == 0 && Kind::kRoot == RootPlace::kBlock ? 2 : 1; left; left--) {
            Reserved spare = TRY(volume_.reserve(1, node.where(), use));
            TRY(spares.push(std::move(spare)));
        }
        if (step == 0)
            return Ok{};
        bytes = NodeView::kChildBytes;
    }
}

template <class Kind>
Status Tree<Kind>::put_up(Transaction& txn, const TreePath& path, Carry& carry, Spares& spares)
{
    for (u32 step = path.leaf();; step--) {
        Editor node = TRY(edit(txn, path, step));
        const u32 slot = path.steps[step].slot + (step == path.leaf() ? 0 : 1);
        if (node.view().fits(carry.bytes()))
            return node.put(slot, carry.key, carry.payload);
        if (step == 0)
            return push_down(txn, node, slot, carry, spares);
        TRY(split(txn, node, slot, carry, spares));
    }
}

// The first item's root: one block node, empty until the item is in it.
template <class Kind>
Status Tree<Kind>::make_root(Transaction& txn, Use use)
{
    Spares spares;
    Reserved spare = TRY(volume_.reserve(1, block_of(root_.record), use));
    const DeviceBlock block = spare.run().start;
    TRY(spares.push(std::move(spare)));
    TRY(add_node(txn, spares, 0));
    tarnfs_inode& record = TRY(txn.edit_inode_record(root_.record));
    record.attributes = block.value;
    return Ok{};
}

// The full root's contents and the carried item become a block node, the root's only child; or two, where the
// root is as large as they are.
template <class Kind>
Status Tree<Kind>::push_down(Transaction& txn, Editor& root, u32 slot, Carry& carry, Spares& spares)
{
    const u32 level = root.view().level();
    Editor node = TRY(add_node(txn, spares, level));
    TRY(node.append(root.view(), 0));
    root.reset(level + 1);
    const u64 block = node.view().where().value;
    TRY(root.put(0, 0, bytes_of(block)));
    if (node.view().fits(carry.bytes()))
        return node.put(slot, carry.key, carry.payload);
    TRY(split(txn, node, slot, carry, spares));
    return root.put(1, carry.key, carry.payload);
}

// The items from the split point on, and the carried one if it belongs there, become a new node; the carry
// becomes the item for that node's parent.
template <class Kind>
Status Tree<Kind>::split(Transaction& txn, Editor& node, u32 slot, Carry& carry, Spares& spares)
{
    const u32 first = TRY(split_point(node.view(), slot));
    Editor right = TRY(add_node(txn, spares, node.view().level()));
    TRY(right.append(node.view(), first));
    TRY(node.keep_first(first));
    if (slot >= first)
        TRY(right.put(slot - first, carry.key, carry.payload));
    else
        TRY(node.put(slot, carry.key, carry.payload));
    const Bytes lowest = TRY(Editor::whole_item(volume_, right.view(), 0));
    carry.become(load<u64>(lowest.data()), right.view().where());
    return Ok{};
}

// The first slot that moves when a full node splits for an insertion at `slot`: at least 1.
template <class Kind>
Result<u32> Tree<Kind>::split_point(const NodeView& node, u32 slot) const
{
    if (node.count() < 2)
        return damaged(node.where(), "tree node with a wrong byte count");
    u32 left = 0;
    u32 half = 0;
    while (left < node.used() / 2 && half < node.count() - 1) {
        left += NodeView::kSlot + static_cast<u32>(TRY(Editor::whole_item(volume_, node, half)).size());
        half++;
    }
    if (slot < half)
        return half;
    // The item before is at the end, or the one that was added last: insertions come in ascending order.
    const bool ascending = slot == node.count() || node.offset(slot - 1) == node.heap();
    return ascending ? slot : half;
}

template <class Kind>
Status Tree<Kind>::replace(Transaction& txn, u64 key, Bytes payload, Use use)
{
    TARN_ASSERT(payload.size() % 8 == 0 && payload.size() + NodeView::kKey <= Kind::kMaxBytes);
    if (!has_root(&txn))
        return Error::kNotFound;
    TreePath path;
    const NodeView leaf = TRY(descend(&txn, key, path));
    const u32 slot = TRY(find(leaf, path, key));
    if (TRY(Editor::whole_item(volume_, leaf, slot)).size() == NodeView::kKey + payload.size()) {
        TRY(edit(txn, path, path.leaf())).set_payload(slot, payload);
        return Ok{};
    }
    TRY(remove(txn, key));
    return insert(txn, key, payload, use);
}

// ---- erasing --------------------------------------------------------------------------------------------

template <class Kind>
Status Tree<Kind>::erase(Transaction& txn, u64 key)
{
    if (!has_root(&txn))
        return Error::kNotFound;
    TRY(remove(txn, key));
    if constexpr (Kind::kRoot == RootPlace::kBlock)
        return drop_root(txn);
    return Ok{};
}

// A root block stays, even if it is empty.
template <class Kind>
Status Tree<Kind>::remove(Transaction& txn, u64 key)
{
    TreePath path;
    const NodeView leaf = TRY(descend(&txn, key, path));
    path.steps[path.leaf()].slot = TRY(find(leaf, path, key));
    TRY(take_up(txn, path));
    return pull_up(txn);
}

template <class Kind>
Status Tree<Kind>::take_up(Transaction& txn, const TreePath& path)
{
    u32 slot = path.steps[path.leaf()].slot;
    for (u32 step = path.leaf();; step--) {
        if (step > 0 && TRY(node_at(&txn, path, step)).count() == 1) {
            TRY(drop_node(txn, DeviceBlock(path.steps[step].block)));
            slot = path.steps[step - 1].slot;
            continue;
        }
        Editor node = TRY(edit(txn, path, step));
        TRY(take(txn, node, slot));
        if (step == 0)
            return Ok{};
        const std::optional<u32> gone = TRY(merge(txn, path, step));
        if (!gone)
            return Ok{};
        slot = *gone;
    }
}

// Takes an item out of a node that keeps others, or out of the root.
template <class Kind>
Status Tree<Kind>::take(Transaction& txn, Editor& node, u32 slot)
{
    const u32 level = node.view().level();
    const u64 key = load<u64>(TRY(Editor::whole_item(volume_, node.view(), slot)).data());
    TRY(node.remove(slot));
    if (level == 0)
        return Ok{};
    if (node.view().count() == 0) {
        node.reset(0);
        return Ok{};
    }
    return slot == 0 ? lower_first(txn, node, key) : Status(Ok{});
}

// The first child of an internal node takes over the keys from `key` on, and so does its first child.
template <class Kind>
Status Tree<Kind>::lower_first(Transaction& txn, Editor node, u64 key)
{
    for (;;) {
        TRY(Editor::whole_item(volume_, node.view(), 0));
        node.set_key(0, key);
        if (node.view().level() == 1)
            return Ok{};
        const DeviceBlock first = TRY(child(&txn, node.view(), 0)).where();
        node = Editor::block(volume_, TRY(txn.edit_block(first)));
    }
}

// Joins a node that has become small with a neighbour. Returns the parent's slot that is to go, if any.
template <class Kind>
Result<std::optional<u32>> Tree<Kind>::merge(Transaction& txn, const TreePath& path, u32 step)
{
    using Slot = std::optional<u32>;
    const NodeView node = TRY(node_at(&txn, path, step));
    const u32 joint = node.capacity() * 2 / 3;
    if (node.used() > joint / 2)
        return Slot();
    const NodeView parent = TRY(node_at(&txn, path, step - 1));
    const u32 slot = path.steps[step - 1].slot;
    if (slot > 0) {
        const NodeView left = TRY(child(&txn, parent, slot - 1));
        if (left.used() + node.used() <= joint) {
            TRY(join(txn, left.where(), node));
            return Slot(slot);
        }
    }
    if (slot + 1 < parent.count()) {
        const NodeView right = TRY(child(&txn, parent, slot + 1));
        if (node.used() + right.used() <= joint) {
            TRY(join(txn, node.where(), right));
            return Slot(slot + 1);
        }
    }
    return Slot();
}

template <class Kind>
Status Tree<Kind>::join(Transaction& txn, DeviceBlock left, const NodeView& right)
{
    Editor target = Editor::block(volume_, TRY(txn.edit_block(left)));
    TRY(target.append(right, 0));
    return drop_node(txn, right.where());
}

template <class Kind>
Status Tree<Kind>::pull_up(Transaction& txn)
{
    for (;;) {
        const NodeView root = TRY(root_node(&txn));
        if (root.level() == 0 || root.count() != 1)
            return Ok{};
        const NodeView node = TRY(child(&txn, root, 0));
        if (node.used() > root.capacity() * 3 / 4)
            return Ok{};
        Editor editor = TRY(edit_root(txn));
        editor.reset(node.level());
        TRY(editor.append(node, 0));
        TRY(drop_node(txn, node.where()));
    }
}

// A root block goes with its last item.
template <class Kind>
Status Tree<Kind>::drop_root(Transaction& txn)
{
    const NodeView root = TRY(root_node(&txn));
    if (root.count())
        return Ok{};
    tarnfs_inode& record = TRY(txn.edit_inode_record(root_.record));
    record.attributes = 0;
    return drop_node(txn, root.where());
}

void init_tree_root(u8* root, u8 kind, u32 generation)
{
    tarnfs_node header{};
    header.magic = TARNFS_NODE_MAGIC;
    header.kind = kind;
    header.heap = TARNFS_ROOT_BYTES;
    header.generation = generation;
    __builtin_memset(root, 0, TARNFS_ROOT_BYTES);
    __builtin_memcpy(root, &header, sizeof header);
}

template class Tree<ExtentKind>;
template class Tree<DirentKind>;
template class Tree<XattrKind>;

}  // namespace tarn
