// SPDX-License-Identifier: GPL-2.0
// Volume: growing while mounted.
//
// The bitmap table has room from mkfs on, the bits behind the old end are clear, and the replica stays where
// it is: so all that there is to do is to write the bitmaps of new groups, empty, into the room, and then
// both superblocks.
//
// Crash argument: the new bitmaps are where nobody looks as long as the superblock says the old size, and
// durable before it says the new one. Of the superblocks one is whole at every moment (fs/media/layout.cpp),
// and each says a size that the bitmaps are right for. Nothing else changes; blocks behind the old end are
// taken only after both are durable.
//
// Who reads the layout meanwhile sees the old numbers or the new ones: with the old ones the new blocks are
// not there yet.
#include <cstring>

#include "cxxrt/box.hpp"
#include "fs/txn/volume.hpp"

namespace tarn {

Status Volume::grow(u64 blocks)
{
    TRY(may_change());
    MutexGuard guard(superblock_lock_);
    const u64 most = min(layout_.most_groups() * TARNFS_BITMAP_BITS, media_.blocks());
    if (blocks == 0)
        blocks = max<u64>(most, layout_.blocks);
    if (blocks < layout_.blocks)
        return Error::kInvalid;
    if (blocks == layout_.blocks)
        return Ok{};
    if (blocks > media_.blocks())
        return Error::kNoSpace;
    if (blocks > most)
        return Error::kTooLarge;
    TRY(space_.prepare_growth());
    Status written = write_growth(blocks);
    if (written.error() == Error::kDeviceFlush)
        shut_down(written.error());
    if (!written.is_ok())
        return written;
    const u64 old_blocks = layout_.blocks;
    layout_.blocks = blocks;
    layout_.groups = divide_up(blocks, TARNFS_BITMAP_BITS);
    space_.grow(old_blocks);
    return Ok{};
}

Status Volume::write_growth(u64 blocks)
{
    const u64 groups = divide_up(blocks, TARNFS_BITMAP_BITS);
    if (groups > layout_.groups)
        TRY(write_bitmaps(layout_.groups, groups));
    return write_size(media_, layout_, blocks);
}

// Of the groups from `first` on, before `end`.
Status Volume::write_bitmaps(u64 first, u64 end)
{
    auto bitmap = TRY(Array<tarnfs_bitmap>::create(1));
    bitmap[0].magic = TARNFS_BITMAP_MAGIC;
    bitmap[0].kind = TARNFS_BITMAP_BLOCKS;
    bitmap[0].bits = TARNFS_BITMAP_BITS;
    for (u64 group = first; group < end; group++) {
        bitmap[0].index = group;
        media_.copy(media_.writable(layout_.bitmap(group)), &bitmap[0], sizeof(bitmap[0]));
    }
    return media_.fence();
}

}  // namespace tarn
