// SPDX-License-Identifier: GPL-2.0
// Plain integers by their short names, and strong ids: integers that do not mix with one another.
#pragma once
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "cxxrt/runtime.h"

namespace tarn {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = unsigned long long;  // as in the media format, so that pointers and %llu agree
using s32 = std::int32_t;
using s64 = long long;
using usize = std::size_t;
using std::byte;

// An integer with a meaning. Ids of different tags do not convert, compare or add; adding a plain count is allowed
// and is not checked for overflow (callers check values that come from media or userspace first).
template <class Tag>
struct StrongId {
    u64 value = 0;

    constexpr StrongId() = default;
    constexpr explicit StrongId(u64 v) : value(v) {}

    constexpr StrongId operator+(u64 n) const { return StrongId(value + n); }
    constexpr StrongId operator-(u64 n) const { return StrongId(value - n); }
    constexpr u64 operator-(StrongId other) const { return value - other.value; }
    constexpr StrongId& operator+=(u64 n)
    {
        value += n;
        return *this;
    }
    constexpr auto operator<=>(const StrongId&) const = default;
};

using FileBlock = StrongId<struct FileBlockTag>;      // a 4 KiB block of a file, by index
using DeviceBlock = StrongId<struct DeviceBlockTag>;  // a 4 KiB block of the device, by index
using ByteOffset = StrongId<struct ByteOffsetTag>;    // a byte of a file, by offset
using InodeNumber = StrongId<struct InodeNumberTag>;  // an inode's number
using Pfn = StrongId<struct PfnTag>;                  // a page frame number
using Sequence = StrongId<struct SequenceTag>;        // a transaction's number, global over all journals

inline constexpr u64 kBlockShift = 12;
inline constexpr u64 kBlockSize = u64{1} << kBlockShift;
inline constexpr u64 kLineSize = 64;  // a cache line: what write-back works on
inline constexpr u64 kWordSize = 8;   // what the device stores without tearing

template <class T>
constexpr T min(T a, T b)
{
    return b < a ? b : a;
}
template <class T>
constexpr T max(T a, T b)
{
    return a < b ? b : a;
}
constexpr u64 round_up(u64 value, u64 unit) { return (value + unit - 1) / unit * unit; }
constexpr u64 round_down(u64 value, u64 unit) { return value / unit * unit; }
constexpr u64 divide_up(u64 value, u64 unit) { return (value + unit - 1) / unit; }

}  // namespace tarn
