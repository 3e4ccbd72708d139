// SPDX-License-Identifier: GPL-2.0
// DirtyTracker: which blocks of a file are, or may be, mapped into processes, and which of those were made writable.
//
// One entry per 4 KiB block, in a RadixTree. An entry has a page frame (or none yet: a placeholder that exists only
// while it is locked), a lock, and three tags:
//   DIRTY      a writable PTE has been installed since the block's lines were last known durable
//   TOWRITE    the write-back that is under way will visit it
//   WRITEBACK  nobody could store to it since its lines were written back; cleared by the next install_writable
// Invariants:
//   I1  a PTE is writable only if its entry is DIRTY. Both change only under the entry lock.
//   I2  a page that is mapped, or was and may still be pinned, has an entry.
//   I3  DIRTY is cleared only where WRITEBACK survived a fence that followed the write-back (finish_write_back), on a
//       page that was not pinned after its zap; or because the block leaves the file (drop).
//   I4  an entry is removed only unmapped and unpinned, under its lock. Memory is bounded by dirty + mapped pages.
// The tracker knows nothing of extents, sizes or the media: it is handed page frames and hands them back.
//
// Lock order: i_rwsem, mmap_lock, invalidate_lock (glue) -> write_back_lock_ -> entry locks in ascending index ->
// Inode::lock and everything below it -> lock_ (spin, Rank::kTracker). An entry lock is a bit in the entry; waiting for
// it goes through tarn_wait_on. Holders keep it for bounded work: they never wait for user memory (copies are done with
// page faults disabled), for a pin, or for an entry of a lower index. page-table locks nest inside entry locks, never
// the other way round: nobody locks an entry from under a page-table or i_mmap lock.
#pragma once
#include "cxxrt/atomic.hpp"
#include "cxxrt/lock.hpp"
#include "fs/dax/mapper.h"
#include "fs/dax/radix.hpp"

namespace tarn {

class DirtyTracker;

// Witness that the caller holds the file's invalidate_lock, shared or exclusive, so that blocks and size cannot be cut
// away underneath. Only the C entry points make one, because only the glue can know.
class InvalidateHeld {
  private:
    friend struct FileEntryPoints;
    constexpr InvalidateHeld() {}
};

// Up to DirtyTracker::kMaxRange consecutive entries, locked. Unlocks when it goes.
class [[nodiscard]] LockedRange {
  public:
    LockedRange(LockedRange&& other)
        : tracker_(std::exchange(other.tracker_, nullptr)), first_(other.first_), count_(other.count_)
    {
    }
    LockedRange(const LockedRange&) = delete;
    LockedRange& operator=(const LockedRange&) = delete;
    ~LockedRange();

    FileBlock first() const { return first_; }
    u64 count() const { return count_; }
    FileBlock end() const { return first_ + count_; }

    // The page of a block, if it has one.
    std::optional<Pfn> pfn(FileBlock at) const;

    // Removes every PTE of the range. May sleep.
    void zap();
    // The same for zero pages only: nothing to do in a file that never mapped one.
    void zap_zero_pages();

    // After zap(), before the lines are written back: TOWRITE goes; WRITEBACK comes where the page is not pinned, which
    // is then final: nobody can store there until the entry is unlocked.
    void begin_write_back();
    // After the fence: where WRITEBACK survived, the block is clean; unmapped and unpinned, its entry goes too.
    void finish_write_back();
    // The fence failed: WRITEBACK goes, everything stays dirty.
    void cancel_write_back();
    // Nobody maps the file any more: after zap(), entries that are clean and not pinned go; pinned ones become dirty, so
    // that write-back comes back to them. True if something is dirty.
    bool trim();
    // The blocks leave the file, or the file leaves memory. Zapped before. Entries go, pinned or not: see callers.
    void drop();

  protected:
    friend class DirtyTracker;
    LockedRange(DirtyTracker& tracker, FileBlock first, u64 count)
        : tracker_(&tracker), first_(first), count_(count)
    {
    }

    DirtyTracker* tracker_;
    FileBlock first_;
    u64 count_;
};

// Blocks whose pages are consecutive.
struct PageRun {
    FileBlock first;
    u64 count;
    Pfn pfn;

    FileBlock end() const { return first + count; }
};

// The entry of the block a page fault is for, locked, and those of neighbours: the only way to a PTE.
class [[nodiscard]] LockedEntry : public LockedRange {
  public:
    LockedEntry(LockedEntry&&) = default;

    // Locks neighbours too, on both sides as far as [first, end) and the tree's node go and nobody else has
    // one locked. Waits for nobody, so the order of locks does not matter, and needs no memory.
    void widen(FileBlock first, FileBlock end);

