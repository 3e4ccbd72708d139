// SPDX-License-Identifier: GPL-2.0
// Xattrs: the extended attributes of one inode, on a Tree whose root is a block (include/tarnfs/xattr.h).
// What their names and values mean is the caller's; ctime and version are, too.
//
// Invariants: a name occurs once in its name space; an inode without attributes has no block for them and 0
// in tarnfs_inode.attributes; nodes and value blocks are counted in tarnfs_inode.blocks.
//
// Locks: the inode's Inode::lock, shared to look, exclusive from the first change until commit() has
// returned.
//
// Crash argument: each change is one change of the tree (fs/tree/tree.hpp) inside the caller's transaction. A
// value that does not fit into its item is written to fresh blocks, durable before the record that names them
// (the tokens say so, fs/media/tokens.hpp), and never changes there: a new value takes new blocks, and the
// old ones are freed by the record that stops naming them.
#pragma once
#include "fs/core.h"
#include "fs/tree/named.hpp"

namespace tarn {

// Points into the media or a shadow: valid until the attributes change or the lock is dropped.
struct XattrEntry {
    u8 space = 0;  // TARNFS_XATTR_*
    Bytes name;
    u32 length = 0;  // of the value
    Bytes stored;    // the value, or the numbers of its blocks
    u64 cookie = 0;  // its position; the next entry is next(cookie + 1)

    // How many blocks the value takes (0: it is inline), and one of them.
    u32 blocks() const { return XattrKind::value_blocks(length); }
    DeviceBlock block(u32 index) const { return DeviceBlock(load<u64>(stored.data() + index * sizeof(u64))); }
};

// Takes a checked item of an attribute tree apart.
XattrEntry decode_xattr(const Item& item);
// Where attributes of this name begin in a tree.
u64 xattr_key(const u64 seed[2], u8 space, Bytes name);

// Values on their way into items, those that need blocks: durable, in the order of the attributes that they
// were written for.
struct DurableValues {
    DurableBatch blocks;
    usize next = 0;  // the first that no item names yet
};

class Xattrs {
  public:
    Xattrs(Volume& volume, const TreeRoot& root) : volume_(volume), tree_(volume, root) {}

    // Copies a value; an empty buffer asks for its length only. No sleep. Errors: kNoXattr, kNoRoom, kInvalid
    // (no such name is possible), kBadNode, kBadXattr.
    Result<u32> get(u8 space, Bytes name, MutableBytes buffer) const;
    // Least entry with a position >= cookie. No sleep. Errors: kBadNode, kBadXattr.
    Result<std::optional<XattrEntry>> next(u64 cookie, const Transaction* txn = nullptr) const;

    // Stores what of a value needs blocks; durable once the batch has been fenced. May sleep. Errors:
    // kValueTooLong, kNoSpace, kNoMemory.
    static Status write_value(Volume& volume, const tarn_xattr& xattr, DeviceBlock near,
                              InFlightBatch& in_flight);
    // As `change` says. `values` has been written for it. May sleep. Errors: kExists, kNoXattr, kInvalid,
    // kUnsupported (unknown name space), kValueTooLong, kNoSpace, kNoMemory, kBadNode, kBadXattr: drop the
    // transaction.
    Status change(Transaction& txn, const tarn_xattr_change& change, DurableValues& values);
    // For an inode that goes: removes attributes, at least one and as many as one transaction should. May
    // sleep.
    Status remove_some(Transaction& txn);

  private:
    using Place = NamedPlace<XattrEntry>;
    Result<Place> place(const Transaction* txn, u8 space, Bytes name) const;
    Status store(Transaction& txn, const tarn_xattr& xattr, const Place& place, DurableValues& values);
    Status own_value(Transaction& txn, MutableBytes numbers, DurableValues& values);
    Status free_value(Transaction& txn, const XattrEntry& entry);
    Status count_blocks(Transaction& txn, u64 added, u64 removed);

    Volume& volume_;
    Tree<XattrKind> tree_;
};

}  // namespace tarn
