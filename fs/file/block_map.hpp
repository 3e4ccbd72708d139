// SPDX-License-Identifier: GPL-2.0
// BlockMap: which device blocks hold a file's blocks: the extents of one inode, on a Tree.
//
// Invariants: extents do not overlap and none is empty; extents that continue one another in the file and on
// the device and have one state are one extent (up to TARNFS_EXTENT_MAX_LENGTH); every extent lies in the
// data area. A file block gets contents only through publish(), whose argument is the evidence that they are
// durable (fs/media/tokens.hpp); before that it is a hole, or unwritten: it has a device block whose contents
// nobody is shown. The map keeps tarnfs_inode.blocks; size and times are the
// caller's.
//
// Locks: the owner's Inode::lock, shared to look, exclusive from the first change until commit() has
// returned.
//
// Crash argument: contents were durable before the transaction began (the token says so); the extent, the
// bitmap bits and the block count are in its one record. A freed data run is handed out again only behind the
// durable record that freed it (Freed::kData), so nobody else's bytes show through this map. An unwritten run
// becomes written in the record that follows the fence of its contents; until then it reads as zeroes.
#pragma once
#include <optional>

#include "fs/tree/tree.hpp"

namespace tarn {

class LockedRange;

struct Mapping {
    enum class State : u8 { kHole, kWritten, kUnwritten };

    FileBlock first;
    u64 count = 0;       // blocks, >= 1
    DeviceBlock device;  // of `first`; meaningless for a hole
    State state = State::kHole;

    bool is_hole() const { return state == State::kHole; }
    bool is_written() const { return state == State::kWritten; }
    FileBlock end() const { return first + count; }
};

class BlockMap {
  public:
    BlockMap(Volume& volume, const TreeRoot& root) : volume_(volume), tree_(volume, root) {}

    // The run of one state and one device run that begins at `at`: 1..max blocks. `txn` may be null. No
    // sleep. With `max` 1 a hole costs one descent. Errors: kBadNode, kBadExtent, kTooLarge (`at` beyond the
    // largest file).
    Result<Mapping> lookup(const Transaction* txn, FileBlock at, u64 max) const;

    // Puts the token's run at `at`, which must be a hole (kBadExtent otherwise), and marks it in use. May
    // sleep. Errors: also kNoSpace, kNoMemory, kBadNode, kTooLarge. On error the token's run goes back to
    // free space and the caller drops the transaction.
    Status publish(Transaction& txn, FileBlock at, Initialised<Durable>&& token);

    // Puts an unwritten run at `at`, which must be a hole. Otherwise as publish().
    Status allocate(Transaction& txn, FileBlock at, Reserved&& reserved);

    // The unwritten run at `at`, at most `max` blocks, for one who makes it written: nobody maps it as long as
    // `locked`, which holds it, does. Errors: kBadExtent: it is not unwritten; those of lookup.
    Result<Unwritten> unwritten(const LockedRange& locked, FileBlock at, u64 max) const;
    // Makes the run at `at`, which the token was made for, written. Takes tree nodes from the reserve, so that it
    // works on a full device (A4). May sleep. Errors: kNoSpace (the reserve is used up), kBadExtent (another run is
    // there), kNoMemory, kBadNode: the caller drops the transaction.
    Status publish(Transaction& txn, FileBlock at, Converted<Durable>&& token);
    // Makes what is written in [from, from + count) unwritten; blocks, steps and errors as unmap().
    Status unwrite(Transaction& txn, FileBlock from, u64 count, u64* done);

    // Removes what maps [from, from + count) and frees its blocks, in ascending order; stops early when the
    // transaction grows large. `*done` is how many blocks of the range have been dealt with, >= 1 on success
    // with count >= 1: the caller goes on behind them with a new transaction. May sleep. Errors: kNoSpace (a
    // hole in the middle of an extent may need a node; the reserve is used), kNoMemory, kBadNode, kBadExtent:
    // drop the transaction.
    Status unmap(Transaction& txn, FileBlock from, u64 count, u64* done, Freed what = Freed::kData);

    // Moves what maps [from, end of the file) towards the end, which leaves a hole of `count` blocks
    // (kInsert); or frees [from, from + count) and moves what is behind it there (kCollapse). All of it in
    // this transaction, on a new tree (fs/tree/builder.hpp). May sleep. Errors: kTooLarge (a block would lie
    // beyond the largest file, or the map is too large for one record), kNoSpace (new nodes, before the old
    // ones go), kNoMemory, kBadNode, kBadExtent: drop the transaction.
    enum class Shift : u8 { kCollapse, kInsert };
    Status shift(Transaction& txn, FileBlock from, u64 count, Shift how);

    // The last block that is mapped, if any is. No sleep. Errors as lookup.
    Result<std::optional<FileBlock>> last(const Transaction* txn = nullptr) const;

  private:
    Result<std::optional<Extent>> below(const Transaction* txn, FileBlock at) const;
    Result<std::optional<Extent>> above(const Transaction* txn, FileBlock at) const;
    Status add(Transaction& txn, const Extent& extent, Use use = Use::kOrdinary);
    Status add_fresh(Transaction& txn, const Extent& extent);
    Status carve(Transaction& txn, const Extent& extent, FileBlock from, FileBlock to);
    template <class Change>
    Status each_extent(Transaction& txn, FileBlock from, u64 count, u64* done, Change change);
    class Shifted;  // shift_map.cpp
    Status shift_extent(Transaction& txn, Shifted& shifted, const Extent& extent, FileBlock from, u64 count,
                        Shift how);
    Status count_blocks(Transaction& txn, u64 added, u64 removed);

    Volume& volume_;
    Tree<ExtentKind> tree_;
};

}  // namespace tarn
