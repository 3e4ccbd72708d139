// SPDX-License-Identifier: GPL-2.0
// Superblock, journals, bitmaps, statistics. (inspect_tree.cpp: inodes, trees, directories.)
#include "tools/inspect.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "fs/check/check.hpp"
#include "fs/space/bits.hpp"
#include "fs/txn/record.hpp"
#include "tools/console.hpp"

namespace tarn::tools {

namespace {

void show_superblock_at(const tarnfs_superblock& s, DeviceBlock block, const char* name)
{
    const bool whole = s.crc == structure_crc(&s, sizeof s, offsetof(tarnfs_superblock, crc));
    std::printf("%s (block %llu)\n", name, block.value);
    std::printf("  magic           %#018llx %s\n", s.magic,
                s.magic == TARNFS_SUPER_MAGIC ? "(tarnfs)" : "(wrong)");
    std::printf("  checksum        %#010x %s\n", s.crc, whole ? "(good)" : "(wrong)");
    std::printf("  version         %u\n", s.version);
    std::printf("  uuid            %s\n", uuid_text(s.uuid).c_str());
    const auto* label = reinterpret_cast<const char*>(s.label);
    std::printf("  label           '%s'\n",
                escape(std::string(label, strnlen(label, TARNFS_LABEL_BYTES))).c_str());
    std::printf("  features        compat %#llx, ro_compat %#llx, incompat %#llx\n", s.compat, s.ro_compat,
                s.incompat);
    std::printf("  created         %s\n", time_text(static_cast<s64>(s.created), 0).c_str());
    std::printf("  blocks          %llu (%s)\n", s.blocks, size_text(s.blocks * kBlockSize).c_str());
    std::printf("  journals        %u of %u blocks from block %llu\n", s.journals, s.journal_blocks,
                s.journal_start);
    std::printf("  block bitmaps   %llu from block %llu\n", s.groups, s.bitmap_start);
    const u64 most = (s.first_data - s.bitmap_start) * TARNFS_BITMAP_BITS;
    std::printf("  can grow to     %llu blocks (%s)\n", most, size_text(most * kBlockSize).c_str());
    std::printf("  system block    %llu\n", s.system_block);
    std::printf("  first data      %llu\n", s.first_data);
}

// The newest good slot of a journal, or null.
const tarnfs_journal_slot* newest_slot(Image& image, u32 index)
{
    const auto* slots =
        reinterpret_cast<const tarnfs_journal_slot*>(image.media().at(image.layout().journal(index)));
    const tarnfs_journal_slot* newest = nullptr;
    for (u32 i = 0; i < TARNFS_JOURNAL_SLOTS; i++)
        if (is_good_slot(image.layout(), index, slots[i]) && (!newest || slots[i].update > newest->update))
            newest = &slots[i];
    return newest;
}

// What recovery would find in a ring: all records of which it replays those at or above the floor.
struct Ring {
    u64 records = 0, replayable = 0, bytes = 0, first = 0, last = 0;
};

Ring scan(Image& image, u32 index, const tarnfs_journal_slot& slot, u64 floor)
{
    Journal journal;
    journal.index = index;
    journal.header = image.layout().journal(index);
    journal.ring_bytes = image.layout().ring_bytes();
    RecordScanner scanner(image.media(), image.layout(), journal, slot.tail, slot.lap, Verify::kFull);
    Ring ring;
    for (Bytes record = scanner.next(); !record.empty(); record = scanner.next()) {
        const u64 sequence = sequence_of(record).value;
        ring.first = ring.records ? ring.first : sequence;
        ring.last = sequence;
        ring.records++;
        ring.bytes += record.size();
        ring.replayable += sequence >= floor;
    }
    return ring;
}

// The highest floor of all journals: recovery replays nothing below it.
u64 highest_floor(Image& image)
{
    u64 floor = 0;
    for (u32 index = 0; index < image.layout().journals; index++)
        if (const auto* slot = newest_slot(image, index))
            floor = std::max<u64>(floor, slot->floor);
    return floor;
}

u32 longest_free_run(const tarnfs_bitmap& bitmap, u32 bits)
{
    u32 longest = 0;
    for (u32 from = 0; (from = bits::find(bitmap.words, from, bits, 0)) < bits;) {
        const u32 end = bits::find(bitmap.words, from, bits, 1);
        longest = std::max(longest, end - from);
        from = end;
    }
    return longest;
}

// Free runs by length: how many blocks are in runs of 1, 2-3, 4-7 ...
struct FreeRuns {
    static constexpr u32 kClasses = 16;
    u64 runs[kClasses] = {};
    u64 blocks[kClasses] = {};

