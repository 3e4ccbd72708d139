// SPDX-License-Identifier: GPL-2.0
// Operations on a disk; invariants in disk.hpp.
#include "pmem/disk.hpp"

namespace tarn::pmem {

namespace {

// Others get a turn after this much zeroing.
constexpr u64 kStep = 1 << 20;

// How much of the disk's beginning must be blank before its memory is doubted. Every superblock we know lies
// inside.
constexpr u64 kBlankBytes = 64 << 10;

}  // namespace

Result<ByteRange> Disk::range(u64 offset, u64 length) const
{
    if (!fits(offset, length, bytes()))
        return Error::kInvalid;
    return ByteRange{Byte(offset), length};
}

Status Disk::begin_read(ByteRange range) const
{
    if (bad_.any_in(touched_sectors(range)))
        return Error::kPoison;
    return Ok{};
}

Status Disk::read(ByteRange range, void* target) const
{
    if (tarn_media_load(disk_.media, target, at(range.first), range.count) != 0)
        return Error::kPoison;
    return Ok{};
}

Status Disk::clear_poison(SectorRange bad) const
{
    const ByteRange range = bytes_of(bad);
    const s64 cleared = tarn_media_clear_poison(disk_.media, range.first.value, range.count);
    if (cleared < 0 || static_cast<u64>(cleared) < range.count)
        return Error::kPoison;
    return Ok{};
}

// Makes failed pages usable that a request is about to overwrite wherever they are bad.
Status Disk::unblock(PageRange pages, SectorRange written) const
{
    void* media = disk_.media;
    if (!tarn_media_is_blocked(media, pages.first.value, pages.count))
        return Ok{};
    if (bad_.any_around(sectors_of(pages), written))
        return Error::kPoison;
    tarn_media_unblock(media, pages.first.value, pages.count);
    return Ok{};
}

Status Disk::begin_write(ByteRange range) const
{
    if (disk_.memory.read_only)
        return Error::kReadOnly;
    if (range.empty())
        return Ok{};
    const PageRange pages = touched_pages(range);
    if (bad_.any_in(sectors_of(pages))) [[unlikely]] {
        const SectorRange written = covered_sectors(range);
        TRY(bad_.for_each_in(touched_sectors(range), [&](SectorRange bad) -> Status {
            return written.contains(bad) ? clear_poison(bad) : Status(Error::kPoison);
        }));
        TRY(unblock(pages, written));
    } else if (range.count >= kPageSize) {
        TRY(unblock(pages, covered_sectors(range)));
    }
    return Ok{};
}

void Disk::write(ByteRange range, const void* source) const
{
    tarn_persist_copy(&disk_.memory, at(range.first), source, range.count);
}

Status Disk::zero_step(ByteRange range) const
{
    TRY(begin_write(range));
    tarn_persist_zero(&disk_.memory, at(range.first), range.count);
    end_write(range);
    return Ok{};
}

Status Disk::zero(ByteRange range) const
{
    while (!range.empty()) {
        const u64 step = min(range.count, kStep);
        TRY(zero_step({range.first, step}));
        range = {range.first + step, range.count - step};
        if (!range.empty())
            tarn_media_pause(disk_.media);
    }
    return Ok{};
}

// A discard promises nothing, so what cannot be healed stays as it is.
Status Disk::heal(SectorRange bad) const
{
    zero(bytes_of(bad)).ignore();
    return Ok{};
}

Status Disk::discard(ByteRange range) const
{
    if (disk_.memory.read_only)
        return Error::kReadOnly;
    return bad_.for_each_in(covered_sectors(range), [&](SectorRange bad) { return heal(bad); });
}

Result<u64> Disk::reach(Page first, u64 wanted, AccessMode mode) const
{
    const u64 pages = disk_.memory.blocks;
    if (first.value >= pages)
        return u64{0};
    const PageRange rest = {first, pages - first.value};
    const PageRange window = {first, min(rest.count, max<u64>(wanted, 1))};
    const u64 good = pages_before_bad(bad_, window);
    if (good > 0)
        return good;
    if (mode == AccessMode::kRecovery)
        return u64{1};
    return Error::kPoison;
}

Status Disk::flush() const
{
    if (tarn_media_flush(disk_.media) != 0)
        return Error::kDeviceFlush;
    return Ok{};
}

bool Disk::looks_unwritten() const
{
    const u64 length = min(bytes(), kBlankBytes);
    u64 first = 0;
    if (!read({Byte(0), sizeof(first)}, &first) || (first != 0 && first != ~u64{0}))
        return false;
    for (u64 offset = 0; offset < length; offset += sizeof(first)) {
        u64 word = 0;
        if (!read({Byte(offset), sizeof(word)}, &word) || word != first)
            return false;
    }
    return true;
}

// Non-temporal stores leave nothing in the cache that could answer instead of the memory.
bool Disk::keeps_a_word(Byte offset) const
{
    const ByteRange range = {offset, sizeof(u64)};
    u64 before = 0;
    u64 after = 0;
    if (!read(range, &before))
        return true;  // something is there, and says that it is broken
    const u64 changed = before ^ 0x5441524e504d454d;
    write(range, &changed);
    const bool kept = flush().is_ok() && read(range, &after) && after == changed;
    write(range, &before);
    return flush().is_ok() && kept;
}

bool Disk::is_backed() const
{
    if (bytes() == 0 || disk_.memory.read_only || !looks_unwritten())
        return true;
    return keeps_a_word(Byte(0)) && keeps_a_word(Byte(bytes() - sizeof(u64)));
}

ByteRange clip_to_disk(Physical data_start, u64 bytes, Physical start, u64 length)
{
    const u64 room = ~u64{0} - start.value;
    const Range<Physical> disk = {data_start, bytes};
    const Range<Physical> part = common(disk, Range<Physical>{start, min(length, room)});
    if (part.empty())
        return {};
    return {Byte(part.first - data_start), part.count};
}

}  // namespace tarn::pmem
