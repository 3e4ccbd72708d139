// SPDX-License-Identifier: GPL-2.0
// fallocate(2), as a chain of steps of at most one record each, so that it can be cut short between any two.
//
//  - Allocating makes holes unwritten, one run of free space a step. A larger size is set by the last step, so
//    it never says more than was allocated; what is allocated behind the end is unwritten, and shows as zeroes
//    when the file grows.
//  - Punching frees whole blocks. Zeroing makes them unwritten where they are, which needs no space but tree
//    nodes of the reserve, and then allocates the holes: running out of space leaves a range that reads as
//    zeroes. Parts of blocks are zeroed in place first.
//
// Collapsing and inserting: shift.cpp.
//
// i_rwsem is held exclusive; for punching and zeroing invalidate_lock as well, from the first step to the
// last: no fault can map a block of the range again once it is un-mapped, and no pin can begin. Allocating
// takes no block away from anybody: faults go on, and look again at what they took for a hole.
//
// 2 MiB entries around the ends of the range are split, and pins looked for, before anything changes. Then
// what is dirty is made durable, and only then do the entries of whole blocks go, as in truncate.cpp: a chain
// that ends early loses nothing of what it left.
//
// Crash argument: a step is one transaction, and each leaves a file that reads as before it, or as zeroes in
// more of the range. The zeroes in parts of blocks, and behind an old end that moves, are fenced before the
// first step.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"
#include "fs/file_core.h"

namespace tarn {

namespace {

constexpr u32 kLooksAtOnce = 1024;  // at extents that are there already, in one step

bool is_shift(const tarn_fallocate& request)
{
    return request.kind == TARN_FALLOCATE_COLLAPSE || request.kind == TARN_FALLOCATE_INSERT;
}

}  // namespace

Result<bool> File::fallocate(tarn_fallocate& request)
{
    NoFsScope nofs;
    TRY(volume_.may_change());
    if (request.offset >= kMaxFileSize || request.length > kMaxFileSize - request.offset)
        return Error::kTooLarge;
    const Changing changing(object_);
    TRY(note_change());  // in each step: who asked in between has seen what the earlier ones left
    if (!request.has_begun)
        TRY(is_shift(request) ? begin_shift(request) : begin_fallocate(request));
    request.has_begun = 1;
    if (is_shift(request))
        return shift_step(request);
    const bool allocates = request.kind != TARN_FALLOCATE_PUNCH;
    if (request.clear_from < request.clear_end) {
        TRY(clear_step(request));
        return allocates || request.clear_from < request.clear_end;
    }
    return allocates ? allocate_step(request) : Result<bool>(false);
}

Status File::begin_fallocate(tarn_fallocate& request)
{
    const u64 size = this->size();
    const u64 end = request.offset + request.length;
    TRY(free_behind_end(size));
    bool zeroed = false;
    if (request.kind != TARN_FALLOCATE_KEEP)
        zeroed = TRY(begin_clearing(request, size));
    if (!request.keep_size && end > size && !mutant(Mutant::kAllocateKeepsTail) &&
        TRY(zero_behind(size, end)))
        zeroed = true;
    request.allocate_from = file_block(request.offset).value;
    return zeroed ? fence() : Status(Ok{});
}

// Takes the whole blocks of the range away from mappings and zeroes the parts; true if there were any. Bytes
// between the end of the file and the end of its block mean nothing: a range that reaches the one may as well
// reach the other.
Result<bool> File::begin_clearing(tarn_fallocate& request, u64 size)
{
    u64 end = request.offset + request.length;
    if (end >= size)
        end = max(end, round_up(size, kBlockSize));
    const FileBlock first = file_block_up(request.offset);
    const FileBlock behind = max(first, file_block(end));
    if (first < behind) {
        TRY(split_at(first));
        TRY(split_at(behind));
        TRY(take_away(first, behind - 1));
    }
    request.clear_from = first.value;
    request.clear_end = behind.value;
    const bool head =
        !mutant(Mutant::kPunchKeepsHead) && TRY(zero_part(request.offset, min(end, byte_offset(first))));
    const bool tail =
        !mutant(Mutant::kPunchKeepsTail) && TRY(zero_part(max(byte_offset(behind), request.offset), end));
    return head || tail;
}

// Blocks are about to leave their places: nobody maps or pins them any more, and what they hold is durable.
Status File::take_away(FileBlock first, FileBlock last)
{
    if (!mutant(Mutant::kPunchKeepsMappings))
        tracker_.each(first, last, [](LockedRange& range) { range.zap(); });
    if (!mutant(Mutant::kPunchIgnoresPins) && tracker_.find_pinned(first, last))
        return Error::kBusy;
    if (!mutant(Mutant::kPunchForgetsDirty))
        TRY(sync(first, last));
    forget(first, last);
    return Ok{};
}

Status File::clear_step(tarn_fallocate& request)
{
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    const FileBlock from(request.clear_from);
    const u64 count = request.clear_end - request.clear_from;
    u64 done = 0;
    Transaction txn(volume_);
    TRY(log_growth(txn, 0, request.times));
    if (request.kind != TARN_FALLOCATE_ZERO)
        TRY(blocks.unmap(txn, from, count, &done));
    else
        TRY(blocks.unwrite(txn, from, count, &done));
    TRY(txn.commit());
    request.clear_from += done;
    return Ok{};
}

// Fills one hole, or as much of it as one run of free space does; true if there may be more of them.
Result<bool> File::allocate_step(tarn_fallocate& request)
{
    const u64 size = request.keep_size ? 0 : request.offset + request.length;
    const FileBlock end = file_block_up(request.offset + request.length);
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    Transaction txn(volume_);
    FileBlock at(request.allocate_from);
    bool allocated = false;
    for (u32 looks = 0; at < end && !allocated && looks < kLooksAtOnce; looks++) {
        const Mapping mapping = TRY(blocks.lookup(nullptr, at, end - at));
        at = mapping.end();
        if (!mapping.is_hole())
            continue;
        Reserved reserved = TRY(reserve_for(blocks, mapping.first, mapping.count, mapping.count));
        at = mapping.first + reserved.run().count;
        TRY(blocks.allocate(txn, mapping.first, std::move(reserved)));
        allocated = true;
    }
    const bool is_last = at >= end;
    if (allocated || (is_last && size > inode_.read().size))
        TRY(log_growth(txn, is_last ? size : 0, request.times));
    TRY(txn.commit());
    request.allocate_from = at.value;
    return !is_last;
}

}  // namespace tarn
