// SPDX-License-Identifier: GPL-2.0
// TreeWalk: every node and every item of a tree in key order, for the consistency check and for building a
// tree anew. Reports damage and goes on.
//
// Bounded: a node is entered only when all its keys lie in the range its parent gives it, and an internal
// node only when its first key is where that range begins. Ranges of different items are disjoint, so a node
// that is reached twice fails the second time and is reported, not followed.
//
// Nothing is stored and nothing is logged. The caller holds the owner's Inode::lock shared from the first
// next() to the last, or is alone (fsck).
//
//   TreeWalk<ExtentKind> walk(volume, root);
//   while (std::optional<WalkEvent> event = walk.next()) ...
#pragma once
#include <optional>

#include "fs/tree/tree.hpp"

namespace tarn {

struct WalkEvent {
    enum class What : u8 {
        kNode,    // a good block node of this tree; its children or items follow
        kItem,    // a good leaf item
        kDamage,  // something is wrong in `block`; what hangs from it is left out
    };
    What what;
    DeviceBlock block;             // the node; the record's block for the embedded root
    u32 level = 0;                 // of the node
    Item item = {};                // kItem
    const char* damage = nullptr;  // kDamage: a few words
};

// What a node's parent says about it.
struct NodePlace {
    u32 level;
    u64 lower;  // its keys are >= lower
    u64 last;   // and <= last
};

// Null, or what is wrong with a node: header, identity, slots, overlaps, byte counts, order and range of
// keys. Of leaf items only the size is looked at, not the meaning (Kind::defect).
template <class Kind>
const char* node_defect(const NodeView& node, const TreeRoot& root, const NodePlace& place);

template <class Kind>
class TreeWalk {
  public:
    TreeWalk(Volume& volume, const TreeRoot& root) : volume_(volume), root_(root) {}

    // The next event, or none at the end. Takes one step down, or as many up as there are levels. No sleep.
    std::optional<WalkEvent> next();
    // After a kNode: leaves out what is below it (the block turned out to be somebody else's, say).
    void skip();

  private:
    struct Frame {
        DeviceBlock block;
        u32 slot = 0;  // of the next child or item
        NodePlace place = {};
    };

    NodeView view(u32 frame) const;
    WalkEvent enter(const NodeView& node, const NodePlace& place);
    WalkEvent step_child(Frame& frame, const NodeView& node);
    WalkEvent step_item(Frame& frame, const NodeView& node);
    std::optional<WalkEvent> start();
    std::optional<WalkEvent> start_block();

    Volume& volume_;
    TreeRoot root_;
    Frame frames_[TARNFS_TREE_MAX_LEVEL + 1];
    u32 depth_ = 0;  // frames in use
    enum class State : u8 { kNew, kStarted } state_ = State::kNew;
};

extern template class TreeWalk<ExtentKind>;
extern template class TreeWalk<DirentKind>;
extern template class TreeWalk<XattrKind>;

}  // namespace tarn
