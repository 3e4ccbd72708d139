// SPDX-License-Identifier: GPL-2.0
// Bits: searching and changing runs of bits in an array of 64-bit words.
#pragma once
#include "cxxrt/types.hpp"

namespace tarn::bits {

// The word mask for bits [first, first + count) that fall into the word of `first`; reports how many fell in.
struct Piece {
    u64 word;
    u64 mask;
    u32 count;
};
constexpr Piece piece(u32 first, u32 count)
{
    const u32 offset = first % 64;
    const u32 here = min(count, 64 - offset);
    const u64 ones = here == 64 ? ~u64{0} : (u64{1} << here) - 1;
    return {first / 64, ones << offset, here};
}

// First bit in [from, limit) whose value is `wanted` (0 or 1), or `limit`.
inline u32 find(const u64* words, u32 from, u32 limit, u32 wanted)
{
    while (from < limit) {
        u64 word = words[from / 64];
        if (!wanted)
            word = ~word;
        word >>= from % 64;
        if (word) {
            const u32 at = from + static_cast<u32>(__builtin_ctzll(word));
            return at < limit ? at : limit;
        }
        from = (from / 64 + 1) * 64;
    }
    return limit;
}

inline void set(u64* words, u32 first, u32 count)
{
    while (count) {
        const Piece p = piece(first, count);
        words[p.word] |= p.mask;
        first += p.count;
        count -= p.count;
    }
}

// How many bits of a word are set. Without a libc __builtin_popcountll may call a library function.
constexpr u32 population(u64 v)
{
    v = v - ((v >> 1) & 0x5555555555555555ull);
    v = (v & 0x3333333333333333ull) + ((v >> 2) & 0x3333333333333333ull);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return static_cast<u32>((v * 0x0101010101010101ull) >> 56);
}

// Returns how many of the bits were set.
inline u32 clear(u64* words, u32 first, u32 count)
{
    u32 cleared = 0;
    while (count) {
        const Piece p = piece(first, count);
        cleared += population(words[p.word] & p.mask);
        words[p.word] &= ~p.mask;
        first += p.count;
        count -= p.count;
    }
    return cleared;
}

// Bits set in [0, limit).
inline u32 count_set(const u64* words, u32 limit)
{
    u32 total = 0;
    for (u32 first = 0; first < limit;) {
        const Piece p = piece(first, limit - first);
        total += population(words[p.word] & p.mask);
        first += p.count;
    }
    return total;
}

}  // namespace tarn::bits
