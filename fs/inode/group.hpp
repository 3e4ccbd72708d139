// SPDX-License-Identifier: GPL-2.0
// Inode groups: arithmetic of the inode table, and the DRAM side of one group. Private to fs/inode.
#pragma once
#include "fs/inode/table.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

inline constexpr u32 kInodesPerGroup = TARNFS_BITMAP_BITS;
inline constexpr u32 kChunkBlocks = TARNFS_INODE_CHUNK / TARNFS_INODES_PER_BLOCK;
inline constexpr u32 kChunksPerGroup = kInodesPerGroup / TARNFS_INODE_CHUNK;
static_assert(TARNFS_INODE_CHUNK == 64, "a chunk is one word of the bitmap");

constexpr u64 group_of(InodeNumber number) { return number.value / kInodesPerGroup; }
constexpr u32 index_in_group(InodeNumber number) { return static_cast<u32>(number.value % kInodesPerGroup); }
constexpr u32 chunk_of(InodeNumber number) { return index_in_group(number) / TARNFS_INODE_CHUNK; }
constexpr InodeNumber number_of(u64 group, u32 index) { return InodeNumber(group * kInodesPerGroup + index); }

// File blocks of the inode table.
constexpr FileBlock group_start(u64 group) { return FileBlock(group * TARNFS_INODE_GROUP_BLOCKS); }
constexpr FileBlock chunk_start(u64 group, u32 chunk)
{
    return group_start(group) + TARNFS_INODE_GROUP_HEADER + u64{chunk} * kChunkBlocks;
}

// Guarded by InodeTable::lock_, but for the constants.
struct InodeTable::Group {
    u64 index = 0;
    DeviceBlock inodes;                               // the inode bitmap's block
    DeviceBlock orphans;                              // the orphan bitmap's
    u32 free = 0;                                     // clear bits in chunks that exist
    u64 words[kChunksPerGroup] = {};                  // set: in use or reserved
    u64 chunks[divide_up(kChunksPerGroup, 64)] = {};  // set: the chunk exists

    bool has_chunk(u32 chunk) const { return chunks[chunk / 64] >> (chunk % 64) & 1; }
    bool is_empty_chunk(u32 chunk) const { return has_chunk(chunk) && words[chunk] == 0; }
    u32 count_empty_chunks() const
    {
        u32 count = 0;
        for (u32 chunk = 0; chunk < kChunksPerGroup; chunk++)
            count += is_empty_chunk(chunk);
        return count;
    }
};

// Null, or what is wrong with a record that should be that of `number`.
const char* record_defect(const tarnfs_inode& record, InodeNumber number);
// The same for the inode table's own, which is a file.
const char* table_record_defect(const tarnfs_inode& record);

}  // namespace tarn
