// SPDX-License-Identifier: GPL-2.0
// write(2), in bounded steps. The glue holds i_rwsem exclusive, has faulted the source in, and comes back for the rest.
//
// A step works on one run of the block map:
//  - mapped: the bytes are copied over what is there. Nothing can be freed under it (i_rwsem); nobody else's view needs
//    to change. Atomic per 8-byte word, like a store through a mapping.
//  - a hole or an unwritten run: entry locks of the run, then Inode::lock, then reserve (a hole), fill, fence, publish,
//    commit. Faults on these blocks wait at the entry lock or at Inode::lock, so none sees a block before it is filled;
//    zero pages are un-mapped before the entries are unlocked, so none keeps showing zeroes.
// The copy runs with page faults disabled: under these locks a fault on the source could need the very same ones (the
// source may be a mapping of this file, D2). A copy that ends early publishes what it got, the rest of the last block
// zeroed, and the glue goes round again after faulting in more.
//
// No step un-maps a page before it has copied: the source could be that page, and the write would never end.
//
// Crash argument: fresh bytes are fenced before the record that publishes them; a record that grows the size is committed
// only after all bytes below the new size were fenced, those zeroed behind the old end included. Overwritten bytes are fenced
// by write_end, or by the next step that fills, whose record then also makes the file grow over those behind the old end. Until
// then nobody but this call takes them for part of the file: i_rwsem is held, and they are in the block that the end is in.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"
#include "fs/file_core.h"

namespace tarn {

static_assert(TARN_WRITE_STEP == DirtyTracker::kMaxRange * kBlockSize);
static_assert(TARN_FILE_SIZE_MAX == kMaxFileSize);

namespace {

constexpr u32 kLooksAtOnce = 64;  // at extents, before a write that must not sleep

}  // namespace

Result<u64> File::write(tarn_write& write)
{
    NoFsScope nofs;
    TRY(volume_.may_change());
    if (write.length == 0)
        return u64{0};
    if (write.offset >= kMaxFileSize || write.length > kMaxFileSize - write.offset)
        return Error::kTooLarge;
    const Changing changing(object_);
    TRY(note_change());
    const u64 end = max<u64>(size(), write.grown);
    if (write.offset + write.length > end)
        TRY(free_behind_end(end));
    if (write.offset > end && !mutant(Mutant::kWriteKeepsTail))
        TRY(zero_behind(end, write.offset));
    u64 length = min<u64>(write.length, TARN_WRITE_STEP);
    FileBlock first = file_block(write.offset);
    u64 count = min(file_block_up(write.offset + length) - first, DirtyTracker::kMaxRange);
    for (;;) {
        Mapping mapping = TRY(look_up(first, count));
        if (mapping.is_written())
            return overwrite(write, mapping);
        if (auto filled = TRY(fill(write, mapping)))
            return *filled;
    }
}

// Copies from the caller. The kernel's copy leaves no line in the cache where it runs to the end; where it stops early it
// has stored the last bytes through the cache.
u64 File::copy_in(byte* target, u64 length, tarn_user* from)
{
    u64 copied = tarn_user_copy_in(&media_.device(), from, target, length);
    TARN_BUG_ON(copied > length);
    if (copied < length)
        media_.write_back(target, copied);
    return copied;
}

Result<u64> File::overwrite(tarn_write& write, const Mapping& mapping)
{
    u64 skip = write.offset - byte_offset(mapping.first);
    u64 length = min(write.length, mapping.count * kBlockSize - skip);
    object_.unfenced.store_release(1);
    u64 copied = copy_in(media_.writable(mapping.device) + skip, length, write.from);
    if (copied == 0)
        return copied;
    write.unfenced = 1;
    write.grown = write.offset + copied;
    return copied;
}

// What has been overwritten is durable.
void File::end_overwriting(tarn_write& write)
{
    write.unfenced = 0;
    object_.unfenced.store_release(0);
}

// Nothing: a fault has made the run written since it was looked at.
Result<std::optional<u64>> File::fill(tarn_write& write, const Mapping& seen)
{
    const FileBlock first = seen.first;
    LockedRange range = TRY(tracker_.lock_range(first, seen.count));
    u64 copied = 0;
    {
        ExclusiveGuard guard(inode_.lock);
        Mapping empty = TRY(map().lookup(nullptr, first, min(seen.count, range.end() - first)));
        if (mutant(Mutant::kWriteBelievesLook))
            empty = seen;
        if (empty.is_written())
            return std::optional<u64>();
        copied = TRY(fill_locked(write, range, empty));
    }
    if (copied && !mutant(Mutant::kWriteKeepsZeroPages))
        range.zap_zero_pages();
    return std::optional<u64>(copied);
}

// Fills as much of the run as the free space (where it is a hole) and the copy give. Inode::lock held.
Result<u64> File::fill_locked(tarn_write& write, const LockedRange& range, const Mapping& empty)
{
    BlockMap blocks = map();
    if (empty.is_hole()) {
        const u64 rest = file_block_up(write.offset + write.length) - empty.first;
        Reserved reserved = TRY(reserve_for(blocks, empty.first, empty.count, rest));
        return fill_and_publish(write, empty.first, std::move(reserved));
    }
    Unwritten unwritten = TRY(blocks.unwritten(range, empty.first, empty.count));
    return fill_and_publish(write, empty.first, std::move(unwritten));
}

template <class Token>
Result<u64> File::fill_and_publish(tarn_write& write, FileBlock first, Token&& empty)
{
    const u64 head = write.offset - byte_offset(first);
    const u64 length = min(write.length, empty.run().count * kBlockSize - head);
    auto copy = [&](byte* target, u64 wanted) { return copy_in(target, wanted, write.from); };
    auto filled = std::move(empty).fill(media_, head, length, copy);
    if (!filled.token)
        return u64{0};
    auto durable = TRY(fence(std::move(*filled.token)));
    end_overwriting(write);
    Transaction txn(volume_);
    TRY(map().publish(txn, first, std::move(durable)));
    TRY(log_growth(txn, write.offset + filled.copied, write.times));
    TRY(txn.commit());
    return filled.copied;
}

// The record's part of a write: times, and the size if it grows. Inode::lock held.
Status File::log_growth(Transaction& txn, u64 size, const tarn_times& times)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode_.record));
    record.size = mutant(Mutant::kSizeFromStaleEnd) ? size : max<u64>(record.size, size);
    set_modify_time(record, times.modify);
    set_change_time(record, times.change);
    tarn::note_change(record);
    return Ok{};
}

Result<bool> File::is_overwrite(u64 offset, u64 length)
{
    const u64 size = this->size();
    if (!media_.is_sync() || offset >= size || length > size - offset || is_version_seen())
        return false;
    const FileBlock end = file_block_up(offset + length);
    FileBlock at = file_block(offset);
    for (u32 looks = 0; at < end && looks < kLooksAtOnce; looks++) {
        const Mapping mapping = TRY(look_up(at, end - at));
        if (!mapping.is_written())
            return false;
        at = mapping.end();
    }
    return at >= end;
}

// Also where a later step has failed: what came before it is in the file.
Status File::write_end(tarn_write& write)
{
    NoFsScope nofs;
    if (write.unfenced)
        TRY(fence());
    end_overwriting(write);
    if (write.grown == 0)
        return Ok{};
    ExclusiveGuard guard(inode_.lock);
    if (write.grown <= inode_.read().size)
        return Ok{};
    Transaction txn(volume_);
    TRY(log_growth(txn, write.grown, write.times));
    return txn.commit();
}

}  // namespace tarn
