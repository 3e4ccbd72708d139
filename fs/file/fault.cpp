// SPDX-License-Identifier: GPL-2.0
// Page faults.
//
// Neighbours are served along, where they need no waiting: a load maps what there is of blocks around it, a
// store only blocks behind it, and only in a run of stores: what is writable is dirty, and fsync writes all
// of it back.
//
// Under the entry lock of its block a fault looks the block up, makes it written if a store wants a hole or
// an unwritten block, and installs the PTE. So of two stores into one hole exactly one allocates and zeroes
// (A3): the other waits for the entry and then finds the block. Inode::lock is taken for each look-up only,
// and not held when the PTE goes in: a block that was found written stays so because freeing or unwriting it
// takes invalidate_lock exclusive, which the fault holds shared. A hole may become unwritten in between
// (fallocate), so it is looked at again under Inode::lock.
//
// The zero page: a load from a hole or an unwritten block maps it and leaves no entry. The store that makes
// the block written un-maps it everywhere before it installs its own PTE, under the same entry lock as the
// installing of it, so no process keeps it; and before it lets go of Inode::lock, because a write(2) that
// finds the block written asks for no entry, and nobody may load zeroes when that has returned. Nothing above
// the block map ever sees an unwritten block (A2).
//
// Crash argument: the block is zeroed and fenced before the transaction that maps it or says that it is
// written, which is committed before the PTE exists: there is no moment at which a process can store into a
// block that a crash would take away.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"

namespace tarn {

namespace {

// A store is given one page for each so many dirty ones right before it, so that a run of stores costs fsync
// an eighth more than what was stored to at most, and scattered stores nothing.
constexpr u64 kDirtyForEach = 8;

}  // namespace

Result<u64> File::fault(tarn_fault* fault, const FaultWindow& window, FaultKind kind,
                        const InvalidateHeld& held)
{
    NoFsScope nofs;
    std::optional<Changing> changing;
    if (is_store(kind)) {
        TRY(volume_.may_change());
        changing.emplace(object_);
        TRY(note_change());
    }
    LockedEntry entry = TRY(tracker_.lock(window.at, held));
    const FileBlock end =
        mutant(Mutant::kFaultBehindEnd) ? window.end : min(window.end, file_block_up(size()));
    if (window.at >= end)
        return Error::kBeyondEnd;
    if (kind == FaultKind::kCopy)
        return lend(entry, fault, window.at);
    if (is_store(kind))
        return map_writable(entry, fault, window.at, end);
    entry.widen(window.first, end);
    return map_readable(entry, fault, max(entry.first(), window.first), min(entry.end(), end));
}

// Maps [from, end), which is locked: written blocks with their pages, what is between with the zero page.
Result<u64> File::map_readable(LockedEntry& entry, tarn_fault* fault, FileBlock from, FileBlock end)
{
    for (FileBlock at = from; at < end;) {
        const Mapping mapping = TRY(look_up(at, end - at));
        TRY(mapping.is_written() ? entry.install_readable(fault, pages_of(mapping))
                                 : entry.install_zero(fault, at, mapping.count));
        at = mapping.end();
    }
    return end - from;
}

// Maps the block, and those behind it, below `end`, that a run of stores will come to next, or that will be
// written back with it anyway; makes them written.
Result<u64> File::map_writable(LockedEntry& entry, tarn_fault* fault, FileBlock at, FileBlock end)
{
    const u64 earned =
        entry.is_huge() ? end - at : tracker_.dirty_before(at, kDirtyForEach * (end - at)) / kDirtyForEach;
    Mapping mapping = TRY(look_up(at, max<u64>(earned, 1)));
    entry.widen(at, mapping.end());
    mapping.count = min(mapping.count, entry.end() - at);
    if (!mapping.is_written())
        mapping = TRY(make_written(entry, mapping));
    TRY(entry.install_writable(fault, pages_of(mapping)));
    return mapping.count;
}

// For the copy that a private mapping gets. A lent page is pinned, so its block stays the file's until it is copied.
Result<u64> File::lend(LockedEntry& entry, tarn_fault* fault, FileBlock at)
{
    const Mapping mapping = TRY(look_up(at, 1));
    if (mapping.is_written())
        TRY(entry.lend(fault, pages_of(mapping)));
    else
        entry.lend_zero(fault);
    return u64{1};
}

PageRun File::pages_of(const Mapping& mapping) const
{
    return {mapping.first, mapping.count, media_.pfn_of(mapping.device)};
}

// Makes the first run of the locked blocks, `seen` without Inode::lock, a written one, zeroed, of which no
// zero page is mapped: two fences.
Result<Mapping> File::make_written(LockedEntry& entry, const Mapping& seen)
{
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    const FileBlock at = entry.first();
    Mapping mapping = TRY(blocks.lookup(nullptr, at, entry.count()));
    if (mutant(Mutant::kFaultBelievesLook))
        mapping = seen;
    if (mapping.is_written())
        return mapping;
    if (mapping.is_hole()) {
        Reserved reserved = TRY(reserve_for(blocks, at, mapping.count, mapping.count));
        return publish_zeroed(entry, std::move(reserved).zero(media_));
    }
    Unwritten unwritten = TRY(blocks.unwritten(entry, at, mapping.count));
    return publish_zeroed(entry, std::move(unwritten).zero(media_));
}

// Inode::lock held.
template <class Token>
Result<Mapping> File::publish_zeroed(LockedEntry& entry, Token&& zeroed)
{
    const FileBlock at = entry.first();
    auto durable = TRY(fence(std::move(zeroed)));
    const Mapping written{at, durable.run().count, durable.run().start, Mapping::State::kWritten};
    Transaction txn(volume_);
    TRY(map().publish(txn, at, std::move(durable)));
    TRY(txn.commit());
    if (!mutant(entry.is_huge() ? Mutant::kHugeKeepsZeroPages : Mutant::kFaultKeepsZeroPages))
        entry.zap_zero_pages();
    return written;
}

template Result<Mapping> File::publish_zeroed(LockedEntry&, Initialised<InFlight>&&);
template Result<Mapping> File::publish_zeroed(LockedEntry&, Converted<InFlight>&&);

Result<Mapping> File::look_up(FileBlock at, u64 max)
{
    NoFsScope nofs;
    SharedGuard guard(inode_.lock);
    return map().lookup(nullptr, at, max);
}

u64 File::size()
{
    NoFsScope nofs;
    SharedGuard guard(inode_.lock);
    return min(inode_.read().size, kMaxFileSize);  // damage may say anything
}

// After a failed fence nothing stored since the last good one is known to be durable, so nothing more may be built on it.
Status File::fence()
{
    Status fenced = media_.fence();
    if (!fenced)
        volume_.shut_down(fenced.error());
    return fenced;
}

Result<Initialised<Durable>> File::fence(Initialised<InFlight>&& token)
{
    InFlightBatch batch;
    TRY(batch.add(std::move(token)));
    DurableBatch durable;
    Status fenced = std::move(batch).fence(media_, durable);
    if (!fenced) {
        if (fenced.error() == Error::kDeviceFlush)
            volume_.shut_down(fenced.error());
        return fenced.error();
    }
    return durable.take(0);
}

Result<Converted<Durable>> File::fence(Converted<InFlight>&& token)
{
    Result<Converted<Durable>> fenced = std::move(token).fence(media_);
    if (!fenced)
        volume_.shut_down(fenced.error());
    return fenced;
}

}  // namespace tarn
