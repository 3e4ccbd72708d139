// SPDX-License-Identifier: GPL-2.0
// SipHash-2-4 (Aumasson, Bernstein 2012), and the hash of a file name made from it.
#pragma once
#include "cxxrt/span.hpp"

namespace tarn {

// 64-bit SipHash-2-4 of `data` under the 128-bit key (key0: its first eight bytes, little-endian).
u64 siphash24(u64 key0, u64 key1, Bytes data);

// Where entries of this name begin in a directory: bits 16..62 hash, never 0; bits 0..15 zero.
u64 name_key(const u64 seed[2], Bytes name);

}  // namespace tarn
