// SPDX-License-Identifier: GPL-2.0
// DirtyTracker: which blocks of a file are, or may be, mapped into processes, and which of those were made
// writable.
//
// One entry per 4 KiB block, or one for 512 of them that one PMD may map: 2 MiB, aligned in the file and in
// memory. Each size has a RadixTree of its own, a 2 MiB entry counting as one there. An entry has a page
// frame, its first (or none yet: a placeholder that exists only while it is locked), a lock, and three tags:
//   DIRTY      a writable PTE has been installed since the block's lines were last known durable
//   TOWRITE    the write-back that is under way will visit it
//   WRITEBACK  nobody could store to it since its lines were written back; cleared by the next
//   install_writable
// Invariants:
//   I1  a PTE is writable only if its entry is DIRTY. Both change only under the entry lock.
//   I2  a page that is mapped, or was and may still be pinned, has an entry.
//   I3  DIRTY is cleared only where WRITEBACK survived a fence that followed the write-back
//   (finish_write_back), on a
//       page that was not pinned after its zap; or because the block leaves the file (drop).
//   I4  an entry is removed only unmapped and unpinned, under its lock. Memory is bounded by dirty + mapped
//   pages. I5  a block has one entry at most: whoever makes one of either size looks for the other one first,
//   under lock_. Only
//       split(), which holds the lock of the 2 MiB entry, makes others below it, locked, and then removes it.
// What maps any of the blocks of a 2 MiB entry, PMD or PTE, belongs to it; dirty, it is written back whole.
// The tracker knows nothing of extents, sizes or the media: it is handed page frames and hands them back.
//
// Lock order: i_rwsem, mmap_lock, invalidate_lock (glue) -> write_back_lock_ -> entry locks in ascending
// index -> Inode::lock and everything below it -> lock_ (spin, Rank::kTracker). An entry lock is a bit in the
// entry; waiting for it goes through tarn_wait_on. Holders keep it for bounded work: they never wait for user
// memory (copies are done with page faults disabled), for a pin, or for an entry of a lower index. page-table
// locks nest inside entry locks and Inode::lock, never the other way round: nobody locks an entry from under
// a page-table or i_mmap lock.
#pragma once
#include "cxxrt/atomic.hpp"
#include "cxxrt/lock.hpp"
#include "fs/dax/mapper.h"
#include "fs/dax/radix.hpp"
#include "fs/dax/trackers.hpp"

namespace tarn {

class DirtyTracker;

// Witness that the caller holds the file's invalidate_lock, shared or exclusive, so that blocks and size cannot be cut
// away underneath. Only the C entry points make one, because only the glue can know.
class InvalidateHeld {
  private:
    friend struct FileEntryPoints;
    constexpr InvalidateHeld() {}
};

// How much of the file one entry stands for.
enum class EntrySize : u8 { kBlock, kHuge };

inline constexpr unsigned kHugeShift = 9;
inline constexpr u64 kHugeEntry = u64{1} << kHugeShift;  // blocks
static_assert(kHugeEntry == TARN_HUGE_BLOCKS);

constexpr unsigned shift_of(EntrySize size) { return size == EntrySize::kHuge ? kHugeShift : 0; }
constexpr u64 blocks_of(EntrySize size) { return u64{1} << shift_of(size); }

// Up to DirtyTracker::kMaxRange consecutive 4 KiB entries, or one of 2 MiB, locked. Unlocks when it goes.
class [[nodiscard]] LockedRange {
  public:
    LockedRange(LockedRange&& other)
        : tracker_(std::exchange(other.tracker_, nullptr)),
          size_(other.size_),
          first_(other.first_),
          count_(other.count_)
    {
    }
    LockedRange(const LockedRange&) = delete;
    LockedRange& operator=(const LockedRange&) = delete;
    ~LockedRange();

    bool is_huge() const { return size_ == EntrySize::kHuge; }
    FileBlock first() const { return first_; }
    u64 count() const { return count_; }  // blocks
    FileBlock end() const { return first_ + count_; }

