// SPDX-License-Identifier: GPL-2.0
// RadixTree: see radix.hpp.
#include "fs/dax/radix.hpp"

namespace tarn {

// `slots` holds words in a node with shift 0, children above. `present` has a bit for every slot in use.
struct RadixTree::Node {
    u64 slots[kFan] = {};
    u64 present = 0;
    u64 tags[kTags] = {};
    Node* parent = nullptr;
    u8 shift = 0;           // index bits below this node's slots
    u8 slot_in_parent = 0;

    unsigned slot_of(u64 index) const { return static_cast<unsigned>(index >> shift) & (kFan - 1); }
    Node* child(unsigned slot) const { return reinterpret_cast<Node*>(slots[slot]); }
    void put(unsigned slot, u64 word)
    {
        slots[slot] = word;
        present |= u64{1} << slot;
    }
    void put_child(unsigned slot, Node& node)
    {
        node.parent = this;
        node.slot_in_parent = static_cast<u8>(slot);
        put(slot, reinterpret_cast<u64>(&node));
    }
};

namespace {

constexpr unsigned tag_index(RadixTree::Tag tag) { return static_cast<unsigned>(tag); }

// Bits from `slot` up.
constexpr u64 from_slot(unsigned slot) { return ~u64{0} << slot; }

// The first index behind a node that covers `shift` bits and holds `index`; shift < 64. 0: there is none.
constexpr u64 behind(u64 index, unsigned shift) { return (index | ((u64{1} << shift) - 1)) + 1; }

}  // namespace

RadixTree::Spare::Spare() = default;
RadixTree::Spare::~Spare() = default;

Status RadixTree::Spare::fill()
{
    if (!node_)
        node_ = TRY(Box<Node>::create());
    return Ok{};
}

u64 RadixTree::node_bytes() { return sizeof(Node); }

RadixTree::~RadixTree() { TARN_ASSERT(empty()); }

bool RadixTree::covers(u64 index) const
{
    return root_ && (root_->shift + kFanShift >= 64 || (index >> (root_->shift + kFanShift)) == 0);
}

// The node with shift 0 that holds `index`, if the tree has one.
RadixTree::Node* RadixTree::leaf(u64 index) const
{
    if (!covers(index))
        return nullptr;
    Node* node = root_;
    while (node && node->shift)
        node = node->child(node->slot_of(index));
    return node;
}

u64 RadixTree::get(u64 index) const
{
    Node* node = leaf(index);
    return node ? node->slots[node->slot_of(index)] : 0;
}

// Puts one node from the spare on top, so that the tree reaches further. False when the spare is empty.
bool RadixTree::grow(u64 index, Spare& spare)
{
    if (!spare.node_)
        return false;
    Node* node = spare.node_.release();
    nodes_++;
    if (!root_) {
        while (node->shift + kFanShift < 64 && (index >> (node->shift + kFanShift)) != 0)
            node->shift = static_cast<u8>(node->shift + kFanShift);
    } else {
        node->shift = static_cast<u8>(root_->shift + kFanShift);
        node->put_child(0, *root_);
        for (unsigned tag = 0; tag < kTags; tag++)
            node->tags[tag] = root_->tags[tag] ? 1 : 0;
    }
    root_ = node;
    return true;
}

bool RadixTree::set(u64 index, u64 word, Spare& spare)
{
    TARN_BUG_ON((word & 1) == 0);
    while (!covers(index))
        if (!grow(index, spare))
            return false;
    Node* node = root_;
    while (node->shift) {
        unsigned slot = node->slot_of(index);
        if (!node->slots[slot]) {
            if (!spare.node_)
                return false;
            Node* fresh = spare.node_.release();
            nodes_++;
            fresh->shift = static_cast<u8>(node->shift - kFanShift);
            node->put_child(slot, *fresh);
        }
        node = node->child(slot);
    }
    node->put(node->slot_of(index), word);
    return true;
}

void RadixTree::replace(u64 index, u64 word)
{
    Node* node = leaf(index);
    TARN_BUG_ON((word & 1) == 0 || !node || !node->slots[node->slot_of(index)]);
    node->slots[node->slot_of(index)] = word;
}

void RadixTree::erase(u64 index)
{
    Node* node = leaf(index);
    if (!node)
        return;
    unsigned slot = node->slot_of(index);
    for (unsigned tag = 0; tag < kTags; tag++)
        untag_upwards(node, slot, static_cast<Tag>(tag));
    node->slots[slot] = 0;
    node->present &= ~(u64{1} << slot);
    prune(node);
}

// Frees `node` if it is empty, then its parent if that became empty, and so on.
void RadixTree::prune(Node* node)
{
    while (node && !node->present) {
        Node* parent = node->parent;
        if (parent) {
            parent->slots[node->slot_in_parent] = 0;
            parent->present &= ~(u64{1} << node->slot_in_parent);
        } else {
            root_ = nullptr;
        }
        Box<Node>::adopt(node).reset();
        nodes_--;
        node = parent;
    }
}

// Only the lowest node on the way can be empty.
void RadixTree::abandon(u64 index)
{
    if (!covers(index))
        return;
    Node* node = root_;
    while (node->shift && node->slots[node->slot_of(index)])
        node = node->child(node->slot_of(index));
    prune(node);
}

bool RadixTree::has_tag(u64 index, Tag tag) const
{
    Node* node = leaf(index);
    return node && (node->tags[tag_index(tag)] >> node->slot_of(index) & 1);
}

void RadixTree::set_tag(u64 index, Tag tag)
{
    Node* node = leaf(index);
    if (node && node->slots[node->slot_of(index)])
        tag_upwards(node, node->slot_of(index), tag);
}

void RadixTree::clear_tag(u64 index, Tag tag)
{
    if (Node* node = leaf(index))
        untag_upwards(node, node->slot_of(index), tag);
}

bool RadixTree::any_tagged(Tag tag) const { return root_ && root_->tags[tag_index(tag)]; }

void RadixTree::tag_upwards(Node* node, unsigned slot, Tag tag)
{
    while (node) {
        u64& tags = node->tags[tag_index(tag)];
        if (tags >> slot & 1)
            return;
        tags |= u64{1} << slot;
        slot = node->slot_in_parent;
        node = node->parent;
    }
}

void RadixTree::untag_upwards(Node* node, unsigned slot, Tag tag)
{
    while (node) {
        u64& tags = node->tags[tag_index(tag)];
        tags &= ~(u64{1} << slot);
        if (tags)
            return;
        slot = node->slot_in_parent;
        node = node->parent;
    }
}

// Least index in [from, last] whose slot `mask` selects at every level. Where a node has nothing more from `index` on,
// the search starts again from the root behind that node: once per level at most, because from then on it enters every
// node at its first slot.
template <class Mask>
std::optional<u64> RadixTree::find(u64 from, u64 last, Mask mask) const
{
    u64 index = from;
    const Node* node = root_;
    while (node && index <= last && covers(index)) {
        unsigned slot = node->slot_of(index);
        u64 ahead = mask(*node) & from_slot(slot);
        if (!ahead) {
            index = node == root_ ? 0 : behind(index, node->shift + kFanShift);
            if (index == 0)
                return std::nullopt;  // nothing behind
            node = root_;
            continue;
        }
        unsigned found = static_cast<unsigned>(std::countr_zero(ahead));
        if (found != slot)
            index = (index >> node->shift << node->shift) + (u64{found - slot} << node->shift);
        if (node->shift == 0)
            return index <= last ? std::optional<u64>(index) : std::nullopt;
        node = node->child(found);
    }
    return std::nullopt;
}

std::optional<u64> RadixTree::next(u64 from, u64 last) const
{
    return find(from, last, [](const Node& node) { return node.present; });
}

std::optional<u64> RadixTree::next_tagged(Tag tag, u64 from, u64 last) const
{
    return find(from, last, [tag](const Node& node) { return node.tags[tag_index(tag)]; });
}

u64 RadixTree::tagged_before(Tag tag, u64 index, u64 most) const
{
    u64 run = 0;
    while (run < most && run < index) {
        Node* node = leaf(index - run - 1);
        if (!node)
            break;
        const unsigned slot = node->slot_of(index - run - 1);
        const auto here =
            static_cast<unsigned>(std::countl_one(node->tags[tag_index(tag)] << (kFan - 1 - slot)));
        run += here;
        if (here <= slot)
            break;
    }
    return min(run, most);
}

std::optional<u64> RadixTree::copy_tag(Tag have, Tag to, u64 from, u64 last, unsigned budget)
{
    u64 index = from;
    for (; budget > 0; budget--) {
        std::optional<u64> found = next_tagged(have, index, last);
        if (!found)
            return std::nullopt;
        Node* node = leaf(*found);
        u64 first = round_down(*found, kFan);
        u64 wanted = node->tags[tag_index(have)] & from_slot(node->slot_of(*found));
        if (last - first < kFan - 1)
            wanted &= ~(from_slot(static_cast<unsigned>(last - first)) << 1);
        node->tags[tag_index(to)] |= wanted;
        if (node->parent)
            tag_upwards(node->parent, node->slot_in_parent, to);
        index = first + kFan;
        if (index == 0 || index > last)
            return std::nullopt;
    }
    return index;
}

}  // namespace tarn
