// SPDX-License-Identifier: GPL-2.0
// Directory: the entries of one directory, on a Tree. Only names and what they name: sizes, link counts,
// times, "." and ".." are fs/dir/namespace's.
//
// Invariants: a name occurs once; an entry's key is its name's hash with the lowest disambiguator that was
// free when it was inserted, and never changes, so a key is a stable readdir position (>=
// DirentKind::kFirstKey, < 2^63).
//
// Locks: the directory's Inode::lock, shared to look, exclusive from the first change until commit() has
// returned.
//
// Crash argument: each change is one change of the tree (fs/tree/tree.hpp) inside the caller's transaction;
// replace() stores one aligned word, so the old or the new inode is named, never neither.
#pragma once
#include <optional>

#include "fs/tree/named.hpp"

namespace tarn {

// Points into the media or a shadow: valid until the directory changes or the lock is dropped.
struct Entry {
    InodeNumber inode;
    u8 type = 0;  // DT_*
    Bytes name;
    u64 cookie = 0;  // its position; the next entry is next(cookie + 1)
};

// Takes a checked item of a directory tree apart.
Entry decode_entry(const Item& item);

class Directory {
  public:
    Directory(Volume& volume, const TreeRoot& root) : volume_(volume), tree_(volume, root) {}

    // No sleep. `txn` may be null. Errors: kNameTooLong, kBadNode, kBadDirectory.
    Result<std::optional<Entry>> find(const Transaction* txn, Bytes name) const;
    // Least entry with a position >= cookie, for readdir. No sleep. Errors: kBadNode, kBadDirectory.
    Result<std::optional<Entry>> next(u64 cookie, const Transaction* txn = nullptr) const;
    // True when there is no entry.
    Result<bool> is_empty(const Transaction* txn = nullptr) const;

    // `type` is DT_*. May sleep. Errors: kExists / kNotFound and kNoSpace leave the transaction as it was;
    // also kNameTooLong, kInvalid (empty name, or one with '/' or NUL), kNoMemory, kBadNode, kBadDirectory:
    // drop the transaction.
    Status insert(Transaction& txn, Bytes name, InodeNumber inode, u8 type);
    Status erase(Transaction& txn, Bytes name);
    // An existing name names another inode from now on (rename over).
    Status replace(Transaction& txn, Bytes name, InodeNumber inode, u8 type);

  private:
    using Place = NamedPlace<Entry>;
    Result<Place> place(const Transaction* txn, Bytes name) const;

    Volume& volume_;
    Tree<DirentKind> tree_;
};

}  // namespace tarn
