// SPDX-License-Identifier: GPL-2.0
// InodeTable: where the record of an inode number is, which numbers are free, which inodes are orphans.
//
// On the media the table is a file: its record is slot 0 of the system block, its block map says where the
// blocks are. Inode group g occupies file blocks [g * TARNFS_INODE_GROUP_BLOCKS, ...): inode bitmap, orphan
// bitmap, then chunks of 4 blocks (64 inodes) that exist or not. The last mapped block says how many groups
// there are. Chunks come when numbers run out and go when all their inodes are free; groups come at the end
// and go from the end when they have no chunk.
//
// In DRAM each group, loaded on first use, keeps a copy of its inode bitmap in which reserved numbers are set
// too, and which chunks exist. A number is searched in the DRAM copy only.
//
// Locks: table_.lock (Rank::kInodeTable) for the block map, so for which chunks and groups exist; lock_
// (Rank::kInodeGroup) for the DRAM side. A bit of either bitmap changes on the media only under the
// Inode::lock of its inode or while the number is a ReservedInode, and only when its group is loaded.
//
// Crash argument: a chunk is zeroed and fenced before the transaction that maps it; a bit is set and its
// record written in the one transaction that links the inode; a chunk is unmapped only when no bit of it is
// set, on the media and in DRAM, and its blocks return as metadata, after the floor has passed every record
// that wrote an inode into them.
#pragma once
#include "cxxrt/box.hpp"
#include "fs/file/block_map.hpp"
#include "fs/inode/inode.hpp"
#include "fs/txn/volume.hpp"

namespace tarn {

class InodeTable;

// A number set aside for one create; dropped, it is free again.
class [[nodiscard]] ReservedInode {
  public:
    ReservedInode(ReservedInode&& other)
        : table_(std::exchange(other.table_, nullptr)),
          number_(other.number_),
          generation_(other.generation_),
          record_(other.record_)
    {
    }
    ReservedInode(const ReservedInode&) = delete;
    ReservedInode& operator=(const ReservedInode&) = delete;
    ~ReservedInode();

    InodeNumber number() const { return number_; }
    u32 generation() const { return generation_; }  // of the inode to be made
    MediaAddress record() const { return record_; }
    // The inode exists: the transaction that claimed the number has been committed.
    void keep();

  private:
    friend class InodeTable;
    ReservedInode(InodeTable& table, InodeNumber number, u32 generation, MediaAddress record)
        : table_(&table), number_(number), generation_(generation), record_(record)
    {
    }
    InodeTable* table_;
    InodeNumber number_;
    u32 generation_;
    MediaAddress record_;
};

class InodeTable {
  public:
    InodeTable(FileSystem& fs, Volume& volume);
    ~InodeTable();

    // Checks the table's record and every group's headers (two lines per group). May sleep.
    // Errors: kBadInode, kBadBitmap, kBadExtent, kBadNode, kNoMemory.
    Status load();

    struct Found {
        MediaAddress record;
        u32 generation;
    };
    // The checked record of an inode in use, orphans included. May sleep. Errors: kStale (the number is not
    // in use), kBadInode, kBadBitmap, kBadExtent, kBadNode, kNoMemory.
    Result<Found> find(InodeNumber number);
    // The same for a number that somebody has made up, or kept for long; generation 0: any. Nothing is damage: kStale is also
    // what is being made or freed, what has no links, and what cannot be read.
    Result<Found> find_handle(InodeNumber number, u32 generation);

    // A free number, near `parent`'s where there is one; adds a chunk when all are in use (a transaction of
    // its own: no Inode::lock held, no Transaction open). May sleep. Errors: kNoSpace, kNoMemory, kReadOnly,
    // kShutDown, kBad*.
    Result<ReservedInode> reserve(InodeNumber parent);
    // Marks the number in use.
    Status claim(Transaction& txn, const ReservedInode& reserved);
    // ... and as an orphan: it has no links yet.
    Status claim_orphan(Transaction& txn, const ReservedInode& reserved);

    // Marks an inode for freeing (no links) or truncation to its size (links) after a crash; and that this is
    // done. inode.lock is held exclusive.
    Status add_orphan(Transaction& txn, const Inode& inode);
    Status remove_orphan(Transaction& txn, const Inode& inode);
    // An orphan without links gets one. It stays one where a truncation has left blocks behind its size; what fallocate has put
    // there is unwritten, and is kept.
    Status keep_orphan(Transaction& txn, const Inode& inode);
    Result<bool> is_orphan(const Inode& inode);

    // Frees the blocks of a regular file or symlink from file block `first` on, in as many transactions as it
    // takes. Takes inode.lock. Nobody maps the blocks and the record's size says already that they are not
    // part of it. A crash in between leaves the rest to the next mount if the inode is an orphan. May sleep.
    // Errors: kBad*, kNoMemory ...
    Status free_blocks(Inode& inode, FileBlock first);
    // Frees an inode without links: blocks, then number. Takes inode.lock. On failure it stays an orphan. May
    // sleep.
    Status free(Inode& inode);

    // Finishes what a crash interrupted: frees orphans and, with kAll, truncates those that have links. kAll:
    // no inode is in use; kUnnamed: only named ones may be (their truncation is finished before they grow:
    // fs/file). May sleep. Returns how many; stops at the first that cannot be finished.
    enum class Orphans : u8 { kAll, kUnnamed };
    Result<u64> free_orphans(Orphans which);

    // Inodes in use; numbers known to be free without another chunk; inode groups.
    u64 used() const { return used_.load_relaxed(); }
    u64 free_numbers();
    u64 group_count() const { return group_count_.load_acquire(); }

  private:
    friend class ReservedInode;
    struct Group;

    // table.cpp
    Result<Group*> group(u64 index);
    Result<Box<Group>> load_group(u64 index);
    Status load_chunks(Group& group);
    Result<u64> count_used(u64 group);
    Result<DeviceBlock> header(u64 group, u32 kind);
    Result<DeviceBlock> block_at(FileBlock at);
    Result<MediaAddress> record_of(InodeNumber number);
    bool is_taken(InodeNumber number);
    Result<std::optional<InodeNumber>> take(InodeNumber near);
    void release(InodeNumber number);

    // chunks.cpp
    Status grow(InodeNumber near);
    std::optional<InodeNumber> missing_chunk(InodeNumber near);
    Status add_chunk(InodeNumber first);
    Status add_group();
    Status add_blocks(Transaction& txn, FileBlock at, u64 count, Bytes contents);
    Status shrink();
    std::optional<InodeNumber> seal_chunk();
    Status drop_chunk(InodeNumber first);
    void unseal_chunk(InodeNumber first, const Status& dropped);
    Status drop_last_group();

    // orphans.cpp
    Status free_xattrs(Inode& inode);
    Status free_directory_or_blocks(Inode& inode);
    Status free_number(Inode& inode);
    Result<u64> free_orphans_of(u64 group, Orphans which);
    Result<bool> finish_orphan(InodeNumber number, Orphans which);
    Status finish_truncation(Inode& inode);

    FileSystem& fs_;
    Volume& volume_;
    Inode table_;
    Mutex lock_;
    Vector<Box<Group>, 4> groups_ TARN_GUARDED_BY(lock_);  // by index; null: not loaded yet
    u64 free_ TARN_GUARDED_BY(lock_) = 0;                  // numbers free in chunks of loaded groups
    u64 empty_ TARN_GUARDED_BY(lock_) = 0;                 // chunks of loaded groups with all numbers free
    Atomic<u64> group_count_;
    Atomic<u64> used_;
};

}  // namespace tarn
