// SPDX-License-Identifier: GPL-2.0
// Layout: reading, checking, planning and writing the superblock.
//
// Crash argument: superblocks are written by mkfs, label change and fsck only. The replica is made durable before the
// primary is touched, so one of the two is whole at every moment. Where the primary is damaged it is the replica that is
// whole, and the primary goes first. A change that was cut short in between is in one of them: the mount that reads it
// makes the other one the same before it allows changes.
#include "fs/media/layout.hpp"

#include <cstring>

#include "cxxrt/box.hpp"

namespace tarn {

u32 structure_crc(const void* structure, usize size, usize crc_offset)
{
    const auto* bytes = static_cast<const unsigned char*>(structure);
    const u32 zero = 0;
    u32 crc = tarn_crc32c(~0u, bytes, crc_offset);
    crc = tarn_crc32c(crc, &zero, sizeof(zero));
    crc = tarn_crc32c(crc, bytes + crc_offset + sizeof(zero), size - crc_offset - sizeof(zero));
    return ~crc;
}

bool is_good_slot(const Layout& layout, u32 journal, const tarnfs_journal_slot& slot)
{
    return slot.magic == TARNFS_JOURNAL_MAGIC && slot.journal == journal &&
           memcmp(slot.uuid, layout.uuid, sizeof(slot.uuid)) == 0 &&
           slot.crc == structure_crc(&slot, sizeof(slot), offsetof(tarnfs_journal_slot, crc)) &&
           slot.tail <= layout.ring_bytes() && slot.tail % TARNFS_RECORD_ALIGN == 0 && is_possible(slot.floor) &&
           is_possible(slot.update);
}

namespace {

const tarnfs_superblock& superblock_at(const Media& media, DeviceBlock block)
{
    return *reinterpret_cast<const tarnfs_superblock*>(media.at(block));
}

DeviceBlock block_of(const Media& media, const tarnfs_superblock& super)
{
    return block_of(
        MediaAddress(static_cast<u64>(reinterpret_cast<const byte*>(&super) - media.at(DeviceBlock(0)))));
}

Error check_integrity(const tarnfs_superblock& super)
{
    if (super.magic != TARNFS_SUPER_MAGIC)
        return Error::kNotTarnfs;
    if (super.crc != structure_crc(&super, sizeof(super), offsetof(tarnfs_superblock, crc)))
        return Error::kBadSuperblock;
    return Error::kNone;
}

Error check_features(const Media& media, const tarnfs_superblock& super)
{
    if (super.version != TARNFS_FORMAT_VERSION) {
        tarn_log_device(&media.device(), TARN_LOG_ERROR, "format version %u is not known (this is %u)", super.version,
                 TARNFS_FORMAT_VERSION);
        return Error::kUnknownFeature;
    }
    if (super.incompat & ~TARNFS_KNOWN_INCOMPAT) {
        tarn_log_device(&media.device(), TARN_LOG_ERROR, "unknown incompatible features %#llx in the superblock",
                 super.incompat & ~TARNFS_KNOWN_INCOMPAT);
        return Error::kUnknownFeature;
    }
    return Error::kNone;
}

// What is wrong with the numbers, or null. Ordered so that no sum can overflow.
const char* check_geometry(const tarnfs_superblock& super, u64 device_blocks)
{
    if (super.blocks < kMinBlocks || super.blocks > kMaxBlocks)
        return "size out of range";
    if (super.blocks > device_blocks)
        return "file system larger than the device";
    if (super.journals < 1 || super.journals > TARNFS_MAX_JOURNALS)
        return "number of journals out of range";
    if (super.journal_blocks < TARNFS_JOURNAL_MIN_BLOCKS || super.journal_blocks > super.blocks)
        return "journal size out of range";
    if (super.groups != divide_up(super.blocks, TARNFS_BITMAP_BITS))
        return "number of groups does not fit the size";
    if (super.system_block < 2 || super.system_block >= super.journal_start)
        return "system block out of place";
    if (super.journal_start >= super.blocks || super.bitmap_start >= super.blocks ||
        super.first_data >= super.blocks - 1)
        return "a region begins behind the end";
    if (super.journal_start + u64{super.journals} * super.journal_blocks > super.bitmap_start)
        return "journals overlap the bitmaps";
    if (super.bitmap_start + super.groups > super.first_data)
        return "bitmaps overlap the data";
    if (super.replica < super.first_data || super.replica >= super.blocks)
        return "replica out of place";
    return nullptr;
}

Layout to_layout(const tarnfs_superblock& super)
{
    Layout layout;
    memcpy(layout.uuid, super.uuid, sizeof(layout.uuid));
    memcpy(layout.label, super.label, sizeof(layout.label));
    layout.label[TARNFS_LABEL_BYTES - 1] = 0;
    layout.blocks = super.blocks;
    layout.created = super.created;
    layout.hash_seed[0] = super.hash_seed[0];
    layout.hash_seed[1] = super.hash_seed[1];
    layout.ro_compat = super.ro_compat;
    layout.journal_start = DeviceBlock(super.journal_start);
    layout.journals = super.journals;
    layout.journal_blocks = super.journal_blocks;
    layout.bitmap_start = DeviceBlock(super.bitmap_start);
    layout.groups = super.groups;
    layout.system_block = DeviceBlock(super.system_block);
    layout.first_data = DeviceBlock(super.first_data);
    layout.replica_block = DeviceBlock(super.replica);
    return layout;
}

bool is_replica(const Media& media, DeviceBlock block)
{
    const auto& super = superblock_at(media, block);
    return check_integrity(super) == Error::kNone && super.replica == block.value;
}

// Where a damaged primary says, or where mkfs puts it.
DeviceBlock find_replica(const Media& media, const tarnfs_superblock& primary)
{
    const DeviceBlock said(primary.replica);
    return media.contains(Run{said, 1}) && is_replica(media, said) ? said : DeviceBlock(media.blocks() - 1);
}

// The primary if it is whole, else the replica; logs which and why.
Result<const tarnfs_superblock*> choose_superblock(const Media& media)
{
    const auto& primary = superblock_at(media, DeviceBlock(0));
    Error primary_error = check_integrity(primary);
    if (primary_error == Error::kNone)
        return &primary;
    const DeviceBlock last = find_replica(media, primary);
    const auto& replica = superblock_at(media, last);
    if (is_replica(media, last)) {
        tarn_log_device(&media.device(), TARN_LOG_WARNING, "block 0: %s; using the replica in block %llu (run fsck.tarnfs)",
                 describe(primary_error), static_cast<unsigned long long>(last.value));
        return &replica;
    }
    if (primary_error == Error::kBadSuperblock)
        tarn_log_device(&media.device(), TARN_LOG_ERROR, "block 0: damaged superblock (checksum), and no good replica in block %llu",
                 static_cast<unsigned long long>(last.value));
    else
        tarn_log_device(&media.device(), TARN_LOG_ERROR, "no tarnfs superblock found");
    return primary_error;
}

// Both, one after the other.
Status store_superblock(Media& media, DeviceBlock first, DeviceBlock second, tarnfs_superblock& super)
{
    super.crc = structure_crc(&super, sizeof(super), offsetof(tarnfs_superblock, crc));
    media.copy(media.writable(first), &super, sizeof(super));
    TRY(media.fence());
    media.copy(media.writable(second), &super, sizeof(super));
    return media.fence();
}

Result<Layout> layout_of(const Media& media, const tarnfs_superblock& super)
{
    if (Error error = check_features(media, super); error != Error::kNone)
        return error;
    if (const char* wrong = check_geometry(super, media.blocks())) {
        tarn_log_device(&media.device(), TARN_LOG_ERROR,
                        "block %llu: superblock: %s (%llu blocks, device %llu)",
                        static_cast<unsigned long long>(block_of(media, super).value), wrong, super.blocks,
                        static_cast<unsigned long long>(media.blocks()));
        return Error::kBadGeometry;
    }
    return to_layout(super);
}

}  // namespace

Result<Layout> read_layout(const Media& media)
{
    if (media.blocks() < kMinBlocks) {
        tarn_log_device(&media.device(), TARN_LOG_ERROR, "device too small: %llu blocks of 4 KiB, at least %llu are needed",
                 static_cast<unsigned long long>(media.blocks()), static_cast<unsigned long long>(kMinBlocks));
        return Error::kNotTarnfs;
    }
    return layout_of(media, *TRY(choose_superblock(media)));
}

Result<Layout> search_layout(const Media& media)
{
    for (DeviceBlock block(media.blocks() - 1); block.value > 0; block = DeviceBlock(block.value - 1))
        if (superblock_at(media, block).magic == TARNFS_SUPER_MAGIC && is_replica(media, block))
            return layout_of(media, superblock_at(media, block));
    return Error::kBadSuperblock;
}

Result<Layout> plan_layout(u64 blocks, const FormatOptions& options)
{
    constexpr u32 kDefaultJournals = 4;
    constexpr u64 kLargestJournal = 1024;  // 4 MiB: enough records that retirement is rare
    if (blocks < kMinBlocks || blocks > kMaxBlocks || options.journals > TARNFS_MAX_JOURNALS)
        return Error::kInvalid;
    const u32 most = static_cast<u32>(min<u64>(TARNFS_MAX_JOURNALS, blocks / 8 / TARNFS_JOURNAL_MIN_BLOCKS));
    if (options.journals > most)
        return Error::kInvalid;
    Layout layout;
    memcpy(layout.uuid, options.uuid, sizeof(layout.uuid));
    const usize length = strlen(options.label);
    if (length >= TARNFS_LABEL_BYTES)
        return Error::kInvalid;
    memcpy(layout.label, options.label, length);
    layout.blocks = blocks;
    layout.created = options.created;
    layout.hash_seed[0] = options.hash_seed[0];
    layout.hash_seed[1] = options.hash_seed[1];
    layout.system_block = DeviceBlock(2);  // block 1 stays unused: libnvdimm keeps info blocks there
    layout.journal_start = DeviceBlock(3);
    layout.journals = options.journals ? options.journals : min(kDefaultJournals, most);
    layout.journal_blocks = static_cast<u32>(
        max<u64>(TARNFS_JOURNAL_MIN_BLOCKS, min(kLargestJournal, blocks / 64 / layout.journals)));
    layout.bitmap_start = layout.journal(layout.journals);
    layout.groups = divide_up(blocks, TARNFS_BITMAP_BITS);
    const u64 grow_to = max(blocks, options.grow_to ? options.grow_to : min(kMaxBlocks, blocks * kGrowth));
    if (grow_to > kMaxBlocks)
        return Error::kInvalid;
    layout.first_data = layout.bitmap_start + divide_up(grow_to, TARNFS_BITMAP_BITS);
    layout.replica_block = DeviceBlock(blocks - 1);
    return layout;
}

Status write_superblocks(Media& media, const Layout& layout)
{
    auto super = TRY(Array<tarnfs_superblock>::create(1));
    tarnfs_superblock& s = super[0];
    s.magic = TARNFS_SUPER_MAGIC;
    s.version = TARNFS_FORMAT_VERSION;
    memcpy(s.uuid, layout.uuid, sizeof(s.uuid));
    memcpy(s.label, layout.label, sizeof(s.label));
    s.ro_compat = layout.ro_compat;
    s.blocks = layout.blocks;
    s.created = layout.created;
    s.hash_seed[0] = layout.hash_seed[0];
    s.hash_seed[1] = layout.hash_seed[1];
    s.journal_start = layout.journal_start.value;
    s.journals = layout.journals;
    s.journal_blocks = layout.journal_blocks;
    s.bitmap_start = layout.bitmap_start.value;
    s.groups = layout.groups;
    s.system_block = layout.system_block.value;
    s.first_data = layout.first_data.value;
    s.replica = layout.replica().value;
    return store_superblock(media, layout.replica(), DeviceBlock(0), s);
}

// Both superblocks as the whole one is, but for what `change` does to it.
template <class Change>
static Status edit_superblocks(Media& media, const Layout& layout, Change change)
{
    const bool primary_is_whole = check_integrity(superblock_at(media, DeviceBlock(0))) == Error::kNone;
    const DeviceBlock whole = primary_is_whole ? DeviceBlock(0) : layout.replica();
    const DeviceBlock other = primary_is_whole ? layout.replica() : DeviceBlock(0);
    if (check_integrity(superblock_at(media, whole)) != Error::kNone)
        return Error::kBadSuperblock;
    auto super = TRY(Array<tarnfs_superblock>::create(1));
    memcpy(&super[0], media.at(whole), sizeof(super[0]));
    change(super[0]);
    return store_superblock(media, other, whole, super[0]);
}

Status write_label(Media& media, const Layout& layout, const char* label)
{
    const usize length = strlen(label);
    if (length >= TARNFS_LABEL_BYTES)
        return Error::kInvalid;
    return edit_superblocks(media, layout, [&](tarnfs_superblock& super) {
        memset(super.label, 0, sizeof(super.label));
        memcpy(super.label, label, length);
    });
}

Status write_size(Media& media, const Layout& layout, u64 blocks)
{
    return edit_superblocks(media, layout, [&](tarnfs_superblock& super) {
        super.blocks = blocks;
        super.groups = divide_up(blocks, TARNFS_BITMAP_BITS);
    });
}

Status mend_superblocks(Media& media, const Layout& layout)
{
    const bool primary_is_whole = check_integrity(superblock_at(media, DeviceBlock(0))) == Error::kNone;
    const DeviceBlock whole = primary_is_whole ? DeviceBlock(0) : layout.replica();
    const DeviceBlock other = primary_is_whole ? layout.replica() : DeviceBlock(0);
    if (check_integrity(superblock_at(media, whole)) != Error::kNone ||
        memcmp(media.at(whole), media.at(other), kBlockSize) == 0)
        return Ok{};
    media.copy(media.writable(other), media.at(whole), kBlockSize);
    return media.fence();
}

}  // namespace tarn
