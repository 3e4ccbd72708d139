// SPDX-License-Identifier: GPL-2.0
// fallocate(2) that moves what is behind a range: collapsing it, and inserting a hole.
//
// i_rwsem and invalidate_lock are held exclusive throughout, as for punching (fallocate.cpp). Every block
// from the range on, up to the largest file's end, gets another place or none. So the glue un-maps all of it
// first: zero pages have no entries by which they would be found. A 2 MiB entry around the range's beginning
// is split, pins are looked for, and what is dirty is made durable, before anything changes; then all entries
// from there on go. Faults find the blocks at their new places when the locks are dropped, and tell their
// pages so. Unwritten blocks, those behind the end of the file among them, move with the others and stay
// unwritten.
//
// Crash argument: size and block map change in one transaction, however many extents there are: the file is
// the old one, or the new one. What is behind the end, in its block, moves with it: it means as little as
// before. A collapsed range in many pieces is punched first, step by step: then the file may also be the old
// one with zeroes in more of the range.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"
#include "fs/file_core.h"

namespace tarn {

namespace {

constexpr u32 kPiecesAtOnce = 1024;  // that are freed in the record that moves the rest

}  // namespace

Status File::begin_shift(tarn_fallocate& request)
{
    const u64 size = this->size();
    const u64 end = request.offset + request.length;
    const bool collapses = request.kind == TARN_FALLOCATE_COLLAPSE;
    if (request.offset % kBlockSize || request.length % kBlockSize)
        return Error::kInvalid;
    if (!collapses && request.length > kMaxFileSize - min(size, kMaxFileSize))
        return Error::kTooLarge;
    if (collapses ? end >= size : request.offset >= size)
        return Error::kInvalid;
    TRY(free_behind_end(size));
    const FileBlock first = file_block(request.offset);
    TRY(split_at(first));
    if (mutant(Mutant::kShiftTakesRangeOnly))
        TRY(take_away(first, file_block(end) - 1));
    else
        TRY(take_away(first, kLastFileBlock));
    request.clear_from = first.value;
    request.clear_end = file_block(end).value;
    return Ok{};
}

Result<bool> File::shift_step(tarn_fallocate& request)
{
    if (request.kind == TARN_FALLOCATE_COLLAPSE &&
        TRY(is_in_pieces(FileBlock(request.clear_from), FileBlock(request.clear_end)))) {
        TRY(clear_step(request));
        return true;
    }
    TRY(shift(request));
    return false;
}

Result<bool> File::is_in_pieces(FileBlock from, FileBlock end)
{
    for (u32 pieces = 0; from < end; pieces++) {
        if (pieces == kPiecesAtOnce)
            return true;
        from = TRY(look_up(from, end - from)).end();
    }
    return false;
}

Status File::shift(const tarn_fallocate& request)
{
    const bool collapses = request.kind == TARN_FALLOCATE_COLLAPSE;
    const u64 count = file_block(request.length).value;
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    Transaction txn(volume_);
    const auto how = collapses ? BlockMap::Shift::kCollapse : BlockMap::Shift::kInsert;
    TRY(blocks.shift(txn, file_block(request.offset), count, how));
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode_.record));
    record.size = collapses ? record.size - request.length : record.size + request.length;
    set_modify_time(record, request.times.modify);
    set_change_time(record, request.times.change);
    tarn::note_change(record);
    return txn.commit();
}

}  // namespace tarn
