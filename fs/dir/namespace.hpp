// SPDX-License-Identifier: GPL-2.0
// Namespace: names and what they name: every operation that changes directories or an inode's attributes.
//
// Each change is one transaction: entries, link counts, sizes, times, parent pointers, inode bitmap and
// orphan bits of all inodes concerned become what they should be together, durable when the call returns. (A
// create may add a chunk of inodes before, in a transaction of its own that is consistent by itself.)
//
// Invariants kept:
//   a directory's size is its number of entries; its links are 2 plus its subdirectories; its parent names
//   the directory that has its entry (the root: itself); another inode's links are its entries; links == 0
//   exactly for orphans.
//
// Locks: takes Inode::lock of every inode concerned, exclusive, in ascending number, inside a NoFsScope;
// holds none on return. The callers hold the VFS's directory locks, so that what they looked up stays true;
// what the media says is checked all the same.
#pragma once
#include "fs/core.h"
#include "fs/dir/directory.hpp"
#include "fs/filesystem.hpp"
#include "fs/xattr/xattrs.hpp"

namespace tarn {

struct NewInode {
    u32 mode = 0;  // with type
    u32 uid = 0;
    u32 gid = 0;
    u32 device = 0;  // device nodes
    Bytes target;    // symlinks: 1..4095 bytes
    tarn_time now = {};
    Span<const tarn_xattr> xattrs = {};
};

struct Rename {
    Inode& from_dir;
    Bytes from;
    Inode& to_dir;
    Bytes to;
    Inode& moved;
    Inode* target;  // what `to` names now, or null
    tarn_time now;
    const NewInode* left = nullptr;  // null, or what `from` names afterwards: without a tree
};

class Namespace {
  public:
    explicit Namespace(FileSystem& fs) : fs_(fs), volume_(fs.volume()) {}

    // The number a name stands for. May sleep. Errors: kNotFound, kNameTooLong, kNotDirectory, kBadNode,
    // kBadDirectory.
    Result<InodeNumber> find(Inode& dir, Bytes name);

    struct Created {
        InodeNumber number;
        u32 generation;
        MediaAddress record;
    };
    // A new inode of any type under a new name. May sleep. Errors: kExists, kNameTooLong, kInvalid,
    // kTooManyLinks, kNoSpace, kNoMemory, kReadOnly, kShutDown, kDeviceFlush, kBad*.
    Result<Created> create(Inode& dir, Bytes name, const NewInode& what);
    // A regular file without a name: an orphan from the start. `dir` is where it would be.
    Result<Created> create_nameless(Inode& dir, const NewInode& what);
    // Another name; without links a first one, and no orphan any more (whether it may have one is for the caller to know).
    // Errors: also kIsDirectory, kOtherProject.
    Status link(Inode& dir, Bytes name, Inode& inode, const tarn_time& now);
    // Removes a name of `inode`; directories must be empty. Without links it is an orphan: InodeTable::free.
    // Errors: kNotFound (the name stands for another inode, or none), kNotEmpty ...
    Status unlink(Inode& dir, Bytes name, Inode& inode, const tarn_time& now);
    // Gives `moved` another name, over `target` if there is one, which loses that name as by unlink.
    // Errors: also kIsDirectory and kNotDirectory (target of the other sort).
    Status rename(const Rename& what);
    // `moved` and `target` of any sort change names.
    Status exchange(const Rename& what);

    // Makes mode (but the type), owner and times what `attributes` says, and changes an extended attribute if
    // `change` is not null: an ACL and the mode that goes with it are one change.
    Status set_attributes(Inode& inode, const tarn_attributes& attributes,
                          const tarn_xattr_change* change = nullptr);
    // Makes the flags of TARNFS_INODE_USER_FLAGS, as far as the inode's type has them, and the project what is given.
    Status set_flags(Inode& inode, u32 flags, u32 project, const tarn_time& now);
    // Makes times durable. Nothing is written when the record says the same.
    Status write_times(Inode& inode, const tarn_times& times);
    void attributes(Inode& inode, tarn_attributes& attributes);
    InodeNumber parent(Inode& dir);

    // The target of a symlink. Returns its length. Errors: kInvalid (no symlink, `buffer` too small),
    // kBadExtent ...
    Result<u32> read_link(Inode& link, MutableBytes buffer);

    // Packs entries from `cookie` on into `buffer` (8-byte aligned) as struct tarn_dir_entry, as many as fit.
    // Returns the bytes used, 0 at the end.
    Result<u32> read(Inode& dir, u64 cookie, MutableBytes buffer);

    // An extended attribute's value, as Xattrs::get; their names from `cookie` on as struct tarn_xattr_name,
    // as read() does.
    Result<u32> get_xattr(Inode& inode, u8 space, Bytes name, MutableBytes buffer);
    Result<u32> list_xattrs(Inode& inode, u64 cookie, MutableBytes buffer);

  private:
    Status check_project(const Inode& dir, const Inode& inode);
    Status fill_record(Transaction& txn, const ReservedInode& reserved, Inode& dir, const NewInode& what);
    Status write_target(const NewInode& what, DeviceBlock near, InFlightBatch& in_flight);
    Status write_contents(const NewInode& what, DeviceBlock near, DurableValues& durable);
    Status add_contents(Transaction& txn, const Created& created, const NewInode& what,
                        DurableValues& durable);
    Status write_value(const tarn_xattr_change& change, const Inode& inode, DurableValues& durable);
    Status drop_link(Transaction& txn, Inode& inode, const tarn_time& now);
    Status check_entry(const Inode& dir, Bytes name, const Inode& inode);
    Status check_target(const Rename& what);
    Status erase_apart(const Rename& what);
    Status change_apart(Inode& inode, const tarn_xattr_change& change, DurableValues& value);
    Status store_times(Inode& inode, const tarn_times& times);
    Status rename_entries(Transaction& txn, const Rename& what, const ReservedInode* left);
    Status rename_records(Transaction& txn, const Rename& what);
    Status exchange_entries(Transaction& txn, const Rename& what);
    Status exchange_records(Transaction& txn, const Rename& what);
    Status move_record(Transaction& txn, Inode& moved, const Rename& what, const Inode& dir);
    Directory directory(const Inode& dir) { return Directory(volume_, dir.tree()); }
    Error damaged(const Inode& inode, const char* what);

    FileSystem& fs_;
    Volume& volume_;
};

}  // namespace tarn
