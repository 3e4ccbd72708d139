// SPDX-License-Identifier: GPL-2.0
// DirtyTracker: finding, locking and unlocking entries. What is done to locked ones: range.cpp.
#include "fs/dax/tracker.hpp"

#include "fs/dax/tracked_block.hpp"

namespace tarn {

DirtyTracker::DirtyTracker(tarn_inode* owner)
    : owner_(owner), write_back_lock_(Rank::kWriteBack, "tarnfs_write_back"), lock_(Rank::kTracker, "tarnfs_tracker")
{
}

DirtyTracker::~DirtyTracker() { TARN_BUG_ON(!tree_.empty()); }

// ---- locking an entry: a bit, and a place to wait ----------------------------------------------------------

struct DirtyTracker::Waiter {
    DirtyTracker& tracker;
    u64 index;
};

// Where those wait who want `index`: an address inside this object, so that other files wake nobody here for nothing.
const void* DirtyTracker::wait_address(u64 index) const
{
    return reinterpret_cast<const unsigned char*>(this) + index % sizeof(*this);
}

int DirtyTracker::is_unlocked(void* argument)
{
    auto* waiter = static_cast<Waiter*>(argument);
    SpinGuard guard(waiter->tracker.lock_);
    return !TrackedBlock(waiter->tracker.tree_.get(waiter->index)).is_locked();
}

// Returns when the entry has been seen unlocked; it may be locked again by then.
void DirtyTracker::wait_unlocked(u64 index)
{
    Waiter waiter{*this, index};
    {
        SpinGuard guard(lock_);
        waiters_++;
    }
    tarn_wait_on(wait_address(index), is_unlocked, &waiter);
    SpinGuard guard(lock_);
    waiters_--;
}

Status DirtyTracker::lock_one(u64 index)
{
    RadixTree::Spare spare;
    for (;;) {
        bool is_busy = false;
        {
            SpinGuard guard(lock_);
            TrackedBlock entry(tree_.get(index));
            is_busy = entry.is_locked();
            if (!is_busy && tree_.set(index, entry.locked().word(), spare)) {
                entries_ += entry.exists() ? 0u : 1u;
                return Ok{};
            }
        }
        if (is_busy) {
            wait_unlocked(index);
        } else if (Status filled = spare.fill(); !filled) {
            SpinGuard guard(lock_);
            tree_.abandon(index);
            return filled;
        }
    }
}

// Not if somebody else has it locked, nor if a node is missing: those of one fault lie in one node.
bool DirtyTracker::try_lock(u64 index)
{
    RadixTree::Spare none;
    TrackedBlock entry(tree_.get(index));
    if (entry.is_locked() || !tree_.set(index, entry.locked().word(), none))
        return false;
    entries_ += entry.exists() ? 0u : 1u;
    return true;
}

void DirtyTracker::unlock(u64 index, u64 count)
{
    bool wake = false;
    {
        SpinGuard guard(lock_);
        wake = waiters_ != 0;
        for (u64 i = index; i < index + count; i++) {
            TrackedBlock entry(tree_.get(i));
            TARN_BUG_ON(!entry.is_locked());
            if (entry.has_page())
                tree_.replace(i, entry.unlocked().word());
            else
                forget(i);
        }
    }
    for (u64 i = index; wake && i < index + count; i++)
        tarn_wait_wake(wait_address(i));
}

// Removes an entry with its tags.
void DirtyTracker::forget(u64 index)
{
    clear_dirty(index);
    tree_.erase(index);
    entries_--;
}

Result<LockedEntry> DirtyTracker::lock(FileBlock at, const InvalidateHeld&)
{
    TRY(lock_one(at.value));
    return LockedEntry(*this, at);
}

Result<LockedRange> DirtyTracker::lock_range(FileBlock first, u64 count)
{
    TARN_BUG_ON(count == 0 || count > kMaxRange);
    TRY(lock_one(first.value));
    LockedRange range(*this, first, 1);
    for (; range.count_ < count; range.count_++)
        TRY(lock_one((first + range.count_).value));
    return range;
}

// `find(from, last)` names the next index wanted; lock_ is held when it is called. Placeholders are never wanted: they
// are locked, and gone or filled when their lock is.
template <class Find>
std::optional<LockedRange> DirtyTracker::lock_found(Find find, FileBlock from, FileBlock last)
{
    for (u64 at = from.value;;) {
        tarn_task_yield();
        std::optional<u64> found;
        {
            SpinGuard guard(lock_);
            found = find(at, last.value);
            u64 count = 0;
            while (found && count < kMaxRange && find(*found + count, last.value) == *found + count) {
                TrackedBlock entry(tree_.get(*found + count));
                if (entry.is_locked())
                    break;
                tree_.replace(*found + count++, entry.locked().word());
            }
            if (count)
                return LockedRange(*this, FileBlock(*found), count);
        }
        if (!found)
            return std::nullopt;
        wait_unlocked(*found);
        at = *found;
    }
}

std::optional<LockedRange> DirtyTracker::lock_next(FileBlock from, FileBlock last)
{
    auto find = [this](u64 at, u64 to) TARN_NO_ANALYSIS { return tree_.next(at, to); };
    return lock_found(find, from, last);
}

std::optional<LockedRange> DirtyTracker::lock_next_tagged(Tag tag, FileBlock from, FileBlock last)
{
    auto find = [this, tag](u64 at, u64 to) TARN_NO_ANALYSIS { return tree_.next_tagged(tag, at, to); };
    return lock_found(find, from, last);
}

// ---- looking ------------------------------------------------------------------------------------------------

void DirtyTracker::tag_for_write_back(FileBlock from, FileBlock last)
{
    constexpr unsigned kLeavesAtOnce = 64;
    std::optional<u64> at = from.value;
    while (at) {
        tarn_task_yield();
        SpinGuard guard(lock_);
        at = tree_.copy_tag(Tag::kDirty, Tag::kToWrite, *at, last.value, kLeavesAtOnce);
    }
}

std::optional<Pfn> DirtyTracker::find_pinned(FileBlock from, FileBlock last)
{
    std::optional<u64> at = from.value;
    while (at) {
        tarn_task_yield();
        SpinGuard guard(lock_);
        for (u64 looked = 0; looked < kMaxRange && at; looked++) {
            at = tree_.next(*at, last.value);
            if (!at)
                break;
            TrackedBlock entry(tree_.get(*at));
            if (entry.has_page() && tarn_mapper_is_pinned(entry.pfn().value))
                return entry.pfn();
            ++*at;
        }
    }
    return std::nullopt;
}

u64 DirtyTracker::dirty_before(FileBlock at, u64 most) const
{
    SpinGuard guard(lock_);
    return tree_.tagged_before(Tag::kDirty, at.value, most);
}

bool DirtyTracker::empty() const
{
    SpinGuard guard(lock_);
    return tree_.empty();
}

bool DirtyTracker::has_tag(FileBlock at, Tag tag) const
{
    SpinGuard guard(lock_);
    return tree_.has_tag(at.value, tag);
}

DirtyTracker::Numbers DirtyTracker::numbers() const
{
    SpinGuard guard(lock_);
    return {entries_, dirty_.load_relaxed(), tree_.node_count()};
}

// ---- the DIRTY tag, and with it whether write-back visits the file ------------------------------------------

// A file is marked for write-back exactly while an entry is DIRTY: mark and count change together, under lock_.
void DirtyTracker::set_dirty(u64 index)
{
    if (tree_.has_tag(index, Tag::kDirty))
        return;
    tree_.set_tag(index, Tag::kDirty);
    if (dirty_.fetch_add(1) == 0)
        tarn_mapper_mark_dirty(owner_);
}

void DirtyTracker::clear_dirty(u64 index)
{
    if (!tree_.has_tag(index, Tag::kDirty))
        return;
    tree_.clear_tag(index, Tag::kDirty);
    if (dirty_.fetch_sub(1) == 1)
        tarn_mapper_mark_clean(owner_);
}

}  // namespace tarn
