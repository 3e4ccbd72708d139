// SPDX-License-Identifier: GPL-2.0
// Trackers: what the trackers of one mount have in common: what is counted of them, and of faults; and which
// of them have had entries, so that memory can be had back from those that nobody needs.
//
// Counting costs an addition to memory that other processors seldom touch: each adds to the cells of one of
// kShards, chosen by its number. Only the sum over them means something; what is added on one may be taken
// away on another.
//
// A tracker is enlisted from its first entry on until it is destroyed. reclaim() takes them in turn, each
// under a mark by which the tracker's destructor waits for it; so no inode has to be held for that, and none
// is let go of under memory pressure.
//
// Lock order: lock_ is a leaf; a tracker's own spin lock may be held outside it.
#pragma once
#include "cxxrt/atomic.hpp"
#include "cxxrt/list.hpp"
#include "cxxrt/lock.hpp"
#include "fs/dax/counts.h"

namespace tarn {

class DirtyTracker;

class Trackers {
  public:
    Trackers() : lock_(Rank::kLeaf, "tarnfs_trackers") {}
    Trackers(const Trackers&) = delete;
    Trackers& operator=(const Trackers&) = delete;

    void count(tarn_count what, u64 n = 1) { cell(what).fetch_add(n); }
    void uncount(tarn_count what, u64 n = 1) { cell(what).fetch_sub(n); }
    // Of what has been counted before the call began, at least.
    u64 counted(tarn_count what) const;

    // Entries that reclaim() may find worth removing, about.
    u64 reclaimable() const;
    // Looks at up to `budget` entries, file by file, beginning where it ended the last time; un-maps and
    // removes those that are clean, not locked, and whose pages nobody uses. How many. For a task that wants
    // memory, whatever locks of the kernel it holds: waits for no lock but those of page tables, needs no
    // memory. Yields.
    u64 reclaim(u64 budget);

  private:
    friend class DirtyTracker;
    static constexpr unsigned kShards = 16;
    // Two lines of a cache and more, so that two processors share one at most.
    struct Shard {
        Atomic<u64> cells[TARN_COUNTS];
    };
    static_assert(sizeof(Shard) >= 128);

    Atomic<u64>& cell(tarn_count what) { return shards_[tarn_cpu_current() % kShards].cells[what]; }

    void enlist(DirtyTracker& tracker);
    // The tracker goes. Waits until nobody is at it.
    void leave(DirtyTracker& tracker);
    DirtyTracker* take_next();
    void put_back(DirtyTracker& tracker);
    static int is_put_back(void* tracker);

    Shard shards_[kShards];
    mutable SpinLock lock_;
    List<DirtyTracker> list_ TARN_GUARDED_BY(lock_);
    u64 listed_ TARN_GUARDED_BY(lock_) = 0;
};

}  // namespace tarn
