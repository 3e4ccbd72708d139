// SPDX-License-Identifier: GPL-2.0
// Checker: the fixed structures (superblocks, journal slots, block bitmaps), and the order of the passes.
#include "fs/check/check.hpp"

#include <cstring>

#include "fs/check/checker.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

Checker::Checker(Volume& volume, const CheckReporter& reporter)
    : volume_(volume),
      media_(volume.media()),
      layout_(volume.layout()),
      reporter_(reporter),
      owners_(volume.layout())
{
}

void Checker::problem(const char* format, ...)
{
    summary_.problems++;
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    reporter_.problem(reporter_.context, format, arguments);
    __builtin_va_end(arguments);
}

// One more unit of work done: a chunk of inodes in one of three passes, or a block group.
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
    total_ = 3 * (summary_.inode_slots / TARNFS_INODE_CHUNK) + layout_.groups;
    TRY(inodes());
    TRY(directories());
    links();
    return bitmaps();
}

Result<CheckSummary> check(Volume& volume, const CheckReporter& reporter)
{
    auto checker = TRY(Box<Checker>::create(volume, reporter));
    TRY(checker->run());
    return checker->summary();
}

// ---- superblocks and journals
// ------------------------------------------------------------------------------

void Checker::check_superblock(DeviceBlock block, const char* which)
{
    const auto& super = *reinterpret_cast<const tarnfs_superblock*>(media_.at(block));
    if (super.magic != TARNFS_SUPER_MAGIC)
        problem("block %llu: %s: no tarnfs superblock", block.value, which);
    else if (super.crc != structure_crc(&super, sizeof(super), offsetof(tarnfs_superblock, crc)))
        problem("block %llu: %s: wrong checksum", block.value, which);
}

void Checker::superblocks()
{
    const u64 before = summary_.problems;
    check_superblock(DeviceBlock(0), "superblock");
    check_superblock(layout_.replica(), "superblock replica");
    if (summary_.problems == before &&
        memcmp(media_.at(DeviceBlock(0)), media_.at(layout_.replica()), kBlockSize) != 0)
        problem("block %llu: superblock replica differs from the superblock", layout_.replica().value);
}

void Checker::check_journal(u32 index)
{
    const DeviceBlock header = layout_.journal(index);
    const u64 ring = (u64{layout_.journal_blocks} - 1) * kBlockSize;
    for (u32 i = 0; i < TARNFS_JOURNAL_SLOTS; i++) {
        tarnfs_journal_slot slot;
        memcpy(&slot, media_.at(header) + i * sizeof(slot), sizeof(slot));
        if (slot.magic == TARNFS_JOURNAL_MAGIC && slot.journal == index &&
            memcmp(slot.uuid, layout_.uuid, sizeof(slot.uuid)) == 0 && slot.tail <= ring &&
            slot.tail % TARNFS_RECORD_ALIGN == 0 &&
            slot.crc == structure_crc(&slot, sizeof(slot), offsetof(tarnfs_journal_slot, crc)))
            return;
    }
    problem("block %llu: journal %u: neither header slot is good", header.value, index);
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

// ---- bitmaps
// -----------------------------------------------------------------------------------------------

bool Checker::check_bitmap(DeviceBlock block, u32 kind, u64 index, u32 bits, const char* name)
{
    const tarnfs_bitmap& bitmap = bitmap_at(block);
    if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.kind != kind) {
        problem("block %llu: %s of group %llu: not such a bitmap", block.value, name, index);
        return false;
    }
    if (bitmap.index != index || bitmap.bits != bits) {
        problem("block %llu: %s of group %llu: says it is of group %llu with %u bits, not %u", block.value,
                name, index, bitmap.index, bitmap.bits, bits);
        return false;
    }
    const u32 set = bits::count_set(bitmap.words, bits);
    if (bitmap.set != set)
        problem("block %llu: %s of group %llu: %u bits are set, its counter says %u", block.value, name,
                index, set, bitmap.set);
    if (bits::find(bitmap.words, bits, TARNFS_BITMAP_BITS, 0) != TARNFS_BITMAP_BITS)
        problem("block %llu: %s of group %llu: bits behind the end are clear", block.value, name, index);
    return true;
}

// Blocks [first, end) of the group are marked in use but nothing owns them (marked), or the other way round.
void Checker::report_difference(u64 group, u32 first, u32 end, u32 marked)
{
    const u64 start = group * TARNFS_BITMAP_BITS + first;
    const u64 last = group * TARNFS_BITMAP_BITS + end - 1;
    if (marked)
        problem("blocks %llu-%llu: marked in use, but nothing uses them", start, last);
    else
        problem("blocks %llu-%llu: in use, but marked free", start, last);
}

void Checker::compare_group(u64 index, const tarnfs_bitmap& bitmap, u32 bits)
{
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
        report_difference(index, first, bit, marked(first));
    }
}

void Checker::check_group_bitmap(u64 index)
{
    const u32 bits =
        static_cast<u32>(min<u64>(TARNFS_BITMAP_BITS, layout_.blocks - index * TARNFS_BITMAP_BITS));
    const DeviceBlock block = layout_.bitmap(index);
    if (!check_bitmap(block, TARNFS_BITMAP_BLOCKS, index, bits, "block bitmap"))
        return;
    const tarnfs_bitmap& bitmap = bitmap_at(block);
    summary_.free_blocks += bits - bits::count_set(bitmap.words, bits);
    compare_group(index, bitmap, bits);
}

Status Checker::bitmaps()
{
    for (u64 index = 0; index < layout_.groups; index++) {
        check_group_bitmap(index);
        progress();
    }
    return Ok{};
}

}  // namespace tarn