    // Tags the entries of the run, which is locked, DIRTY and makes its pages writable where the fault
    // happened, both under the entry locks: there is no other way to a writable PTE. May sleep. Errors:
    // kNoMemory; kBadEntry when an entry or a PTE names another page.
    Status install_writable(tarn_fault* fault, const PageRun& run);
    // Maps the pages read-only. May sleep. Errors: the same.
    Status install_readable(tarn_fault* fault, const PageRun& run);
    // Maps the zero page read-only at locked blocks that are holes. May sleep. Errors: kNoMemory; kBadEntry.
    Status install_zero(tarn_fault* fault, FileBlock first, u64 count);

  private:
    friend class DirtyTracker;
    static constexpr int kOutOfMemory = 12;  // ENOMEM, as the mapper returns it
    LockedEntry(DirtyTracker& tracker, FileBlock at) : LockedRange(tracker, at, 1) {}
    static Status from_mapper(int result);
};

class DirtyTracker {
  public:
    using Tag = RadixTree::Tag;
    static constexpr u64 kMaxRange = 64;

    // `owner` is what the mapper is given; it outlives the tracker.
    explicit DirtyTracker(tarn_inode* owner);
    // No entry is left: see LockedRange::drop.
    ~DirtyTracker();
    DirtyTracker(const DirtyTracker&) = delete;
    DirtyTracker& operator=(const DirtyTracker&) = delete;

    // Locks one entry for a fault. May sleep. Errors: kNoMemory.
    Result<LockedEntry> lock(FileBlock at, const InvalidateHeld&);
    // Locks `count` (1..kMaxRange) entries in ascending order. May sleep. Errors: kNoMemory.
    Result<LockedRange> lock_range(FileBlock first, u64 count);
    // Locks the first run of entries with a page (or with `tag`) that begins in [from, last]: the first one, waiting
    // for it, and those behind it that are alike and not locked. Nothing: there is none. May sleep.
    std::optional<LockedRange> lock_next(FileBlock from, FileBlock last);
    std::optional<LockedRange> lock_next_tagged(Tag tag, FileBlock from, FileBlock last);

    // Calls visit(LockedRange&) for each of these runs, one after the other.
    template <class Visit>
    void each(FileBlock from, FileBlock last, Visit visit)
    {
        while (std::optional<LockedRange> range = lock_next(from, last)) {
            from = range->end();
            visit(*range);
        }
    }
    template <class Visit>
    void each_tagged(Tag tag, FileBlock from, FileBlock last, Visit visit)
    {
        while (std::optional<LockedRange> range = lock_next_tagged(tag, from, last)) {
            from = range->end();
            visit(*range);
        }
    }

    // Marks what is dirty in [from, last] now for the write-back that begins: what becomes dirty later is left to the
    // next one, so that a write-back ends. write_back_lock() held.
    void tag_for_write_back(FileBlock from, FileBlock last);
    // A page in [from, last] that is pinned, if any entry has one. Zapped before, invalidate_lock held exclusive: then
    // "none" stays true. May sleep.
    std::optional<Pfn> find_pinned(FileBlock from, FileBlock last);

    // How many blocks right before `at` are dirty, one after the other; `most` is enough.
    u64 dirty_before(FileBlock at, u64 most) const;

    // True once after each time that something was mapped: whether a trim can find anything.
    bool take_mapped() { return mapped_.exchange(0) != 0; }
    bool has_dirty() const { return dirty_.load_acquire() != 0; }
    bool empty() const;
    // One write-back of the file at a time.
    Mutex& write_back_lock() TARN_TS(lock_returned(write_back_lock_)) { return write_back_lock_; }

    // For tests and statistics.
    struct Numbers {
        u64 entries, dirty, nodes;
    };
    Numbers numbers() const;
    bool has_tag(FileBlock at, Tag tag) const;

  private:
    friend class LockedRange;
    friend class LockedEntry;
    struct Waiter;

    const void* wait_address(u64 index) const;
    Status lock_one(u64 index);
    bool try_lock(u64 index) TARN_REQUIRES(lock_);
    void unlock(u64 index, u64 count);
    void wait_unlocked(u64 index);
    static int is_unlocked(void* waiter);
    template <class Find>
    std::optional<LockedRange> lock_found(Find find, FileBlock from, FileBlock last);
    void set_dirty(u64 index) TARN_REQUIRES(lock_);
    void clear_dirty(u64 index) TARN_REQUIRES(lock_);
    void forget(u64 index) TARN_REQUIRES(lock_);
    Status adopt(const PageRun& run) TARN_REQUIRES(lock_);

    tarn_inode* const owner_;
    Mutex write_back_lock_;
    mutable SpinLock lock_;
    RadixTree tree_ TARN_GUARDED_BY(lock_);
    u64 entries_ TARN_GUARDED_BY(lock_) = 0;
    u32 waiters_ TARN_GUARDED_BY(lock_) = 0;
    Atomic<u32> mapped_{0};      // 1: something has been mapped since the last trim
    Atomic<u32> zero_pages_{0};  // 1: a zero page has been mapped since the object was made
    Atomic<u64> dirty_{0};       // entries tagged DIRTY; written under lock_
};

}  // namespace tarn
