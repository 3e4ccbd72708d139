// SPDX-License-Identifier: GPL-2.0
// read(2), lseek(2), and which blocks are mapped.
//
// i_rwsem, held shared by the glue across the whole call, keeps every block that is found from being freed, so the copy
// runs without a lock of ours: the caller's memory may fault, and may itself be a mapping of this file.
#include "fs/file/file.hpp"
#include "fs/file_core.h"

namespace tarn {

namespace {
constexpr u64 kBlocksAtOnce = 256;  // between two looks at the block map
}

// Bytes that lie together: on the media, or (data null) in a hole. Length 0: the end of the file.
struct File::Piece {
    const byte* data = nullptr;
    u64 length = 0;
};

Result<File::Piece> File::piece_at(u64 offset, u64 length)
{
    NoFsScope nofs;
    SharedGuard guard(inode_.lock);
    const u64 end = inode_.read().size;
    if (offset >= end)
        return Piece{};
    FileBlock first = file_block(offset);
    length = min(length, end - offset);
    u64 blocks = min(file_block_up(offset + length) - first, kBlocksAtOnce);
    Mapping mapping = TRY(map().lookup(nullptr, first, blocks));
    u64 skip = offset - byte_offset(first);
    Piece piece{nullptr, min(length, mapping.count * kBlockSize - skip)};
    if (mapping.is_written())
        piece.data = media_.at(mapping.device) + skip;
    return piece;
}

Result<u64> File::read(u64 offset, u64 length, tarn_user* to)
{
    u64 done = 0;
    while (done < length) {
        Result<Piece> found = piece_at(offset + done, length - done);
        if (!found)
            return done ? Result<u64>(done) : found.error();
        Piece piece = found.take();
        if (piece.length == 0)
            break;
        u64 copied = piece.data ? tarn_user_copy_out(to, piece.data, piece.length)
                                : tarn_user_zero_out(to, piece.length);
        done += copied;
        if (copied < piece.length)
            return done ? Result<u64>(done) : Error::kFault;
    }
    return done;
}

Result<std::optional<Mapping>> File::extent_from(FileBlock at)
{
    NoFsScope nofs;
    SharedGuard guard(inode_.lock);
    while (at.value < kMaxFileBlocks) {
        const Mapping mapping = TRY(map().lookup(nullptr, at, kMaxFileBlocks - at.value));
        if (!mapping.is_hole())
            return std::optional(mapping);
        at = mapping.end();
    }
    return std::optional<Mapping>();
}

Result<u64> File::seek(u64 offset, Seek what)
{
    const u64 end = size();
    if (offset >= end)
        return Error::kBeyondEnd;
    FileBlock at = file_block(offset);
    while (byte_offset(at) < end) {
        Mapping mapping = TRY(look_up(at, file_block_up(end) - at));
        bool is_data = mapping.is_written();
        if (is_data == (what == Seek::kData))
            return max(offset, byte_offset(at));
        at = mapping.end();
    }
    return what == Seek::kHole ? Result<u64>(end) : Error::kBeyondEnd;
}

}  // namespace tarn
