// SPDX-License-Identifier: GPL-2.0
// BlockOwners: which blocks something has been found to own. One bit per block, kept per block group and made
// when the group's first block is owned.
#pragma once
#include "cxxrt/box.hpp"
#include "fs/media/layout.hpp"

namespace tarn {

class BlockOwners {
  public:
    explicit BlockOwners(const Layout& layout) : layout_(layout) {}

    Status init();

    // Marks a run, which lies in the device. `*taken` is its first block that was owned already, or one past
    // the run's end when there is none. Once many runs have overlapped, one that overlaps is not marked any
    // more: that bounds the time. Error: kNoMemory.
    Status own(Run run, DeviceBlock* taken);

    // For repairs. First block of a run that is owned, or is not; the run's end when there is none.
    DeviceBlock find(Run run, u32 owned) const;
    bool is_owned(DeviceBlock block) const { return find(Run{block, 1}, 1) == block; }
    // Marks a run, whatever was there. Error: kNoMemory.
    Status mark(Run run);
    void disown(Run run);

    // The words of one group's bits, or null when nothing in it is owned.
    const u64* group(u64 index) const { return groups_[index] ? groups_[index]->words : nullptr; }

  private:
    struct Bits {
        u64 words[TARNFS_BITMAP_BITS / 64] = {};
    };
    static constexpr u64 kMostOverlaps = 4096;

    Result<Bits*> bits_of(u64 index);

    const Layout& layout_;
    Array<Box<Bits>> groups_;
    u64 overlaps_ = 0;
};

}  // namespace tarn
