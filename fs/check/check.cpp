// SPDX-License-Identifier: GPL-2.0
// Checker: the fixed structures (superblocks, journal slots, block bitmaps), and the order of the passes.
#include "fs/check/check.hpp"

#include <cstring>

#include "fs/check/checker.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

Checker::Checker(Volume& volume, const CheckReporter& reporter, RepairState* repair)
    : volume_(volume),
      media_(volume.media()),
      layout_(volume.layout()),
      reporter_(reporter),
      repair_(repair),
      owners_(volume.layout())
{
}

bool Checker::problem(Fix fix, const char* format, ...)
{
    summary_.problems++;
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    reporter_.problem(reporter_.context, format, arguments);
    __builtin_va_end(arguments);
    if (!repair_)
        return false;
    const bool approved = fix != Fix::kNone && repair_->failed.is_ok() &&
                          repair_->approval.approve(repair_->approval.context, fix);
    (approved ? repair_->fixed : repair_->refused)++;
    return approved;
}

void Checker::note(const Status& done)
{
    if (!done.is_ok() && repair_->failed.is_ok())
        repair_->failed = Status(done.error());
}

// One more unit of work done: a chunk of inodes in one of four passes, or a block group.
void Checker::progress()
{
    done_++;
    if (reporter_.progress)
        reporter_.progress(reporter_.context, min(done_, total_), total_);
}

Status Checker::run()
{
    superblocks();
    journals();
    TRY(own_fixed());
    TRY(table());
    total_ = 4 * (summary_.inode_slots / TARNFS_INODE_CHUNK) + layout_.groups;
    TRY(inodes());
    TRY(directories());
    links();
    if (repair_)
        TRY(rebuild());
    TRY(bitmaps());
    if (repair_) {
        TRY(volume_.media().fence());
        return repair_->failed.is_ok() ? Status(Ok{}) : Status(repair_->failed.error());
    }
    return Ok{};
}

Result<CheckSummary> check(Volume& volume, const CheckReporter& reporter)
{
    auto checker = TRY(Box<Checker>::create(volume, reporter));
    TRY(checker->run());
    return checker->summary();
}

// ---- superblocks and journals -----------------------------------------------------------------------------

const char* Checker::superblock_defect(DeviceBlock block) const
{
    const auto& super = *reinterpret_cast<const tarnfs_superblock*>(media_.at(block));
    if (super.magic != TARNFS_SUPER_MAGIC)
        return "no tarnfs superblock";
    if (super.crc != structure_crc(&super, sizeof(super), offsetof(tarnfs_superblock, crc)))
        return "wrong checksum";
    return nullptr;
}

// A good one is never stored to, but for a replica that says something else than a good superblock.
void Checker::superblocks()
{
    const DeviceBlock first(0), replica = layout_.replica();
    const char* first_defect = superblock_defect(first);
    const char* replica_defect = superblock_defect(replica);
    bool restore = false;
    if (first_defect)
        restore |= problem(Fix::kSuperblock, "block 0: superblock: %s", first_defect);
    if (replica_defect)
        restore |=
            problem(Fix::kSuperblock, "block %llu: superblock replica: %s", replica.value, replica_defect);
    if (!first_defect && !replica_defect && memcmp(media_.at(first), media_.at(replica), kBlockSize) != 0)
        restore = problem(Fix::kSuperblock, "block %llu: superblock replica differs from the superblock",
                          replica.value);
    if (!restore)
        return;
    Media& media = volume_.media();
    if (first_defect && replica_defect)  // the one that was read is neither: at the end of a larger device
        note(write_superblocks(media, layout_));
    else if (first_defect)
        media.copy(media.writable(first), media.at(replica), kBlockSize);
    else
        media.copy(media.writable(replica), media.at(first), kBlockSize);
}

void Checker::check_journal(u32 index)
{
    const DeviceBlock header = layout_.journal(index);
    for (u32 i = 0; i < TARNFS_JOURNAL_SLOTS; i++) {
        tarnfs_journal_slot slot;
        memcpy(&slot, media_.at(header) + i * sizeof(slot), sizeof(slot));
        if (is_good_slot(layout_, index, slot))
            return;
    }
    problem(Fix::kNone, "block %llu: journal %u: neither header slot is good", header.value, index);
}

