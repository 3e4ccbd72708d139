// SPDX-License-Identifier: GPL-2.0
// LockedRange and LockedEntry: what may be done to entries, all of it under their locks.
//
// Why no store is ever lost (invariants in tracker.hpp):
//  - install_writable tags DIRTY before the PTE exists, and both under the entry lock. A write-back takes the same lock
//    to zap, so it sees either no writable PTE and no need, or the tag; there is no moment with a PTE and no tag.
//  - Write-back zaps, sets WRITEBACK, then writes lines back: stores that came through the old PTEs are in the cache by then, because the
//    zap returns only when every CPU has dropped the translation. A store after that needs install_writable, which
//    clears WRITEBACK; so where WRITEBACK is still set behind the fence, every store there was is durable.
//  - A pin taken before the zap may store without any PTE, at any time: such a page does not get WRITEBACK and stays
//    DIRTY. A pin cannot begin after the zap without a new PTE: whoever pins first takes the reference and then looks
//    at the PTE again, we remove the PTE and then look at the reference.
#include "fs/dax/tracked_block.hpp"
#include "fs/dax/tracker.hpp"

namespace tarn {

LockedRange::~LockedRange()
{
    if (tracker_)
        tracker_->unlock(first_.value, count_);
}

std::optional<Pfn> LockedRange::pfn(FileBlock at) const
{
    SpinGuard guard(tracker_->lock_);
    TrackedBlock entry(tracker_->tree_.get(at.value));
    return entry.has_page() ? std::optional<Pfn>(entry.pfn()) : std::nullopt;
}

void LockedRange::zap()
{
    tarn_mapper_zap(tracker_->owner_, first_.value, count_);
    SpinGuard guard(tracker_->lock_);
    for (u64 i = first_.value; i < end().value; i++)
        tracker_->tree_.replace(i, TrackedBlock(tracker_->tree_.get(i)).unmapped().word());
}

void LockedRange::zap_zero_pages()
{
    if (tracker_->zero_pages_.load_acquire())
        zap();
}

void LockedRange::begin_write_back()
{
    using Tag = DirtyTracker::Tag;
    SpinGuard guard(tracker_->lock_);
    RadixTree& tree = tracker_->tree_;
    for (u64 i = first_.value; i < end().value; i++) {
        TrackedBlock entry(tree.get(i));
        tree.clear_tag(i, Tag::kToWrite);
        if (entry.has_page() && !entry.is_mapped() && !tarn_mapper_is_pinned(entry.pfn().value))
            tree.set_tag(i, Tag::kWriteBack);
    }
}

void LockedRange::finish_write_back()
{
    using Tag = DirtyTracker::Tag;
    SpinGuard guard(tracker_->lock_);
    RadixTree& tree = tracker_->tree_;
    for (u64 i = first_.value; i < end().value; i++) {
        if (!tree.has_tag(i, Tag::kWriteBack))
            continue;
        tree.clear_tag(i, Tag::kWriteBack);
        tracker_->clear_dirty(i);
        TrackedBlock entry(tree.get(i));
        if (entry.is_mapped() || tarn_mapper_is_pinned(entry.pfn().value))
            continue;
        tarn_mapper_detach(tracker_->owner_, entry.pfn().value);
        tree.replace(i, entry.without_page().word());
    }
}

void LockedRange::cancel_write_back()
{
    SpinGuard guard(tracker_->lock_);
    for (u64 i = first_.value; i < end().value; i++)
        tracker_->tree_.clear_tag(i, DirtyTracker::Tag::kWriteBack);
}

bool LockedRange::trim()
{
    bool dirty = false;
    SpinGuard guard(tracker_->lock_);
    for (u64 i = first_.value; i < end().value; i++) {
        TrackedBlock entry(tracker_->tree_.get(i));
        if (!entry.has_page())
            continue;
        if (tarn_mapper_is_pinned(entry.pfn().value))
            tracker_->set_dirty(i);
        if (tracker_->tree_.has_tag(i, DirtyTracker::Tag::kDirty)) {
            dirty = true;
            continue;
        }
        tarn_mapper_detach(tracker_->owner_, entry.pfn().value);
        tracker_->tree_.replace(i, entry.without_page().word());
    }
    return dirty;
}

void LockedRange::drop()
{
    using Tag = DirtyTracker::Tag;
    SpinGuard guard(tracker_->lock_);
    RadixTree& tree = tracker_->tree_;
    for (u64 i = first_.value; i < end().value; i++) {
        TrackedBlock entry(tree.get(i));
        if (entry.has_page())
            tarn_mapper_detach(tracker_->owner_, entry.pfn().value);
        tracker_->clear_dirty(i);
        tree.clear_tag(i, Tag::kToWrite);
        tree.clear_tag(i, Tag::kWriteBack);
        tree.replace(i, entry.without_page().word());
    }
}

// ---- the three ways to a PTE ------------------------------------------------------------------------------

void LockedEntry::widen(FileBlock first, FileBlock end)
{
    first = FileBlock(max(first.value, round_down(first_.value, RadixTree::kFan)));
    end = FileBlock(min(end.value, round_down(first_.value, RadixTree::kFan) + RadixTree::kFan));
    SpinGuard guard(tracker_->lock_);
    for (; first_ > first && tracker_->try_lock(first_.value - 1); first_ = first_ - 1)
        count_++;
    while (this->end() < end && tracker_->try_lock(this->end().value))
        count_++;
}

// Notes that the pages may be mapped from now on. Errors: kBadEntry when an entry already has another one.
Status DirtyTracker::adopt(const PageRun& run)
{
    for (u64 i = 0; i < run.count; i++) {
        const u64 index = run.first.value + i;
        const Pfn pfn = run.pfn + i;
        TrackedBlock entry(tree_.get(index));
        if (entry.is_huge() || (entry.has_page() && entry.pfn() != pfn))
            return Error::kBadEntry;
        if (!entry.has_page())
            tarn_mapper_attach(owner_, index, pfn.value);
        tree_.replace(index, entry.with_page(pfn).mapped().word());
    }
    mapped_.store_release(1);
    return Ok{};
}

Status LockedEntry::install_writable(tarn_fault* fault, const PageRun& run)
{
    TARN_BUG_ON(run.first < first_ || run.end() > end());
    {
        SpinGuard guard(tracker_->lock_);
        TRY(tracker_->adopt(run));
        for (u64 i = run.first.value; i < run.end().value; i++) {
            tracker_->set_dirty(i);
            tracker_->tree_.clear_tag(i, DirtyTracker::Tag::kWriteBack);
        }
    }
    return from_mapper(tarn_mapper_install(fault, run.first.value, run.count, run.pfn.value, TARN_MAP_WRITE));
}

Status LockedEntry::install_readable(tarn_fault* fault, const PageRun& run)
{
    TARN_BUG_ON(run.first < first_ || run.end() > end());
    {
        SpinGuard guard(tracker_->lock_);
        TRY(tracker_->adopt(run));
    }
    return from_mapper(tarn_mapper_install(fault, run.first.value, run.count, run.pfn.value, TARN_MAP_READ));
}

Status LockedEntry::install_zero(tarn_fault* fault, FileBlock first, u64 count)
{
    TARN_BUG_ON(first < first_ || first + count > end());
    {
        SpinGuard guard(tracker_->lock_);
        for (u64 i = first.value; i < first.value + count; i++)
            if (TrackedBlock(tracker_->tree_.get(i)).has_page())
                return Error::kBadEntry;
    }
    tracker_->zero_pages_.store_release(1);
    return from_mapper(tarn_mapper_install_zero(fault, first.value, count));
}

Status LockedEntry::from_mapper(int result)
{
    if (result == 0)
        return Ok{};
    return result == -kOutOfMemory ? Error::kNoMemory : Error::kBadEntry;
}

}  // namespace tarn
