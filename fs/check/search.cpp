// SPDX-License-Identifier: GPL-2.0
// Checker, repairing: the inode table has lost part of its tree. Its blocks say themselves what they are: a
// bitmap has its kind and group, a record its number and a checksum. So the whole device is searched for what
// is missing; what is found is put where it belongs, and the table gets a new tree (rebuild.cpp). Where
// several blocks say the same, the lowest is believed. A block with free records only cannot be recognised;
// it comes back empty.
#include "fs/check/checker.hpp"

namespace tarn {

namespace {

constexpr u64 kNone = ~u64{0};

// The file block of the table that a block says it is.
u64 place_of_records(const tarnfs_inode* records)
{
    for (u32 slot = 0; slot < TARNFS_INODES_PER_BLOCK; slot++) {
        const tarnfs_inode& record = records[slot];
        if (record.magic != TARNFS_INODE_MAGIC || record.number % TARNFS_INODES_PER_BLOCK != slot ||
            record.number == TARNFS_INO_TABLE ||
            record.crc != structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc)))
            continue;
        return record.number / TARNFS_BITMAP_BITS * TARNFS_INODE_GROUP_BLOCKS + TARNFS_INODE_GROUP_HEADER +
               record.number % TARNFS_BITMAP_BITS / TARNFS_INODES_PER_BLOCK;
    }
    return kNone;
}

u64 place_of_bitmap(const tarnfs_bitmap& bitmap)
{
    if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.bits != TARNFS_BITMAP_BITS ||
        bitmap.index >= kNone / 4096)
        return kNone;
    switch (bitmap.kind) {
        case TARNFS_BITMAP_INODES: return bitmap.index * TARNFS_INODE_GROUP_BLOCKS;
        case TARNFS_BITMAP_ORPHANS: return bitmap.index * TARNFS_INODE_GROUP_BLOCKS + 1;
        default: return kNone;
    }
}

}  // namespace

// A group is added when the one before is full, so the device had room for that many.
u64 Checker::most_groups() const { return layout_.blocks / TARNFS_INODE_GROUP_BLOCKS + 1; }

// Free blocks may hold old tables.
bool Checker::may_be_table(DeviceBlock block) const
{
    const tarnfs_bitmap& bitmap = bitmap_at(layout_.bitmap(block.value / TARNFS_BITMAP_BITS));
    const u32 bit = static_cast<u32>(block.value % TARNFS_BITMAP_BITS);
    const bool marked = bitmap.magic != TARNFS_BITMAP_MAGIC || (bitmap.words[bit / 64] >> bit % 64 & 1);
    return marked && !owners_.is_owned(block);
}

DeviceBlock Checker::block_at(FileBlock at) const
{
    const u64 index = at.value / TARNFS_INODE_GROUP_BLOCKS;
    const u64 within = at.value % TARNFS_INODE_GROUP_BLOCKS;
    if (index >= groups_.size())
        return DeviceBlock(0);
    const Group& group = *groups_[index];
    if (within < TARNFS_INODE_GROUP_HEADER)
        return within ? group.orphan_bitmap : group.inode_bitmap;
    const u64 inodes = within - TARNFS_INODE_GROUP_HEADER;
    const Chunk* chunk = group.chunks[inodes / kChunkBlocks].get();
    return chunk ? chunk->blocks[inodes % kChunkBlocks] : DeviceBlock(0);
}

Status Checker::search_block(DeviceBlock block)
{
    u64 place = place_of_bitmap(bitmap_at(block));
    if (place == kNone)
        place = place_of_records(reinterpret_cast<const tarnfs_inode*>(media_.at(block)));
    const u64 index = place / TARNFS_INODE_GROUP_BLOCKS;
    if (place == kNone || index >= most_groups() || block_at(FileBlock(place)) != DeviceBlock(0))
        return Ok{};
    TRY(add_groups(index + 1));
    TRY(owners_.mark(Run{block, 1}));
    return place_block(FileBlock(place), block);
}

Status Checker::search_table()
{
    for (DeviceBlock block = layout_.first_data; block.value < layout_.blocks; block += 1)
        if (may_be_table(block))
            TRY(search_block(block));
    return Ok{};
}

}  // namespace tarn
