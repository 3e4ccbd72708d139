// SPDX-License-Identifier: GPL-2.0
// Changing the size.
//
// The glue holds i_rwsem and invalidate_lock exclusive: no write, no fault, so no new mapping and, once
// everything behind the new size is un-mapped, no new pin there. Write-back may still run; it holds entry
// locks, which are waited for.
//
// Shrinking: a 2 MiB entry around the new end is split, so that what stays keeps its tags and pins. Pins in
// what goes are looked for first, so that kBusy changes nothing. Then what is dirty is made durable, and only
// then do the entries go: until the size is committed the file still has these bytes, and an fsync that finds
// nothing dirty promises them. One transaction sets the size and frees what fits; if that is not all it also
// makes the inode an orphan, further transactions free the rest, and the last one takes the mark away. The
// rest of the last block is zeroed only after the size is committed: before, a crash would show zeroes in a
// file of the old size.
//
// Growing (also in write.cpp and fallocate.cpp): bytes behind the old end, in its block, may be anything that
// was stored through a mapping, and blocks behind it may be left from a truncation that failed; then the inode
// is an orphan. So those are freed, and the rest of the last block is zeroed and fenced before the new size is
// committed. Blocks that fallocate has put behind the end are unwritten, and stay.
//
// Crash argument: the size is committed in the transaction that begins the freeing, so a crash leaves either
// the old file, or the new size with an orphan mark by which the mount frees what is behind it. Nothing
// behind the size is believed.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"

namespace tarn {

Status File::resize(u64 size, const tarn_times& times)
{
    NoFsScope nofs;
    TRY(volume_.may_change());
    if (size > kMaxFileSize)
        return Error::kTooLarge;
    TRY(note_change());
    const u64 now = this->size();
    if (size > now)
        return grow(now, size, times);
    return size < now || TRY(has_blocks_behind(size)) ? shrink(size, times) : Status(Ok{});
}

Result<bool> File::has_blocks_behind(u64 end)
{
    SharedGuard guard(inode_.lock);
    const std::optional<FileBlock> last = TRY(map().last());
    return last && *last >= file_block_up(end);
}

// ---- growing ------------------------------------------------------------------------------------------------

// From a size to one that is not smaller.
Status File::grow(u64 from, u64 to, const tarn_times& times)
{
    TRY(free_behind_end(from));
    if (!mutant(Mutant::kGrowKeepsTail) && TRY(zero_behind(from, to)))
        TRY(fence());
    ExclusiveGuard guard(inode_.lock);
    Transaction txn(volume_);
    TRY(log_growth(txn, to, times));
    return txn.commit();
}

// Frees blocks that an interrupted truncation left behind the end. Looked for once in the life of the object.
Status File::free_behind_end(u64 size)
{
    if (object_.end_is_clean.load_acquire())
        return Ok{};
    if (TRY(inode_.fs.inodes().is_orphan(inode_)))
        return finish_shrinking(file_block_up(size));
    object_.end_is_clean.store_release(1);
    return Ok{};
}

// Zeroes from the end of the file to `to` or to the end of its block, whichever is first; true if there was something to
// zero, which the caller fences before a larger size is committed. Mappings stay: a store into these bytes that comes
// while the file grows is as good as one that comes after.
Result<bool> File::zero_behind(u64 end, u64 to)
{
    return zero_part(end, min(to, round_up(end, kBlockSize)));
}

// Zeroes bytes of one block, if it is written; true if it is.
Result<bool> File::zero_part(u64 from, u64 to)
{
    if (from >= to)
        return false;
    const FileBlock at = file_block(from);
    const Mapping mapping = TRY(look_up(at, 1));
    if (!mapping.is_written())
        return false;
    media_.zero(media_.writable(mapping.device) + (from - byte_offset(at)), to - from);
    return true;
}

// ---- shrinking ----------------------------------------------------------------------------------------------

Status File::shrink(u64 to, const tarn_times& times)
{
    const FileBlock first = file_block_up(to);
    TRY(split_at(first));
    if (!mutant(Mutant::kShrinkIgnoresPins) && tracker_.find_pinned(first, kLastFileBlock))
        return Error::kBusy;
    if (!mutant(Mutant::kShrinkForgetsDirty))
        TRY(sync(first, kLastFileBlock));
    forget(first, kLastFileBlock);
    if (mutant(Mutant::kShrinkZeroesFirst))
        TRY(zero_behind(to, to + kBlockSize));
    const bool all_freed = TRY(shrink_record(to, times));
    // The size has changed, so the call succeeds: what is left undone is behind the end, where it does not
    // show.
    if (!all_freed) {
        object_.end_is_clean.store_release(0);
        tell_unfinished(finish_shrinking(first).error());
    }
    // No fence: whoever looks at these bytes now has the block mapped, and nobody believes them after a crash.
    tell_unfinished(zero_behind(to, to + kBlockSize).error());
    return Ok{};
}

void File::tell_unfinished(Error error) const
{
    if (error != Error::kNone)
        tarn_log_device(&media_.device(), TARN_LOG_WARNING, "inode %llu: not cleared behind its end yet: %s",
                        static_cast<unsigned long long>(inode_.number.value), describe(error));
}

// The transaction that changes the size. False: there is more to free, and the inode is an orphan.
Result<bool> File::shrink_record(u64 to, const tarn_times& times)
{
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode_.record));
    record.size = to;
    set_modify_time(record, times.modify);
    set_change_time(record, times.change);
    tarn::note_change(record);
    const FileBlock first = file_block_up(to);
    std::optional<FileBlock> last = TRY(blocks.last(&txn));
    bool all_freed = true;
    if (last && *last >= first) {
        const u64 count = *last - first + 1;
        u64 done = 0;
        TRY(blocks.unmap(txn, first, count, &done));
        all_freed = done >= count;
    }
    if (!all_freed && !mutant(Mutant::kShrinkLeaksBlocks))
        TRY(inode_.fs.inodes().add_orphan(txn, inode_));
    TRY(txn.commit());
    return all_freed;
}

// Frees everything from `first` on, which is behind the end, and then the orphan mark if there is one.
Status File::finish_shrinking(FileBlock first)
{
    InodeTable& table = inode_.fs.inodes();
    TRY(table.free_blocks(inode_, first));
    ExclusiveGuard guard(inode_.lock);
    if (inode_.read().links != 0 && TRY(table.is_orphan(inode_))) {
        Transaction txn(volume_);
        TRY(table.remove_orphan(txn, inode_));
        TRY(txn.commit());
    }
    object_.end_is_clean.store_release(1);
    return Ok{};
}

}  // namespace tarn
