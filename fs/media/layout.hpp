// SPDX-License-Identifier: GPL-2.0
// Layout: where the fixed structures lie, as checked numbers from the superblock.
#pragma once
#include "fs/media/media.hpp"
#include "tarnfs/ondisk.hpp"

namespace tarn {

struct Layout {
    u8 uuid[16] = {};
    u8 label[TARNFS_LABEL_BYTES] = {};
    u64 blocks = 0;
    u64 created = 0;
    u64 hash_seed[2] = {};
    u64 ro_compat = 0;
    DeviceBlock journal_start;
    u32 journals = 0;
    u32 journal_blocks = 0;  // each
    DeviceBlock bitmap_start;
    u64 groups = 0;
    DeviceBlock system_block;
    DeviceBlock first_data;

    DeviceBlock journal(u32 index) const { return journal_start + u64{index} * journal_blocks; }
    DeviceBlock bitmap(u64 group) const { return bitmap_start + group; }
    DeviceBlock replica() const { return DeviceBlock(blocks - 1); }
    u64 ring_bytes() const { return (u64{journal_blocks} - 1) * kBlockSize; }  // of one journal
    // True for a run that files and trees may own: behind the fixed metadata, before the replica.
    bool is_data(Run run) const
    {
        return run.start >= first_data && run.count > 0 && run.count < blocks &&
               run.start.value <= blocks - 1 - run.count;
    }
};

// Reads and checks the superblock, falling back to the replica (with a warning that names the block).
// Errors: kNotTarnfs, kBadSuperblock, kBadGeometry, kUnknownFeature; each is logged with what is wrong.
Result<Layout> read_layout(const Media& media);

// What mkfs asks for; zero means choose.
struct FormatOptions {
    u8 uuid[16] = {};
    const char* label = "";
    u32 journals = 0;
    u64 hash_seed[2] = {};
    u64 created = 0;
};

// The geometry that fits `blocks` blocks. Errors: kInvalid when the device is too small or too large.
Result<Layout> plan_layout(u64 blocks, const FormatOptions& options);
// Smallest and largest device, in blocks.
inline constexpr u64 kMinBlocks = 2048;  // 8 MiB
inline constexpr u64 kMaxBlocks = u64{1} << TARNFS_OP_BLOCK_BITS;
// Writes the superblock to block 0 and the replica and makes both durable: a new one, for format() and fsck.
Status write_superblocks(Media& media, const Layout& layout);
// Changes the label of both, and nothing else. At every moment one of them is whole, with the old label or the new one.
// Errors: kInvalid (no NUL fits behind it), kNoMemory, kDeviceFlush, kBadSuperblock (neither is whole).
Status write_label(Media& media, const Layout& layout, const char* label);
// Where the replica says something else than block 0, a change of both was cut short, or one is damaged: block 0 counts
// where it is whole. Makes the other one the same, and durable. Errors: kDeviceFlush.
Status mend_superblocks(Media& media, const Layout& layout);
// Whether a slot in the header of this journal can be what was written there.
bool is_good_slot(const Layout& layout, u32 journal, const tarnfs_journal_slot& slot);
// Whether a sequence number, a floor or an update can be one: counting on from it never wraps.
constexpr bool is_possible(u64 sequence) { return sequence >> TARNFS_SEQUENCE_BITS == 0; }
// CRC of a structure whose CRC field (4 bytes at `crc_offset`) counts as zero.
u32 structure_crc(const void* structure, usize size, usize crc_offset);

}  // namespace tarn
