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
#include "cxxrt/mutant.hpp"
#include "fs/dax/tracked_block.hpp"
#include "fs/dax/tracker.hpp"
#include "fs/trace.h"

namespace tarn {

using Tag = DirtyTracker::Tag;

LockedRange::~LockedRange()
{
    if (tracker_)
        tracker_->unlock(size_, first_.value, count_);
}

// Calls visit(tree, place, entry) for each entry, under the tracker's lock.
template <class Visit>
void LockedRange::each_entry(Visit visit)
{
    SpinGuard guard(tracker_->lock_);
    RadixTree& tree = tracker_->tree(size_);
    for (u64 i = first_.value >> shift_of(size_); i < end().value >> shift_of(size_); i++)
        visit(tree, DirtyTracker::Place{size_, i}, TrackedBlock(tree.get(i)));
}

std::optional<Pfn> LockedRange::pfn(FileBlock at) const
{
    SpinGuard guard(tracker_->lock_);
    TrackedBlock entry(tracker_->tree(size_).get(at.value >> shift_of(size_)));
    return entry.has_page() ? std::optional(entry.pfn() + at.value % blocks_of(size_)) : std::nullopt;
}

// Somebody may use a page of the entry without a PTE.
bool DirtyTracker::is_pinned(Place place) const
{
    TrackedBlock entry(tree(place.size).get(place.index));
    return entry.has_page() && tarn_mapper_is_pinned(entry.pfn().value, blocks_of(place.size));
}

// The entry, if it has a page, has none any more, and goes with its lock.
void DirtyTracker::let_go(Place place)
{
    TrackedBlock entry(tree(place.size).get(place.index));
    if (entry.has_page()) {
        if (!mutant(Mutant::kPageStaysAttached))
            tarn_mapper_detach(owner_, entry.pfn().value, blocks_of(place.size));
        mount_.uncount(entries_of(place.size));
    }
    tree(place.size).replace(place.index, entry.without_page().word());
}

void LockedRange::zap()
{
    tarn_mapper_zap(tracker_->owner_, first_.value, count_);
    each_entry([](RadixTree& tree, auto place, TrackedBlock entry) {
        tree.replace(place.index, entry.unmapped().word());
    });
}

void LockedRange::zap_zero_pages()
{
    if (tracker_->zero_pages_.load_acquire())
        zap();
}

void LockedRange::begin_write_back()
{
    each_entry([this](RadixTree& tree, auto place, TrackedBlock entry) TARN_NO_ANALYSIS {
        tree.clear_tag(place.index, Tag::kToWrite);
        const bool may_change = tracker_->is_pinned(place) && !mutant(Mutant::kPinnedIsClean);
        if (entry.has_page() && !entry.is_mapped() && !may_change)
            tree.set_tag(place.index, Tag::kWriteBack);
    });
}

void LockedRange::finish_write_back()
{
    each_entry([this](RadixTree& tree, auto place, TrackedBlock entry) TARN_NO_ANALYSIS {
        if (!tree.has_tag(place.index, Tag::kWriteBack))
            return;
        tree.clear_tag(place.index, Tag::kWriteBack);
        tracker_->clear_dirty(place);
        const bool is_mapped = entry.is_mapped() && !mutant(Mutant::kCleanedGoesMapped);
        if (!is_mapped && !tracker_->is_pinned(place))
            tracker_->let_go(place);
    });
}

void LockedRange::cancel_write_back()
{
    each_entry(
        [](RadixTree& tree, auto place, TrackedBlock) { tree.clear_tag(place.index, Tag::kWriteBack); });
}

bool LockedRange::trim()
{
    bool dirty = false;
    each_entry([&](RadixTree& tree, auto place, TrackedBlock entry) TARN_NO_ANALYSIS {
        if (!entry.has_page())
            return;
        if (tracker_->is_pinned(place) && !mutant(Mutant::kTrimIgnoresPins))
            tracker_->set_dirty(place);
        if (tree.has_tag(place.index, Tag::kDirty))
            dirty = true;
        else
            tracker_->let_go(place);
    });
    return dirty;
}

u64 LockedRange::give_back()
{
    u64 removed = 0;
    each_entry([&](RadixTree& tree, auto place, TrackedBlock) TARN_NO_ANALYSIS {
        const bool is_pinned = tracker_->is_pinned(place) && !mutant(Mutant::kReclaimIgnoresPins);
        if (is_pinned || (tree.has_tag(place.index, Tag::kDirty) && !mutant(Mutant::kReclaimTakesDirty)))
            return;
        tracker_->let_go(place);
        removed++;
    });
    return removed;
}

void LockedRange::drop()
{
    each_entry([this](RadixTree& tree, auto place, TrackedBlock) TARN_NO_ANALYSIS {
        tracker_->clear_dirty(place);
        tree.clear_tag(place.index, Tag::kToWrite);
        tree.clear_tag(place.index, Tag::kWriteBack);
        tracker_->let_go(place);
    });
}

// ---- from 2 MiB to 4 KiB ----------------------------------------------------------------------------------

// The small entries are made first, locked, under the lock of the large one: until it goes, in one step with
// the tagging of the others, whoever wants a block of it waits for that lock.
Status LockedRange::split()
{
    TARN_BUG_ON(!is_huge());
    const std::optional<Pfn> page = pfn(first_);
    if (!page)
        return Ok{};
    LockedRange parts(*tracker_, EntrySize::kBlock, first_, 0);
    RadixTree::Spare spare;
    while (parts.count_ < count_) {
        bool needs_node = false;
        {
            SpinGuard guard(tracker_->lock_);
            RadixTree& tree = tracker_->tree(EntrySize::kBlock);
            while (parts.count_ < count_ && !needs_node) {
                const u64 index = parts.end().value;
                needs_node = !tree.set(index, TrackedBlock().locked().word(), spare);
                if (!needs_node) {
                    tracker_->entries_++;
                    parts.count_++;
                }
            }
        }
        if (!needs_node)
            break;
        if (Status filled = spare.fill(); !filled) {
            SpinGuard guard(tracker_->lock_);
            tracker_->tree(EntrySize::kBlock).abandon(parts.end().value);
            return filled;  // `parts` goes with its lock: it has no pages yet
        }
    }
    hand_over(*page);
    std::swap(size_, parts.size_);  // what is left to `parts` is the large entry, without a page
    return Ok{};
}

// Gives pages, and tags, to the parts.
void LockedRange::hand_over(Pfn page)
{
    SpinGuard guard(tracker_->lock_);
    RadixTree& huge = tracker_->tree(EntrySize::kHuge);
    RadixTree& tree = tracker_->tree(EntrySize::kBlock);
    const DirtyTracker::Place whole{EntrySize::kHuge, first_.value >> kHugeShift};
    tarn_trace_split(tracker_->owner_, first_.value, page.value);
    const bool is_dirty = huge.has_tag(whole.index, Tag::kDirty),
               to_write = huge.has_tag(whole.index, Tag::kToWrite);
    for (u64 i = 0; i < kHugeEntry; i++) {
        const DirtyTracker::Place part{EntrySize::kBlock, first_.value + i};
        const Pfn pfn = page + i;
        if (!is_dirty && !tarn_mapper_is_pinned(pfn.value, 1)) {
            tarn_mapper_detach(tracker_->owner_, pfn.value, 1);
            continue;
        }
        tree.replace(part.index, TrackedBlock(tree.get(part.index)).with_page(pfn).word());
        tracker_->mount_.count(TARN_COUNT_ENTRIES);
        if (is_dirty && !mutant(Mutant::kSplitForgetsDirty))
            tracker_->set_dirty(part);
        if (to_write && !mutant(Mutant::kSplitForgetsToWrite))
            tree.set_tag(part.index, Tag::kToWrite);
    }
    tracker_->clear_dirty(whole);
    huge.replace(whole.index, TrackedBlock(huge.get(whole.index)).without_page().word());
    tracker_->mount_.uncount(TARN_COUNT_HUGE_ENTRIES);
}

// ---- the three ways to a PTE ------------------------------------------------------------------------------

void LockedEntry::widen(FileBlock first, FileBlock end)
{
    if (is_huge())
        return;
    first = FileBlock(max(first.value, round_down(first_.value, RadixTree::kFan)));
    end = FileBlock(min(end.value, round_down(first_.value, RadixTree::kFan) + RadixTree::kFan));
    RadixTree::Spare none;  // the entries lie in one node
    SpinGuard guard(tracker_->lock_);
    auto try_lock = [&](u64 index) TARN_NO_ANALYSIS {
        return tracker_->try_lock({EntrySize::kBlock, index}, none) == DirtyTracker::Attempt::kLocked ||
               mutant(Mutant::kWidenTakesLocked);
    };
    for (; first_ > first && try_lock(first_.value - 1); first_ = first_ - 1)
        count_++;
    while (this->end() < end && try_lock(this->end().value))
        count_++;
}

// Notes that the pages may be mapped from now on. Errors: kBadEntry when an entry already has another one.
Status DirtyTracker::adopt(EntrySize size, const PageRun& run)
{
    const u64 blocks = blocks_of(size);
    for (u64 at = round_down(run.first.value, blocks); at < run.end().value; at += blocks) {
        const Pfn pfn(run.pfn.value + at - run.first.value);
        TrackedBlock entry(tree(size).get(at / blocks));
        if (entry.has_page() && entry.pfn() != pfn)
            return Error::kBadEntry;
        if (!entry.has_page()) {
            if (!mutant(Mutant::kPageNotAttached))
                tarn_mapper_attach(owner_, at, pfn.value, blocks);
            mount_.count(entries_of(size));
        }
        tree(size).replace(at / blocks, entry.with_page(pfn).mapped().word());
    }
    mapped_.store_release(1);
    if (!std::exchange(enlisted_, true))
        mount_.enlist(*this);
    return Ok{};
}

Status LockedEntry::install_writable(tarn_fault* fault, const PageRun& run)
{
    TARN_BUG_ON(run.first < first_ || run.end() > end());
    if (mutant(Mutant::kTagAfterInstall)) {
        TRY(install_readable(fault, run));
        TRY(install(fault, run, TARN_MAP_WRITE));
    }
    {
        SpinGuard guard(tracker_->lock_);
        TRY(tracker_->adopt(size_, run));
        const u64 last = (run.end().value - 1) >> shift_of(size_);
        for (u64 i = run.first.value >> shift_of(size_); i <= last; i++) {
            tracker_->set_dirty({size_, i});
            if (!mutant(Mutant::kWriteBackStays))
                tracker_->tree(size_).clear_tag(i, Tag::kWriteBack);
        }
    }
    if (mutant(Mutant::kInstallUnlocked))
        std::exchange(tracker_, nullptr)->unlock(size_, first_.value, count_);
    return install(fault, run, TARN_MAP_WRITE);
}

Status LockedEntry::install_readable(tarn_fault* fault, const PageRun& run)
{
    TARN_BUG_ON(run.first < first_ || run.end() > end());
    {
        SpinGuard guard(tracker_->lock_);
        TRY(tracker_->adopt(size_, run));
    }
    return install(fault, run, TARN_MAP_READ);
}

Status LockedEntry::lend(tarn_fault* fault, const PageRun& run)
{
    TARN_BUG_ON(run.first < first_ || run.end() > end());
    if (!mutant(Mutant::kLentHasNoEntry)) {
        SpinGuard guard(tracker_->lock_);
        TRY(tracker_->adopt(size_, run));
    }
    tarn_mapper_lend(fault, run.pfn.value);
    return Ok{};
}

Status LockedEntry::install_zero(tarn_fault* fault, FileBlock first, u64 count)
{
    TARN_BUG_ON(first < first_ || first + count > end());
    {
        SpinGuard guard(tracker_->lock_);
        for (u64 at = first.value; at < (first + count).value; at += blocks_of(size_))
            if (TrackedBlock(tracker_->tree(size_).get(at >> shift_of(size_))).has_page())
                return Error::kBadEntry;
    }
    tracker_->zero_pages_.store_release(1);
    return from_mapper(count == kHugeEntry ? tarn_mapper_install_huge_zero(fault)
                                           : tarn_mapper_install_zero(fault, first.value, count));
}

Status LockedEntry::install(tarn_fault* fault, const PageRun& run, tarn_protection protection)
{
    return from_mapper(run.count == kHugeEntry ? tarn_mapper_install_huge(fault, run.pfn.value, protection)
                                               : tarn_mapper_install(fault, run.first.value, run.count,
                                                                     run.pfn.value, protection));
}

Status LockedEntry::from_mapper(int result)
{
    if (result == 0)
        return Ok{};
    return result == -kOutOfMemory ? Error::kNoMemory : Error::kBadEntry;
}

}  // namespace tarn
