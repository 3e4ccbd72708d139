// SPDX-License-Identifier: GPL-2.0
// TrackedBlock: what the tracker's radix trees hold for one block, or for 512, packed into an odd 64-bit
// word.
//
//   bit 0      set (an absent word is zero)
//   bit 1      LOCKED
//   bit 2      MAPPED   a PTE may exist: installed and not zapped since
//   bit 3      PAGE     bits 8.. are a page frame number
//   bits 8-63  page frame number, of the first block
#pragma once
#include "cxxrt/types.hpp"

namespace tarn {

class TrackedBlock {
  public:
    constexpr TrackedBlock() = default;
    constexpr explicit TrackedBlock(u64 word) : word_(word) {}

    constexpr u64 word() const { return word_; }
    constexpr bool exists() const { return word_ != 0; }
    constexpr bool is_locked() const { return word_ & kLocked; }
    constexpr bool is_mapped() const { return word_ & kMapped; }
    constexpr bool has_page() const { return word_ & kPage; }
    constexpr Pfn pfn() const { return Pfn(word_ >> kPfnShift); }

    constexpr TrackedBlock locked() const { return TrackedBlock(word_ | kPresent | kLocked); }
    constexpr TrackedBlock unlocked() const { return TrackedBlock(word_ & ~kLocked); }
    constexpr TrackedBlock mapped() const { return TrackedBlock(word_ | kMapped); }
    constexpr TrackedBlock unmapped() const { return TrackedBlock(word_ & ~kMapped); }
    constexpr TrackedBlock with_page(Pfn pfn) const
    {
        return TrackedBlock((word_ & kFlags) | kPage | pfn.value << kPfnShift);
    }
    constexpr TrackedBlock without_page() const { return TrackedBlock(word_ & kFlags & ~(kPage | kMapped)); }

  private:
    static constexpr u64 kPresent = 1;
    static constexpr u64 kLocked = 2;
    static constexpr u64 kMapped = 4;
    static constexpr u64 kPage = 8;
    static constexpr u64 kFlags = 0xff;
    static constexpr unsigned kPfnShift = 8;

    u64 word_ = 0;
};

}  // namespace tarn
