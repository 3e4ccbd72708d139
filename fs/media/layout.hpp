// SPDX-License-Identifier: GPL-2.0
// Layout: where the fixed structures lie, as checked numbers from the superblock.
#pragma once
#include "cxxrt/atomic.hpp"
#include "fs/media/media.hpp"
#include "tarnfs/ondisk.hpp"

namespace tarn {

// A number that grows while others read it: they see the old one or the new one, and both are right.
class Growing {
  public:
    Growing(u64 value = 0) : value_(value) {}
    Growing(const Growing& other) : value_(other) {}
    Growing& operator=(const Growing& other)
    {
        value_.store_relaxed(other);
        return *this;
    }
    operator u64() const { return value_.load_relaxed(); }

  private:
    Atomic<u64> value_;
};

struct Layout {
    u8 uuid[16] = {};
    u8 label[TARNFS_LABEL_BYTES] = {};
    Growing blocks;
    u64 created = 0;
    u64 hash_seed[2] = {};
    u64 ro_compat = 0;
    DeviceBlock journal_start;
    u32 journals = 0;
    u32 journal_blocks = 0;  // each
    DeviceBlock bitmap_start;
    Growing groups;
    DeviceBlock system_block;
    DeviceBlock first_data;
    DeviceBlock replica_block;

    DeviceBlock journal(u32 index) const { return journal_start + u64{index} * journal_blocks; }
    DeviceBlock bitmap(u64 group) const { return bitmap_start + group; }
    DeviceBlock replica() const { return replica_block; }
    u64 ring_bytes() const { return (u64{journal_blocks} - 1) * kBlockSize; }  // of one journal
    // Blocks of a group: all but the last have TARNFS_BITMAP_BITS.
    u32 group_bits(u64 group) const
    {
        return static_cast<u32>(min<u64>(TARNFS_BITMAP_BITS, blocks - group * TARNFS_BITMAP_BITS));
    }
    // What the bitmap table has room for.
    u64 most_groups() const { return first_data - bitmap_start; }
    // Blocks that files and trees may own.
    u64 data_blocks() const { return blocks - first_data.value - 1; }
    // True for a run of such blocks: behind the fixed metadata, without the replica.
    bool is_data(Run run) const
    {
        const u64 end = blocks;
        return run.start >= first_data && run.count > 0 && run.count < end &&
               run.start.value <= end - run.count &&
               (replica_block < run.start || replica_block >= run.start + run.count);
    }
};

// Reads and checks the superblock, falling back to the replica (with a warning that names the block).
// Errors: kNotTarnfs, kBadSuperblock, kBadGeometry, kUnknownFeature; each is logged with what is wrong.
Result<Layout> read_layout(const Media& media);

// What mkfs asks for; zero means choose.
struct FormatOptions {
    u8 uuid[16] = {};
    const char* label = "";
    u64 blocks = 0;   // the whole device
    u64 grow_to = 0;  // blocks that the bitmap table leaves room for; kGrowth times as many
    u32 journals = 0;
    u64 hash_seed[2] = {};
    u64 created = 0;
};

// How often the file system can grow to its first size, where mkfs is not told otherwise: the room costs a
// block for each 126 MiB of that.
inline constexpr u64 kGrowth = 16;
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
// The same for the size: the bitmaps of new groups are durable.
Status write_size(Media& media, const Layout& layout, u64 blocks);
// For who finds no superblock where it should be: looks for a replica all over the device.
Result<Layout> search_layout(const Media& media);
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
