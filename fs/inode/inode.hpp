// SPDX-License-Identifier: GPL-2.0
// Inode: one inode in use. The record on the media (struct tarnfs_inode) is the truth; this object adds its
// place and its lock, nothing that could differ from it.
//
// Lock: `lock` is held exclusive from the first look at what will change until commit() has returned, for any
// change of the record or of the tree rooted in it; shared for lookups. Several at once in ascending number
// (nesting 0..3). It is taken inside a NoFsScope: reclaim under it must not evict inodes of ours.
#pragma once
#include "cxxrt/lock.hpp"
#include "fs/media/media.hpp"
#include "fs/txn/transaction.hpp"
#include "tarnfs/ondisk.hpp"

namespace tarn {

class FileSystem;
struct TreeRoot;

// File types, the upper four bits of a mode.
inline constexpr u16 kTypeMask = 0170000;
inline constexpr u16 kTypeFifo = 0010000;
inline constexpr u16 kTypeCharacter = 0020000;
inline constexpr u16 kTypeDirectory = 0040000;
inline constexpr u16 kTypeBlock = 0060000;
inline constexpr u16 kTypeRegular = 0100000;
inline constexpr u16 kTypeSymlink = 0120000;
inline constexpr u16 kTypeSocket = 0140000;

// True for a mode whose type is one of the seven.
bool is_valid_mode(u32 mode);
// DT_* of a mode, as directory entries have it.
constexpr u8 entry_type(u32 mode) { return static_cast<u8>((mode & kTypeMask) >> 12); }

struct Inode {
    // `record` has been checked (InodeTable::find).
    Inode(FileSystem& in, InodeNumber its_number, u32 its_generation, MediaAddress its_record,
          Rank rank = Rank::kInode)
        : fs(in),
          number(its_number),
          generation(its_generation),
          record(its_record),
          lock(rank, "tarnfs_inode")
    {
    }
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;

    // The record on the media, or as `txn` has changed it (until its next edit of this record). `lock` held.
    const tarnfs_inode& read(const Transaction* txn = nullptr) const;
    // The tree rooted in the record: TARNFS_TREE_DIRECTORY for directories, else TARNFS_TREE_EXTENTS.
    TreeRoot tree() const;
    // The tree of its extended attributes, whose root the record names.
    TreeRoot xattr_tree() const;

    bool is(u16 type) const { return (read().mode & kTypeMask) == type; }
    bool is_directory() const { return is(kTypeDirectory); }
    bool is_regular() const { return is(kTypeRegular); }

    FileSystem& fs;
    const InodeNumber number;
    const u32 generation;
    const MediaAddress record;
    RwLock lock;
};

// The flags of TARNFS_INODE_USER_FLAGS that an inode of this mode can have.
u32 possible_flags(u32 mode);

// Before or with each change, in the same record: a version that somebody has seen goes.
inline void note_change(tarnfs_inode& record) { record.version += record.version & TARNFS_VERSION_SEEN; }

// Time fields of a record.
void set_access_time(tarnfs_inode& record, const tarn_time& time);
void set_modify_time(tarnfs_inode& record, const tarn_time& time);
void set_change_time(tarnfs_inode& record, const tarn_time& time);

}  // namespace tarn
