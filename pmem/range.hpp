// SPDX-License-Identifier: GPL-2.0
// Offsets on a disk and ranges of them, in three units that do not mix: bytes, sectors, pages.
//
// Everything here is arithmetic on numbers that callers outside the module chose: no function overflows, and
// a Range is only made by something that has checked its end.
#pragma once
#include "cxxrt/result.hpp"
#include "cxxrt/types.hpp"
#include "pmem/pmem.h"

namespace tarn::pmem {

inline constexpr u64 kSectorSize = TARN_PMEM_SECTOR;
inline constexpr u64 kPageSize = TARN_PMEM_PAGE;
inline constexpr u64 kSectorsPerPage = kPageSize / kSectorSize;

using Byte = StrongId<struct DiskByteTag>;      // a byte of the disk
using Sector = StrongId<struct DiskSectorTag>;  // a sector of the disk
using Page = StrongId<struct DiskPageTag>;      // a page of the disk
using Physical = StrongId<struct PhysicalTag>;  // a physical address

// [first, first+count); count may be 0, the end never overflows.
template <class Id>
struct Range {
    Id first;
    u64 count = 0;

    constexpr Id end() const { return first + count; }
    constexpr bool empty() const { return count == 0; }
    constexpr bool contains(Range other) const { return other.first >= first && other.end() <= end(); }
    constexpr bool operator==(const Range&) const = default;
};

using ByteRange = Range<Byte>;
using SectorRange = Range<Sector>;
using PageRange = Range<Page>;

// Is [offset, offset+length) inside a disk of `bytes` bytes?
constexpr bool fits(u64 offset, u64 length, u64 bytes) { return offset <= bytes && length <= bytes - offset; }

// What two ranges have in common; empty (somewhere) when nothing.
template <class Id>
constexpr Range<Id> common(Range<Id> a, Range<Id> b)
{
    const Id first = max(a.first, b.first);
    const Id end = min(a.end(), b.end());
    return {first, end > first ? end - first : 0};
}

// The sectors that a range of bytes touches, and those it covers from end to end.
constexpr SectorRange touched_sectors(ByteRange range)
{
    const u64 first = range.first.value / kSectorSize;
    return {Sector(first), range.empty() ? 0 : divide_up(range.end().value, kSectorSize) - first};
}
constexpr SectorRange covered_sectors(ByteRange range)
{
    const u64 first = divide_up(range.first.value, kSectorSize);
    const u64 end = range.end().value / kSectorSize;
    return {Sector(first), end > first ? end - first : 0};
}
// The pages that a range of bytes or sectors touches.
constexpr PageRange touched_pages(ByteRange range)
{
    const u64 first = range.first.value / kPageSize;
    return {Page(first), range.empty() ? 0 : divide_up(range.end().value, kPageSize) - first};
}
constexpr SectorRange sectors_of(PageRange pages)
{
    return {Sector(pages.first.value * kSectorsPerPage), pages.count * kSectorsPerPage};
}
constexpr ByteRange bytes_of(SectorRange sectors)
{
    return {Byte(sectors.first.value * kSectorSize), sectors.count * kSectorSize};
}

}  // namespace tarn::pmem
