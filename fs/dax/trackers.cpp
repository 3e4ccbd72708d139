// SPDX-License-Identifier: GPL-2.0
// Trackers: memory from entries that nobody needs, of pages that are clean, mapped or left behind by munmap.
//
// An entry goes only after a zap, with nobody but us at its page, under its lock (I4 in tracker.hpp). That is
// looked at before, so that a page in use is not un-mapped for nothing, and again behind the zap, when
// "nobody" has become final. A dirty entry is left to write-back, and so is one that is locked to who has
// locked it: nothing here waits for an entry, so it does not matter which locks the task holds that wants the
// memory, nor that several entries are locked without regard to their order.
//
// A clean page needs no write-back: DIRTY is gone behind a fence, and without it no PTE is writable (I1, I3).
#include "cxxrt/mutant.hpp"
#include "fs/dax/tracked_block.hpp"
#include "fs/dax/tracker.hpp"

namespace tarn {

// ---- one file ---------------------------------------------------------------------------------------------

// One caller at a time (Trackers::take_next). At the end of the file it begins anew, once.
u64 DirtyTracker::reclaim(u64& budget)
{
    u64 removed = 0;
    bool is_last_round = reclaim_from_ == 0;
    while (budget) {
        std::optional<LockedRange> range = lock_idle(budget);
        if (range) {
            if (!mutant(Mutant::kReclaimKeepsMappings))
                range->zap();
            removed += range->give_back();
        } else if (reclaim_from_ == kReclaimDone) {
            reclaim_from_ = 0;
            if (is_last_round)
                break;
            is_last_round = true;
        }
    }
    return removed;
}

bool DirtyTracker::is_idle(Place place) const
{
    TrackedBlock entry(tree(place.size).get(place.index));
    const bool is_dirty =
        tree(place.size).has_tag(place.index, Tag::kDirty) && !mutant(Mutant::kReclaimTakesDirty);
    return entry.has_page() && !entry.is_locked() && !is_dirty && !is_pinned(place);
}

// ---- all files --------------------------------------------------------------------------------------------

u64 Trackers::counted(tarn_count what) const
{
    u64 sum = 0;
    for (const Shard& shard : shards_)
        sum += shard.cells[what].load_relaxed();
    return sum;
}

// The four are not counted in one step.
u64 Trackers::reclaimable() const
{
    const u64 dirty = counted(TARN_COUNT_DIRTY) + counted(TARN_COUNT_HUGE_DIRTY);
    const u64 all = counted(TARN_COUNT_ENTRIES) + counted(TARN_COUNT_HUGE_ENTRIES);
    return all > dirty ? all - dirty : 0;
}

u64 Trackers::reclaim(u64 budget)
{
    u64 removed = 0, turns = 0;
    {
        SpinGuard guard(lock_);
        turns = listed_;
    }
    for (; turns && budget; turns--) {
        DirtyTracker* tracker = take_next();
        if (!tracker)
            continue;
        removed += tracker->reclaim(budget);
        put_back(*tracker);
    }
    count(TARN_COUNT_RECLAIMED, removed);
    return removed;
}

void Trackers::enlist(DirtyTracker& tracker)
{
    SpinGuard guard(lock_);
    list_.push_back(tracker);
    listed_++;
}

// Its turn comes again when all others have had theirs. Nothing: there is none, or somebody is at it.
DirtyTracker* Trackers::take_next()
{
    SpinGuard guard(lock_);
    DirtyTracker* next = list_.pop_front();
    if (!next)
        return nullptr;
    list_.push_back(*next);
    return std::exchange(next->in_reclaim_, true) ? nullptr : next;
}

// From here on it may go.
void Trackers::put_back(DirtyTracker& tracker)
{
    {
        SpinGuard guard(lock_);
        tracker.in_reclaim_ = false;
    }
    tarn_wait_wake(&tracker);
}

int Trackers::is_put_back(void* argument)
{
    auto& tracker = *static_cast<DirtyTracker*>(argument);
    SpinGuard guard(tracker.mount_.lock_);
    return !tracker.in_reclaim_;
}

void Trackers::leave(DirtyTracker& tracker)
{
    for (;;) {
        {
            SpinGuard guard(lock_);
            if (!tracker.is_linked())
                return;
            if (!tracker.in_reclaim_) {
                list_.remove(tracker);
                listed_--;
                return;
            }
        }
        tarn_wait_on(&tracker, is_put_back, &tracker);
    }
}

}  // namespace tarn
