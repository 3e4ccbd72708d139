// SPDX-License-Identifier: GPL-2.0
// Making durable what was stored through mappings, and forgetting pages.
//
// A write-back of one file at a time (write_back_lock). It marks what is dirty when it begins, so it ends
// even while others keep dirtying; visits each marked run once: un-map, WRITEBACK, write the lines back,
// unlock; one fence; then clears DIRTY wherever WRITEBACK is still set, that is, where nobody has been given
// a writable PTE in between. Its cost is that of the dirty entries in the range; one of 2 MiB is written
// whole. Why nothing is lost: fs/dax/range.cpp.
//
// A second caller that finds nothing dirty may return at once: DIRTY goes only behind the fence. So nothing
// forgets a dirty entry of a block that the file keeps if the power goes now: truncation writes back first.
// After a shutdown nobody is told that anything is durable. What is dirty is written back all the same when its
// inode goes: the next mount reads it, and its syncs know nothing of lines that are dirty in the caches.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"
#include "fs/trace.h"

namespace tarn {

Status File::sync(FileBlock from, FileBlock last)
{
    return volume_.is_shut_down() ? Status(Error::kShutDown) : make_durable(from, last);
}

Status File::make_durable(FileBlock from, FileBlock last)
{
    if (!tracker_.has_dirty() || last < from)
        return Ok{};
    if (mutant(Mutant::kSyncsTogether))
        return sync_locked(from, last);
    MutexGuard guard(tracker_.write_back_lock());
    return sync_locked(from, last);
}

Status File::sync_locked(FileBlock from, FileBlock last)
{
    using Tag = DirtyTracker::Tag;
    tracker_.tag_for_write_back(from, last);
    u64 pages = 0;
    const Tag visited = mutant(Mutant::kSyncTakesLater) ? Tag::kDirty : Tag::kToWrite;
    tracker_.each_tagged(visited, from, last, [&](LockedRange& range) {
        if (mutant(Mutant::kWriteBackBeforeZap))
            write_back(range);
        range.zap();
        if (mutant(Mutant::kPinsSeenLate))
            write_back(range);
        range.begin_write_back();
        if (!mutant(Mutant::kWriteBackBeforeZap) && !mutant(Mutant::kPinsSeenLate))
            write_back(range);
        pages += range.count();
    });
    if (!pages)
        return Ok{};
    if (mutant(Mutant::kCleanBeforeFence))
        tracker_.each_tagged(Tag::kWriteBack, from, last,
                             [](LockedRange& range) { range.finish_write_back(); });
    Status fenced = fence();
    tracker_.each_tagged(Tag::kWriteBack, from, last, [&](LockedRange& range) {
        fenced ? range.finish_write_back() : range.cancel_write_back();
    });
    tarn_trace_write_back(tracker_.owner(), from.value, last.value, pages,
                          fenced ? 0 : to_errno(fenced.error()));
    return fenced;
}

void File::write_back(const LockedRange& range)
{
    if (mutant(Mutant::kStoreNotWrittenBack))
        return;
    const u64 at_once = range.is_huge() ? range.count() : 1;
    for (FileBlock at = range.first(); at < range.end(); at += at_once)
        if (std::optional<Pfn> page = range.pfn(at))
            media_.write_back(media_.at(media_.block_of_pfn(*page)), at_once * kBlockSize);
}

bool File::trim()
{
    if (!tracker_.take_mapped())
        return tracker_.has_dirty();
    bool dirty = false;
    tracker_.each(FileBlock(0), kLastFileBlock, [&](LockedRange& range) {
        if (!mutant(Mutant::kTrimKeepsMappings))
            range.zap();
        dirty |= range.trim();
    });
    return dirty;
}

// Nobody maps, opens or writes the file any more. Where the device is gone nothing is touched. Without a fence that
// succeeds the dirty lines are only in the cache, and that is said; the inode leaves memory all the same. So it does when
// pages are pinned still: their blocks, if they are freed, are given to nobody before the pins go (fs/space).
Status File::evict(Evict how)
{
    Status synced = Ok{};
    if (how == Evict::kKeep && !volume_.is_gone())
        synced = make_durable(FileBlock(0), kLastFileBlock);
    forget(FileBlock(0), kLastFileBlock);
    return synced;
}

// After which no entry reaches over the boundary in front of `at`: blocks on one side of it are about to
// leave the file.
Status File::split_at(FileBlock at)
{
    Status split = Ok{};
    if (at.value % kHugeEntry == 0 || at > kLastFileBlock || mutant(Mutant::kHugeNotSplit))
        return split;
    tracker_.each(at, at, [&](LockedRange& range) {
        if (!range.is_huge())
            return;
        range.zap();
        split = range.split();
    });
    return split;
}

// Removes every entry of [from, last], dirty or not.
void File::forget(FileBlock from, FileBlock last)
{
    tracker_.each(from, last, [](LockedRange& range) { range.drop(); });
}

}  // namespace tarn
