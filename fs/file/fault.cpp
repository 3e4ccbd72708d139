// SPDX-License-Identifier: GPL-2.0
// Page faults.
//
// Under the entry lock of its block a fault looks the block up, makes it written if a store wants a hole or an unwritten
// block, and installs the PTE. So of two stores into one hole exactly one allocates and zeroes (A3): the other waits for
// the entry and then finds the block. Inode::lock is taken for each look-up only, and not held when the PTE goes in: a
// block that was found written stays so because freeing or unwriting it takes invalidate_lock exclusive, which the fault
// holds shared. A hole may become unwritten in between (fallocate), so it is looked at again under Inode::lock.
//
// The zero page: a load from a hole or an unwritten block maps it and leaves no entry. The store that makes the block
// written un-maps it everywhere before it installs its own PTE, under the same entry lock as the installing of it, so no
// process keeps it. Nothing above the block map ever sees an unwritten block (A2).
//
// Crash argument: the block is zeroed and fenced before the transaction that maps it or says that it is written, which is
// committed before the PTE exists: there is no moment at which a process can store into a block that a crash would take
// away.
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
        return mapping.is_written() ? entry.install_readable(fault, media_.pfn_of(mapping.device))
                                    : entry.install_zero(fault);
    if (!mapping.is_written()) {
        mapping.device = TRY(make_written(entry));
        entry.zap_zero_pages();
    }
    return entry.install_writable(fault, media_.pfn_of(mapping.device));
}

// Makes the entry's block a written one, zeroed: two fences.
Result<DeviceBlock> File::make_written(const LockedEntry& entry)
{
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    const FileBlock at = entry.first();
    const Mapping mapping = TRY(blocks.lookup(nullptr, at, 1));
    if (mapping.is_written())
        return mapping.device;
    if (mapping.is_hole()) {
        Reserved reserved = TRY(reserve_for(blocks, at, 1, 1));
        return publish_block(at, std::move(reserved).zero(media_));
    }
    Unwritten unwritten = TRY(blocks.unwritten(entry, at, 1));
    return publish_block(at, std::move(unwritten).zero(media_));
}

template <class Token>
Result<DeviceBlock> File::publish_block(FileBlock at, Token&& zeroed)
{
    auto durable = TRY(fence(std::move(zeroed)));
    const DeviceBlock device = durable.run().start;
    Transaction txn(volume_);
    TRY(map().publish(txn, at, std::move(durable)));
    TRY(txn.commit());
    return device;
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

Result<Converted<Durable>> File::fence(Converted<InFlight>&& token)
{
    Result<Converted<Durable>> fenced = std::move(token).fence(media_);
    if (!fenced)
        volume_.shut_down(fenced.error());
    return fenced;
}

}  // namespace tarn
