// SPDX-License-Identifier: GPL-2.0
// Tree: all that can be reached in a file system, as values to compare; and what of it may be seen after a
// power cut.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cxxrt/types.hpp"

namespace tarn::crash {

// Extended attributes: by name space, a dot, and name.
using Values = std::map<std::string, std::string>;

// A version that somebody has been told, and which inode's. Judged apart: which comes when is up to the core.
struct Told {
    u64 inode = 0;
    u64 version = 0;  // 0: this one nobody has been told
    bool operator==(const Told&) const { return true; }
};

struct Node {
    u32 mode = 0;
    u32 uid = 0;
    u32 flags = 0;
    u32 project = 0;
    u32 links = 0;
    s64 modified = 0;
    s64 changed = 0;
    std::string bytes = {};  // contents of a file, target of a symlink
    Values xattrs = {};
    u64 first = 0;  // index of the first path that leads here: names of one inode have the same
    Told told = {};

    bool is_file() const { return (mode & 0170000) == 0100000; }
    bool operator==(const Node&) const = default;
};

// The device, and what of it the file system has before it grows.
inline constexpr u64 kBlocks = 3104;  // little more than three of the smallest journals want
inline constexpr u64 kFirstBlocks = kBlocks - 4;

// Among the paths of a tree: what the superblock says, in place of contents.
inline const char* const kSuperblock = "!superblock";
inline std::string superblock_text(const std::string& label, u64 blocks)
{
    return label + ", " + std::to_string(blocks) + " blocks";
}

struct Tree {
    std::vector<std::pair<std::string, Node>> paths;  // ascending

    bool operator==(const Tree&) const = default;
    const Node* find(const std::string& path) const;
    u64 digest() const;
    std::string text() const;
    // The same apart from times.
    bool same_but_times(const Tree& other) const;
};

// Words of files that differ from what the tree says without anybody being wrong: stored through a mapping
// and not yet synced. By path and offset; the values are those that may still be there.
using Unsynced = std::map<std::string, std::map<u64, std::set<u64>>>;

// What an operation does to the bytes of one file; everything else about it is atomic.
struct Change {
    std::string path;
    u64 first = 0;  // bytes [first, end) are what it says in the tree behind it, whenever the size has grown
    u64 end = 0;
};

// One moment in a history: the operation under way takes `before` to `after`.
struct Step {
    std::shared_ptr<const Tree> before;
    std::shared_ptr<const Tree> after;
    std::shared_ptr<const Unsynced> unsynced = nullptr;        // before it; null: nothing
    std::vector<Change> changes = {};                          // none: all or nothing
    std::shared_ptr<const Unsynced> still_unsynced = nullptr;  // behind it
};

// What is wrong with `found`; empty: nothing.
std::string judge(const Tree& found, const Step& step);

}  // namespace tarn::crash