    // The page of a block, if it has one.
    std::optional<Pfn> pfn(FileBlock at) const;

    // Removes every PTE of the range, and every PMD that reaches into it. May sleep.
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
    // Memory is wanted: after zap(), entries that are clean and not pinned go. How many.
    u64 give_back();
    // The blocks leave the file, or the file leaves memory. Zapped before. Entries go, pinned or not: see callers.
    void drop();
    // Makes a 2 MiB entry, zapped before, 512 of 4 KiB, locked: dirty if it was dirty, otherwise those that
    // are pinned stay. May sleep. Errors: kNoMemory, nothing has changed.
    Status split();

  protected:
    friend class DirtyTracker;
    LockedRange(DirtyTracker& tracker, EntrySize size, FileBlock first, u64 count)
        : tracker_(&tracker), size_(size), first_(first), count_(count)
    {
    }
    template <class Visit>
    void each_entry(Visit visit);
    void hand_over(Pfn page);

    DirtyTracker* tracker_;
    EntrySize size_;
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

    // Locks neighbours of a 4 KiB entry too, on both sides as far as [first, end) and the tree's node go and
    // nobody else has one locked. Waits for nobody, so the order of locks does not matter, and needs no
    // memory.
    void widen(FileBlock first, FileBlock end);

    // Tags the entries of the run, which is locked, DIRTY and makes its pages writable where the fault
    // happened, both under the entry locks: there is no other way to a writable PTE. A run of 512 is mapped
    // by a PMD, which the fault must allow. May sleep. Errors: kNoMemory; kBadEntry when an entry or a PTE
    // names another page.
    Status install_writable(tarn_fault* fault, const PageRun& run);
    // Maps the pages read-only. May sleep. Errors: the same.
    Status install_readable(tarn_fault* fault, const PageRun& run);
    // Maps the zero page read-only at locked blocks that are holes. May sleep. Errors: kNoMemory; kBadEntry.
    Status install_zero(tarn_fault* fault, FileBlock first, u64 count);
    // Lends the page of the one block of the run, or the zero page, to be copied: it is pinned, and so has an
    // entry. May sleep. Errors: kBadEntry.
    Status lend(tarn_fault* fault, const PageRun& run);
    void lend_zero(tarn_fault* fault) const { tarn_mapper_lend_zero(fault); }

  private:
    friend class DirtyTracker;
    static constexpr int kOutOfMemory = 12;  // ENOMEM, as the mapper returns it
    LockedEntry(DirtyTracker& tracker, EntrySize size, FileBlock at)
        : LockedRange(tracker, size, FileBlock(round_down(at.value, blocks_of(size))), blocks_of(size))
    {
    }
    static Status install(tarn_fault* fault, const PageRun& run, tarn_protection protection);
    static Status from_mapper(int result);
};

class DirtyTracker : public ListNode<DirtyTracker> {
  public:
    using Tag = RadixTree::Tag;
    static constexpr u64 kMaxRange = 64;

    // `owner` is what the mapper is given, `mount` where things are counted; both outlive the tracker.
    DirtyTracker(tarn_inode* owner, Trackers& mount);
    // No entry is left: see LockedRange::drop. May sleep.
    ~DirtyTracker();
    DirtyTracker(const DirtyTracker&) = delete;
    DirtyTracker& operator=(const DirtyTracker&) = delete;

    // Locks the entry of a block for a fault, whatever its size. May sleep. Errors: kNoMemory.
    Result<LockedEntry> lock(FileBlock at, const InvalidateHeld&);
    // Locks the 2 MiB entry that begins at `first`, for a fault. Nothing: there are entries of 4 KiB. May
    // sleep. Errors: kNoMemory.
    Result<std::optional<LockedEntry>> lock_huge(FileBlock first, const InvalidateHeld&);
    // Locks `count` (1..kMaxRange) entries in ascending order, fewer where a 2 MiB entry comes next; where
    // `first` is in one, just that. May sleep. Errors: kNoMemory.
    Result<LockedRange> lock_range(FileBlock first, u64 count);
    // Locks the first entries with a page (or with `tag`) that have a block in [from, last]: one, waiting for
    // it, and, if it is of 4 KiB, those behind it that are alike and not locked. Nothing: there is none. May
    // sleep.
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
    // The page, its first, of an entry in [from, last] that has a pinned one, if any has. Zapped before,
    // invalidate_lock held exclusive: then "none" stays true. May sleep.
    std::optional<Pfn> find_pinned(FileBlock from, FileBlock last);

