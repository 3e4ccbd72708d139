// SPDX-License-Identifier: GPL-2.0
// DirtyTracker: finding, locking and unlocking entries. What is done to locked ones: range.cpp.
#include "fs/dax/tracker.hpp"

#include "cxxrt/mutant.hpp"
#include "fs/dax/tracked_block.hpp"

namespace tarn {

DirtyTracker::DirtyTracker(tarn_inode* owner, Trackers& mount)
    : owner_(owner),
      mount_(mount),
      write_back_lock_(Rank::kWriteBack, "tarnfs_write_back"),
      lock_(Rank::kTracker, "tarnfs_tracker")
{
}

DirtyTracker::~DirtyTracker()
{
    mount_.leave(*this);
    TARN_BUG_ON(!trees_[0].empty() || !trees_[1].empty());
}

// ---- locking an entry: a bit, and a place to wait ----------------------------------------------------------

struct DirtyTracker::Waiter {
    DirtyTracker& tracker;
    Place place;
};

// Where those wait who want an entry: an address inside this object, so that other files wake nobody here for
// nothing.
const void* DirtyTracker::wait_address(Place place) const
{
    return reinterpret_cast<const unsigned char*>(this) + place.block() % sizeof(*this);
}

int DirtyTracker::is_unlocked(void* argument)
{
    auto* waiter = static_cast<Waiter*>(argument);
    SpinGuard guard(waiter->tracker.lock_);
    return !TrackedBlock(waiter->tracker.tree(waiter->place.size).get(waiter->place.index)).is_locked();
}

// Returns when the entry has been seen unlocked; it may be locked again by then, or gone.
void DirtyTracker::wait_unlocked(Place place)
{
    Waiter waiter{*this, place};
    {
        SpinGuard guard(lock_);
        waiters_++;
    }
    tarn_wait_on(wait_address(place), is_unlocked, &waiter);
    SpinGuard guard(lock_);
    waiters_--;
}

// The entry that a block belongs to: of 2 MiB if there is one, else its own, which may not exist.
DirtyTracker::Place DirtyTracker::place_of(u64 block) const
{
    const u64 huge = block >> kHugeShift;
    const bool is_in_huge = tree(EntrySize::kHuge).get(huge) && !mutant(Mutant::kSmallBesideHuge);
    return is_in_huge ? Place{EntrySize::kHuge, huge} : Place{EntrySize::kBlock, block};
}

// Makes the entry if need be; there is none of the other size.
DirtyTracker::Attempt DirtyTracker::try_lock(Place place, RadixTree::Spare& spare)
{
    TrackedBlock entry(tree(place.size).get(place.index));
    if (entry.is_locked())
        return Attempt::kBusy;
    if (!tree(place.size).set(place.index, entry.locked().word(), spare))
        return Attempt::kNoNode;
    entries_ += entry.exists() ? 0u : 1u;
    return Attempt::kLocked;
}

// Locks the entry that choose() names, waiting for it; asks again after each wait. lock_ is held when it is
// called. When it changes its mind, or memory fails, nodes made for the entry it named before go again.
template <class Choose>
Result<std::optional<DirtyTracker::Place>> DirtyTracker::lock_chosen(Choose choose)
{
    RadixTree::Spare spare;
    std::optional<Place> unfinished;
    for (;;) {
        Attempt attempt = Attempt::kBusy;
        std::optional<Place> place;
        {
            SpinGuard guard(lock_);
            place = choose();
            if (unfinished && unfinished != place)
                tree(unfinished->size).abandon(unfinished->index);
            if (!place)
                return place;
            attempt = try_lock(*place, spare);
        }
        if (attempt == Attempt::kLocked)
            return place;
        if (attempt == Attempt::kBusy) {
            wait_unlocked(*place);
            continue;
        }
        unfinished = place;
        if (Status filled = spare.fill(); !filled) {
            SpinGuard guard(lock_);
            tree(place->size).abandon(place->index);
            return filled.error();
        }
    }
}

// The size of the entry that is now locked.
Result<EntrySize> DirtyTracker::lock_block(u64 block)
{
    auto choose = [&]() TARN_NO_ANALYSIS { return std::optional(place_of(block)); };
    const std::optional<Place> place = TRY(lock_chosen(choose));
    return place->size;
}

void DirtyTracker::unlock(EntrySize size, u64 block, u64 count)
{
    bool wake = false;
    const u64 first = block >> shift_of(size), end = (block + count) >> shift_of(size);
    {
        SpinGuard guard(lock_);
        wake = waiters_ != 0 && !mutant(Mutant::kUnlockForgetsWaiters);
        for (u64 i = first; i < end; i++) {
            TrackedBlock entry(tree(size).get(i));
            TARN_BUG_ON(!entry.is_locked());
            if (entry.has_page())
                tree(size).replace(i, entry.unlocked().word());
            else
                forget({size, i});
        }
    }
    for (u64 i = first; wake && i < end; i++)
        tarn_wait_wake(wait_address({size, i}));
}

// Removes an entry with its tags.
void DirtyTracker::forget(Place place)
{
    clear_dirty(place);
    tree(place.size).erase(place.index);
    entries_--;
}

Result<LockedEntry> DirtyTracker::lock(FileBlock at, const InvalidateHeld&)
{
    return LockedEntry(*this, TRY(lock_block(at.value)), at);
}

Result<std::optional<LockedEntry>> DirtyTracker::lock_huge(FileBlock first, const InvalidateHeld&)
{
    const Place huge{EntrySize::kHuge, first.value >> kHugeShift};
    TARN_BUG_ON(huge.block() != first.value);
    auto choose = [&]() TARN_NO_ANALYSIS {
        const bool taken =
            tree(EntrySize::kBlock).next(first.value, first.value + kHugeEntry - 1).has_value();
        return taken && !mutant(Mutant::kHugeBesideSmall) ? std::nullopt : std::optional(huge);
    };
    if (!TRY(lock_chosen(choose)))
        return std::optional<LockedEntry>();
    return std::optional(LockedEntry(*this, EntrySize::kHuge, first));
}

Result<LockedRange> DirtyTracker::lock_range(FileBlock first, u64 count)
{
    TARN_BUG_ON(count == 0 || count > kMaxRange);
    if (TRY(lock_block(first.value)) == EntrySize::kHuge)
        return LockedRange(LockedEntry(*this, EntrySize::kHuge, first));
    LockedRange range(*this, EntrySize::kBlock, first, 1);
    for (; range.count_ < count; range.count_++)
        if (TRY(lock_block(range.end().value)) == EntrySize::kHuge) {
            unlock(EntrySize::kHuge, range.end().value, kHugeEntry);
            break;
        }
    return range;
}

// The entry with the lowest block at or behind `from`, or around it, that find(tree, first, last) names in a
// tree.
template <class Find>
std::optional<DirtyTracker::Place> DirtyTracker::nearest(Find find, u64 from, u64 last) const
{
    const std::optional<u64> block = find(tree(EntrySize::kBlock), from, last);
    const std::optional<u64> huge = find(tree(EntrySize::kHuge), from >> kHugeShift, last >> kHugeShift);
    if (huge && (!block || *huge << kHugeShift <= *block))
        return Place{EntrySize::kHuge, *huge};
    return block ? std::optional(Place{EntrySize::kBlock, *block}) : std::nullopt;
}

// lock_ is held when find is called. Placeholders are never wanted: they are locked, and gone or filled when
// their lock is.
template <class Find>
std::optional<LockedRange> DirtyTracker::lock_found(Find find, FileBlock from, FileBlock last)
{
    for (;;) {
        tarn_task_yield();
        std::optional<Place> found;
        {
            SpinGuard guard(lock_);
            found = nearest(find, from.value, last.value);
            if (!found)
                return std::nullopt;
            RadixTree& tree = this->tree(found->size);
            const u64 most = found->size == EntrySize::kHuge ? 1 : kMaxRange;
            u64 count = 0;
            while (count < most) {
                const u64 next = found->index + count;
                TrackedBlock entry(tree.get(next));
                if (entry.is_locked() || (count && find(tree, next, last.value) != next))
                    break;
                tree.replace(next, entry.locked().word());
                count++;
            }
            if (count)
                return LockedRange(*this, found->size, FileBlock(found->block()),
                                   count << shift_of(found->size));
        }
        wait_unlocked(*found);
        from = max(from, FileBlock(found->block()));
    }
}

std::optional<LockedRange> DirtyTracker::lock_next(FileBlock from, FileBlock last)
{
    auto find = [](const RadixTree& tree, u64 at, u64 to) { return tree.next(at, to); };
    return lock_found(find, from, last);
}

std::optional<LockedRange> DirtyTracker::lock_next_tagged(Tag tag, FileBlock from, FileBlock last)
{
    auto find = [tag](const RadixTree& tree, u64 at, u64 to) { return tree.next_tagged(tag, at, to); };
    return lock_found(find, from, last);
}

// Looks at kMaxRange entries from reclaim_from_ on, and locks the first idle one and those of 4 KiB behind it
// that are idle too.
std::optional<LockedRange> DirtyTracker::lock_idle(u64& budget)
{
    auto any = [](const RadixTree& tree, u64 at, u64 to) { return tree.next(at, to); };
    tarn_task_yield();
    SpinGuard guard(lock_);
    for (u64 looked = 0; looked < kMaxRange && budget; looked++, budget--) {
        const std::optional<Place> place = nearest(any, reclaim_from_, kReclaimDone - 1);
        if (!place) {
            reclaim_from_ = kReclaimDone;
            break;
        }
        const u64 most = place->size == EntrySize::kHuge ? 1 : min(kMaxRange, budget);
        u64 count = 0;
        for (Place next = *place; count < most && is_idle(next); next.index++, count++)
            tree(next.size).replace(next.index,
                                    TrackedBlock(tree(next.size).get(next.index)).locked().word());
        reclaim_from_ = place->block() + (max<u64>(count, 1) << shift_of(place->size));
        if (count) {
            budget -= count;
            return LockedRange(*this, place->size, FileBlock(place->block()), count << shift_of(place->size));
        }
    }
    return std::nullopt;
}

// ---- looking ------------------------------------------------------------------------------------------------

void DirtyTracker::tag_for_write_back(FileBlock from, FileBlock last)
{
    constexpr unsigned kLeavesAtOnce = 64;
    // The large ones first: one that is split meanwhile hands its tags down.
    const bool small_first = mutant(Mutant::kSmallTaggedFirst);
    for (EntrySize size : {small_first ? EntrySize::kBlock : EntrySize::kHuge,
                           small_first ? EntrySize::kHuge : EntrySize::kBlock}) {
        std::optional<u64> at = from.value >> shift_of(size);
        while (at) {
            tarn_task_yield();
            SpinGuard guard(lock_);
            at = tree(size).copy_tag(Tag::kDirty, Tag::kToWrite, *at, last.value >> shift_of(size),
                                     kLeavesAtOnce);
        }
    }
}

std::optional<Pfn> DirtyTracker::find_pinned(FileBlock from, FileBlock last)
{
    auto any = [](const RadixTree& tree, u64 at, u64 to) { return tree.next(at, to); };
    for (u64 at = from.value; at <= last.value;) {
        tarn_task_yield();
        SpinGuard guard(lock_);
        for (u64 looked = 0; looked < kMaxRange && at <= last.value;) {
            const std::optional<Place> place = nearest(any, at, last.value);
            if (!place)
                return std::nullopt;
            if (is_pinned(*place))
                return TrackedBlock(tree(place->size).get(place->index)).pfn();
            at = place->block() + blocks_of(place->size);
            looked += blocks_of(place->size);
        }
    }
    return std::nullopt;
}

u64 DirtyTracker::dirty_before(FileBlock at, u64 most) const
{
    SpinGuard guard(lock_);
    return tree(EntrySize::kBlock).tagged_before(Tag::kDirty, at.value, most);
}

bool DirtyTracker::empty() const
{
    SpinGuard guard(lock_);
    return tree(EntrySize::kBlock).empty() && tree(EntrySize::kHuge).empty();
}

bool DirtyTracker::has_tag(FileBlock at, Tag tag) const
{
    SpinGuard guard(lock_);
    const Place place = place_of(at.value);
    return tree(place.size).has_tag(place.index, tag);
}

DirtyTracker::Numbers DirtyTracker::numbers() const
{
    SpinGuard guard(lock_);
    return {entries_, dirty_.load_relaxed(),
            tree(EntrySize::kBlock).node_count() + tree(EntrySize::kHuge).node_count()};
}

tarn_count DirtyTracker::entries_of(EntrySize size)
{
    return size == EntrySize::kHuge ? TARN_COUNT_HUGE_ENTRIES : TARN_COUNT_ENTRIES;
}

tarn_count DirtyTracker::dirty_of(EntrySize size)
{
    return size == EntrySize::kHuge ? TARN_COUNT_HUGE_DIRTY : TARN_COUNT_DIRTY;
}

// ---- the DIRTY tag, and with it whether write-back visits the file ------------------------------------------

// A file is marked for write-back exactly while an entry is DIRTY: mark and count change together, under lock_.
void DirtyTracker::set_dirty(Place place)
{
    if (tree(place.size).has_tag(place.index, Tag::kDirty))
        return;
    tree(place.size).set_tag(place.index, Tag::kDirty);
    mount_.count(dirty_of(place.size));
    if (dirty_.fetch_add(1) == 0)
        tarn_mapper_mark_dirty(owner_);
}

void DirtyTracker::clear_dirty(Place place)
{
    if (!tree(place.size).has_tag(place.index, Tag::kDirty))
        return;
    tree(place.size).clear_tag(place.index, Tag::kDirty);
    mount_.uncount(dirty_of(place.size));
    if (dirty_.fetch_sub(1) == 1)
        tarn_mapper_mark_clean(owner_);
}

}  // namespace tarn