    void add(u32 length)
    {
        const u32 its_class = std::min<u32>(kClasses - 1, 31 - static_cast<u32>(__builtin_clz(length)));
        runs[its_class]++;
        blocks[its_class] += length;
    }
};

FreeRuns free_runs(Image& image)
{
    FreeRuns found;
    for (u64 group = 0; group < image.layout().groups; group++) {
        const tarnfs_bitmap& bitmap = image.bitmap(image.layout().bitmap(group));
        const u32 bits = image.layout().group_bits(group);
        for (u32 from = 0; (from = bits::find(bitmap.words, from, bits, 0)) < bits;) {
            const u32 end = bits::find(bitmap.words, from, bits, 1);
            found.add(end - from);
            from = end;
        }
    }
    return found;
}

void ignore_problem(void*, const char*, __builtin_va_list) {}

}  // namespace

void show_superblock(const std::string& path)
{
    const Target target(path, Access::kLook, kLookFailed);
    warn_if_mounted(target);
    const Media media(target.device());
    auto super_at = [&](DeviceBlock block) -> const tarnfs_superblock& {
        return *reinterpret_cast<const tarnfs_superblock*>(media.at(block));
    };
    const DeviceBlock first(0);
    show_superblock_at(super_at(first), first, "superblock");
    const DeviceBlock said(super_at(first).replica);
    const DeviceBlock replica(said.value && media.contains(Run{said, 1}) ? said
                                                                         : DeviceBlock(media.blocks() - 1));
    show_superblock_at(super_at(replica), replica, "replica");
}

void show_journals(Image& image)
{
    const u64 floor = highest_floor(image);
    std::printf("floor %llu: recovery replays no record with a lower sequence number\n", floor);
    for (u32 index = 0; index < image.layout().journals; index++) {
        const DeviceBlock header = image.layout().journal(index);
        const tarnfs_journal_slot* slot = newest_slot(image, index);
        if (!slot) {
            std::printf("journal %u (block %llu): no good slot\n", index, header.value);
            continue;
        }
        const Ring ring = scan(image, index, *slot, floor);
        std::printf("journal %u (block %llu): update %llu, floor %llu, tail %llu, lap %u: ", index,
                    header.value, slot->update, slot->floor, slot->tail, slot->lap);
        if (ring.records)
            std::printf("%llu records (%llu to %llu, %s), %llu to replay\n", ring.records, ring.first,
                        ring.last, size_text(ring.bytes).c_str(), ring.replayable);
        else
            std::printf("empty\n");
    }
}

void show_bitmaps(Image& image)
{
    std::printf("%8s %12s %8s %8s %8s %12s\n", "group", "bitmap", "blocks", "in use", "free", "longest free");
    for (u64 group = 0; group < image.layout().groups; group++) {
        const DeviceBlock block = image.layout().bitmap(group);
        const tarnfs_bitmap& bitmap = image.bitmap(block);
        if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.bits != TARNFS_BITMAP_BITS) {
            std::printf("%8llu %12llu damaged\n", group, block.value);
            continue;
        }
        const u32 bits = image.layout().group_bits(group), used = bits::count_set(bitmap.words, bits);
        std::printf("%8llu %12llu %8u %8u %8u %12u%s\n", group, block.value, bits, used, bits - used,
                    longest_free_run(bitmap, bits), used == bitmap.set ? "" : "  (counter is wrong)");
    }
}

void show_statistics(Image& image)
{
    auto checked = check(image.volume(), CheckReporter{nullptr, ignore_problem, nullptr});
    if (!checked)
        fail(kLookFailed, "%s", describe(checked.error()));
    const CheckSummary& s = checked.value();
    const u64 fixed = image.layout().first_data.value + 1;
    auto line = [](const char* what, u64 blocks) {
        std::printf("  %-22s %12llu  %s\n", what, blocks, size_text(blocks * kBlockSize).c_str());
    };
    std::printf("blocks\n");
    line("all", image.layout().blocks);
    line("journals and bitmaps", fixed);
    line("inode table", s.table_blocks);
    line("trees", s.node_blocks);
    line("data", s.data_blocks);
    line("of it unwritten", s.unwritten_blocks);
    line("free", s.free_blocks);
    std::printf("inodes\n");
    std::printf(
        "  %-22s %12llu\n  %-22s %12llu\n  %-22s %12llu\n  %-22s %12llu\n  %-22s %12llu\n  %-22s %12llu\n",
        "in use", s.inodes, "files", s.files, "directories", s.directories, "symbolic links", s.symlinks,
        "special files", s.others, "still to be freed", s.orphans);
    std::printf("extents                  %12llu\n", s.extents);
    std::printf("extended attributes      %12llu\n", s.xattrs);
    const FreeRuns free = free_runs(image);
    std::printf("free runs, by length in blocks\n");
    for (u32 i = 0; i < FreeRuns::kClasses; i++)
        if (free.runs[i])
            std::printf("  %6u%-16s %12llu  %s\n", 1u << i,
                        i + 1 < FreeRuns::kClasses ? " and more" : " and above", free.runs[i],
                        size_text(free.blocks[i] * kBlockSize).c_str());
    if (s.problems)
        warn("%llu problems were met: run fsck.tarnfs", s.problems);
}

}  // namespace tarn::tools
