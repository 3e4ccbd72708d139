// SPDX-License-Identifier: GPL-2.0
// RadixTree: 64-bit words by 64-bit index, 64 to a node, with three tags per word.
//
// A word is zero (absent) or odd (bit 0 set, so that it is never a node's address). A tag bit is set in a node for
// every slot below which a word carries the tag, so finding the next tagged word costs the height, not the distance.
// Nodes without words are freed at once; the tree is as high as its largest index has needed since it was empty.
// The height is at most kLevels, whatever the indexes: no loop here depends on data.
//
// Not locked: the owner does that (DirtyTracker under a spin lock), which is why a node that is needed comes from a
// spare the caller filled beforehand.
#pragma once
#include <optional>

#include "cxxrt/box.hpp"
#include "cxxrt/types.hpp"

namespace tarn {

class RadixTree {
  public:
    enum class Tag : u8 { kDirty, kToWrite, kWriteBack };
    static constexpr unsigned kTags = 3;
    static constexpr unsigned kFanShift = 6;
    static constexpr unsigned kFan = 1u << kFanShift;
    static constexpr unsigned kLevels = 11;  // 66 bits: every index

    struct Node;

    // One node in reserve.
    class Spare {
      public:
        Spare();
        ~Spare();
        // Fills it unless it is full. May sleep. Errors: kNoMemory.
        Status fill();

      private:
        friend class RadixTree;
        Box<Node> node_;
    };

    RadixTree() = default;
    // The tree must be empty or cleared.
    ~RadixTree();
    RadixTree(const RadixTree&) = delete;
    RadixTree& operator=(const RadixTree&) = delete;

    bool empty() const { return root_ == nullptr; }

    // The word at `index`, 0 if none.
    u64 get(u64 index) const;
    // Stores a word (odd); tags of a word already there stay. False: a node is missing and the spare is empty; nothing
    // visible has changed, the caller fills the spare and asks again.
    [[nodiscard]] bool set(u64 index, u64 word, Spare& spare);
    // For a caller of set() that gives up instead: frees what was built on the way.
    void abandon(u64 index);
    // Replaces the word of an index that has one.
    void replace(u64 index, u64 word);
    // Removes word and tags; nothing there is fine.
    void erase(u64 index);

    // Tags of absent words read as clear and cannot be set.
    bool has_tag(u64 index, Tag tag) const;
    void set_tag(u64 index, Tag tag);
    void clear_tag(u64 index, Tag tag);
    bool any_tagged(Tag tag) const;

    // Least index in [from, last] that has a word, or a word with the tag.
    std::optional<u64> next(u64 from, u64 last) const;
    std::optional<u64> next_tagged(Tag tag, u64 from, u64 last) const;

    // How many words right before `index`, one after the other, have the tag; `most` is enough.
    u64 tagged_before(Tag tag, u64 index, u64 most) const;

    // Gives `to` to the words in [from, last] that have `have`, at most `budget` leaves of them; returns where to go
    // on, or nothing when all is done.
    std::optional<u64> copy_tag(Tag have, Tag to, u64 from, u64 last, unsigned budget);

    // Nodes in use, for tests and statistics.
    u64 node_count() const { return nodes_; }
    static u64 node_bytes();

  private:
    bool covers(u64 index) const;
    Node* leaf(u64 index) const;
    bool grow(u64 index, Spare& spare);
    void tag_upwards(Node* node, unsigned slot, Tag tag);
    void untag_upwards(Node* node, unsigned slot, Tag tag);
    template <class Mask>
    std::optional<u64> find(u64 from, u64 last, Mask mask) const;
    void prune(Node* node);

    Node* root_ = nullptr;
    u64 nodes_ = 0;
};

}  // namespace tarn
