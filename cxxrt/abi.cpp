// SPDX-License-Identifier: GPL-2.0
// What the compiler may call by itself and the kernel does not offer. The host build leaves this file out: libgcc and
// libc have these there.
//
// Left out on purpose, so that the link or scripts/module-check fails when code comes to need them: operator new and
// delete (use Box), __cxa_atexit and guards (use constinit), exception and RTTI support, 128-bit division.
#include "cxxrt/types.hpp"

extern "C" {

// A pure virtual function was called. The reference to this is weak: without a definition the call would go to
// address zero with no word from the linker.
[[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }

// libstdc++'s assertions (std::span, std::optional ...) end here. ud2: an oops with a stack trace through the caller.
[[noreturn]] void abort() { __builtin_trap(); }

// std::popcount, because the kernel is compiled for processors without the instruction. The usual sum in parallel.
int __popcountdi2(tarn::s64 value)
{
    constexpr tarn::u64 kPairs = 0x5555555555555555, kNibbles = 0x3333333333333333, kBytes = 0x0f0f0f0f0f0f0f0f;
    auto bits = static_cast<tarn::u64>(value);
    bits -= (bits >> 1) & kPairs;
    bits = (bits & kNibbles) + ((bits >> 2) & kNibbles);
    bits = (bits + (bits >> 4)) & kBytes;
    return static_cast<int>((bits * 0x0101010101010101) >> 56);
}

}  // extern "C"