    // How many blocks right before `at` are dirty, one after the other; `most` is enough.
    u64 dirty_before(FileBlock at, u64 most) const;

    // True once after each time that something was mapped: whether a trim can find anything.
    bool take_mapped() { return mapped_.exchange(0) != 0; }
    bool has_dirty() const { return dirty_.load_acquire() != 0; }
    bool empty() const;
    tarn_inode* owner() const { return owner_; }
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
    friend class Trackers;
    struct Waiter;
    enum class Attempt : u8 { kLocked, kBusy, kNoNode };
    // An entry by its size and its index in the tree of that size.
    struct Place {
        EntrySize size;
        u64 index;

        u64 block() const { return index << shift_of(size); }
        bool operator==(const Place&) const = default;
    };

    RadixTree& tree(EntrySize size) TARN_REQUIRES(lock_) { return trees_[static_cast<unsigned>(size)]; }
    const RadixTree& tree(EntrySize size) const TARN_REQUIRES(lock_)
    {
        return trees_[static_cast<unsigned>(size)];
    }
    Place place_of(u64 block) const TARN_REQUIRES(lock_);
    Attempt try_lock(Place place, RadixTree::Spare& spare) TARN_REQUIRES(lock_);
    template <class Choose>
    Result<std::optional<Place>> lock_chosen(Choose choose);
    Result<EntrySize> lock_block(u64 block);
    void unlock(EntrySize size, u64 block, u64 count);
    const void* wait_address(Place place) const;
    void wait_unlocked(Place place);
    static int is_unlocked(void* waiter);
    template <class Find>
    std::optional<Place> nearest(Find find, u64 from, u64 last) const TARN_REQUIRES(lock_);
    template <class Find>
    std::optional<LockedRange> lock_found(Find find, FileBlock from, FileBlock last);
    void set_dirty(Place place) TARN_REQUIRES(lock_);
    void clear_dirty(Place place) TARN_REQUIRES(lock_);
    void forget(Place place) TARN_REQUIRES(lock_);
    bool is_pinned(Place place) const TARN_REQUIRES(lock_);
    bool is_idle(Place place) const TARN_REQUIRES(lock_);
    u64 reclaim(u64& budget);  // trackers.cpp
    static constexpr u64 kReclaimDone = ~u64{0};
    std::optional<LockedRange> lock_idle(u64& budget);
    void let_go(Place place) TARN_REQUIRES(lock_);
    static tarn_count entries_of(EntrySize size);
    static tarn_count dirty_of(EntrySize size);
    Status adopt(EntrySize size, const PageRun& run) TARN_REQUIRES(lock_);

    tarn_inode* const owner_;
    Trackers& mount_;
    Mutex write_back_lock_;
    mutable SpinLock lock_;
    RadixTree trees_[2] TARN_GUARDED_BY(lock_);  // by EntrySize
    u64 entries_ TARN_GUARDED_BY(lock_) = 0;
    u32 waiters_ TARN_GUARDED_BY(lock_) = 0;
    bool enlisted_ TARN_GUARDED_BY(lock_) = false;  // by mount_
    bool in_reclaim_ = false;                       // under mount_.lock_
    u64 reclaim_from_ = 0;                          // where reclaim() goes on; of who has set in_reclaim_
    Atomic<u32> mapped_{0};      // 1: something has been mapped since the last trim
    Atomic<u32> zero_pages_{0};  // 1: a zero page has been mapped since the object was made
    Atomic<u64> dirty_{0};       // entries tagged DIRTY; written under lock_
};

}  // namespace tarn
