// SPDX-License-Identifier: GPL-2.0
// Model: what a file system is, without tarnfs. Calls return 0 or a negative errno, as the system calls
// would.
#pragma once
#include "tests/crash/tree.hpp"

namespace tarn::crash {

// An fallocate(2).
struct Allocation {
    enum class Kind : u8 { kAllocate, kPunch, kZero, kCollapse, kInsert } kind;  // as tarn_fallocate_kind
    u64 offset;
    u64 length;
    bool keeps_size = false;

    u64 end() const { return offset + length; }
    bool clears() const { return kind == Kind::kPunch || kind == Kind::kZero; }
    bool shifts() const { return kind == Kind::kCollapse || kind == Kind::kInsert; }
};

class Model {
  public:
    Model();
    Model(const Model& other);
    Model& operator=(const Model& other);

    int create(const std::string& path, u32 mode, const std::string& target = {}, const Values& xattrs = {});
    int link(const std::string& from, const std::string& to);
    int unlink(const std::string& path);
    int rmdir(const std::string& path);
    int rename(const std::string& from, const std::string& to);
    // `left` is made under the old name.
    int rename_leaving(const std::string& from, const std::string& to, u32 left);
    int exchange(const std::string& one, const std::string& other);
    int write(const std::string& path, u64 offset, const std::string& bytes);
    int truncate(const std::string& path, u64 size);
    int fallocate(const std::string& path, const Allocation& what);
    int shift(const std::string& path, const Allocation& what);
    int set_attributes(const std::string& path, u32 mode, u32 uid);
    int set_flags(const std::string& path, u32 flags, u32 project);
    // With the mode, if it is not 0: an ACL is one thing with it.
    int set_xattr(const std::string& path, const std::string& name, const std::string& value, u32 mode = 0);
    int remove_xattr(const std::string& path, const std::string& name);
    // A store through a mapping: until sync the word that was there may come back. `offset` is aligned.
    int store(const std::string& path, u64 offset, u64 word);
    int sync(const std::string& path);

    int set_label(const std::string& label);
    // To all of the device.
    int grow();

    // Null: there is none.
    const Node* find(const std::string& path) const;
    bool is_directory(const std::string& path) const;
    bool is_empty(const std::string& directory) const;
    Tree tree() const;
    std::shared_ptr<const Unsynced> unsynced() const;

  private:
    using Shared = std::shared_ptr<Node>;
    Node* file(const std::string& path, int* error);
    // 0 when `path` could be made: its directory is there.
    int check_parent(const std::string& path) const;
    void drop(const std::string& path);
    std::map<std::string, Shared> cut(const std::string& path, const std::string& renamed);
    void count_subdirectory(const std::string& path, int by);

    std::string label_;
    u64 blocks_ = kFirstBlocks;
    std::map<std::string, Shared> paths_;  // "" is the root
    std::map<const Node*, std::map<u64, std::set<u64>>> unsynced_;
};

std::string parent_of(const std::string& path);
std::string name_of(const std::string& path);

}  // namespace tarn::crash