void Checker::journals()
{
    for (u32 index = 0; index < layout_.journals; index++)
        check_journal(index);
}

Status Checker::own_fixed()
{
    TRY(owners_.init());
    DeviceBlock taken;
    TRY(owners_.own(Run{DeviceBlock(0), layout_.first_data.value}, &taken));
    return owners_.own(Run{layout_.replica(), 1}, &taken);
}

// ---- bitmaps ----------------------------------------------------------------------------------------------

bool Checker::check_bitmap(DeviceBlock block, u32 kind, u64 index, u32 bits, const char* name, bool* store)
{
    const tarnfs_bitmap& bitmap = bitmap_at(block);
    if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.kind != kind) {
        *store |= problem(Fix::kBitmap, "block %llu: %s of group %llu: not such a bitmap", block.value, name,
                          index);
        return false;
    }
    if (bitmap.index != index || bitmap.bits != TARNFS_BITMAP_BITS) {
        *store |= problem(Fix::kBitmap,
                          "block %llu: %s of group %llu: says it is of group %llu with %u bits, not %u",
                          block.value, name, index, bitmap.index, bitmap.bits, TARNFS_BITMAP_BITS);
        return false;
    }
    const u32 set = bits::count_set(bitmap.words, bits);
    if (bitmap.set != set)
        *store |= problem(Fix::kBitmap, "block %llu: %s of group %llu: %u bits are set, its counter says %u",
                          block.value, name, index, set, bitmap.set);
    if (bits::find(bitmap.words, bits, TARNFS_BITMAP_BITS, 1) != TARNFS_BITMAP_BITS)
        *store |= problem(Fix::kBitmap, "block %llu: %s of group %llu: bits behind the end are set",
                          block.value, name, index);
    return true;
}

// Blocks [first, end) of the group are marked in use but nothing owns them (marked), or the other way round.
bool Checker::report_difference(u64 group, u32 first, u32 end, u32 marked)
{
    const u64 start = group * TARNFS_BITMAP_BITS + first;
    const u64 last = group * TARNFS_BITMAP_BITS + end - 1;
    return marked
               ? problem(Fix::kBitmap, "blocks %llu-%llu: marked in use, but nothing uses them", start, last)
               : problem(Fix::kBitmap, "blocks %llu-%llu: in use, but marked free", start, last);
}

// True when the bitmap is to be written anew.
bool Checker::compare_group(u64 index, const tarnfs_bitmap& bitmap, u32 bits)
{
    bool store = false;
    const u64* owned = owners_.group(index);
    auto differs = [&](u32 bit) {
        const u64 have = owned ? owned[bit / 64] : 0;
        return ((have ^ bitmap.words[bit / 64]) >> bit % 64 & 1) != 0;
    };
    auto marked = [&](u32 bit) { return static_cast<u32>(bitmap.words[bit / 64] >> bit % 64 & 1); };
    for (u32 bit = 0; bit < bits;) {
        if (bit % 64 == 0 && (owned ? owned[bit / 64] : 0) == bitmap.words[bit / 64]) {
            bit += 64;
            continue;
        }
        const u32 first = bit++;
        if (!differs(first))
            continue;
        while (bit < bits && differs(bit) && marked(bit) == marked(first))
            bit++;
        store |= report_difference(index, first, bit, marked(first));
    }
    return store;
}

void Checker::check_group_bitmap(u64 index)
{
    const u32 bits = layout_.group_bits(index);
    const DeviceBlock block = layout_.bitmap(index);
    bool store = false;
    const bool good = check_bitmap(block, TARNFS_BITMAP_BLOCKS, index, bits, "block bitmap", &store);
    if (good) {
        const tarnfs_bitmap& bitmap = bitmap_at(block);
        summary_.free_blocks += bits - bits::count_set(bitmap.words, bits);
        store |= compare_group(index, bitmap, bits);
    }
    if (store)
        note(store_group(index, good));
}

Status Checker::bitmaps()
{
    for (u64 index = 0; index < layout_.groups; index++) {
        check_group_bitmap(index);
        progress();
    }
    return repair_ ? store_inode_bitmaps() : Status(Ok{});
}

}  // namespace tarn
