// SPDX-License-Identifier: GPL-2.0
// Page faults.
//
// Under the entry lock of its block a fault looks the block up, allocates it if a store wants a hole, and installs the
// PTE. So of two stores into one hole exactly one allocates and zeroes (A3): the other waits for the entry and then finds
// the block. Inode::lock is taken for each look-up only, and not held when the PTE goes in: what was found stays true
// because freeing a block takes invalidate_lock exclusive, which the fault holds shared.
//
// The zero page: a load from a hole maps it and leaves no entry. The store that fills the hole un-maps it everywhere
// before it installs its own PTE, under the same entry lock as the installing of it, so no process keeps it.
//
// Crash argument: the fresh block is zeroed and fenced before the transaction that maps it, which is committed before the
// PTE exists: there is no moment at which a process can store into a block that a crash would take away.
#include "fs/file/file.hpp"

namespace tarn {

Status File::fault(tarn_fault* fault, FileBlock at, FaultKind kind, const InvalidateHeld& held)
{
    NoFsScope nofs;
    if (kind == FaultKind::kWrite)
        TRY(volume_.may_change());
    LockedEntry entry = TRY(tracker_.lock(at, held));
    Mapping mapping = TRY(look_up_below_end(at));
    if (kind == FaultKind::kRead)
        return mapping.state == Mapping::State::kWritten
                   ? entry.install_readable(fault, media_.pfn_of(mapping.device))
                   : entry.install_zero(fault);
    if (mapping.state == Mapping::State::kUnwritten)
        return Error::kUnsupported;
    if (mapping.is_hole()) {
        mapping.device = TRY(fill_hole(at));
        entry.zap_zero_pages();
    }
    return entry.install_writable(fault, media_.pfn_of(mapping.device));
}

// Puts a zeroed block where there is a hole: two fences. Its entry is locked, so it is a hole still; publish() checks.
Result<DeviceBlock> File::fill_hole(FileBlock at)
{
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    Reserved reserved = TRY(volume_.reserve(1, place_for(blocks, at)));
    Initialised<Durable> zeroed = TRY(fence(std::move(reserved).zero(media_)));
    DeviceBlock device = zeroed.run().start;
    Transaction txn(volume_);
    TRY(blocks.publish(txn, at, std::move(zeroed)));
    TRY(txn.commit());
    return device;
}

// Behind the block before, so that a file written from front to back is one extent; else near the inode.
DeviceBlock File::place_for(const BlockMap& blocks, FileBlock at) const
{
    if (at.value > 0) {
        Result<Mapping> before = blocks.lookup(nullptr, at - 1, 1);
        if (before && !before.value().is_hole())
            return before.value().device + 1;
    }
    return block_of(inode_.record);
}

Result<Mapping> File::look_up(FileBlock at, u64 max)
{
    NoFsScope nofs;
    SharedGuard guard(inode_.lock);
    return map().lookup(nullptr, at, max);
}

Result<Mapping> File::look_up_below_end(FileBlock at)
{
    SharedGuard guard(inode_.lock);
    if (at >= file_block_up(inode_.read().size))
        return Error::kBeyondEnd;
    return map().lookup(nullptr, at, 1);
}

u64 File::size()
{
    NoFsScope nofs;
    SharedGuard guard(inode_.lock);
    return inode_.read().size;
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

}  // namespace tarn
