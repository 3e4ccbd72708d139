// SPDX-License-Identifier: GPL-2.0
// FakeMapper: one shared mapping of one file in the place of page tables, for KUnit. One at a time.
#pragma once
#include "cxxrt/types.hpp"
#include "fs/dax/mapper.h"

namespace tarn::kunit {

class FakeMapper {
  public:
    static constexpr u64 kBlocks = 1024;
    struct Pte {
        u64 pfn = 0;
        bool present = false;
        bool writable = false;
        bool zero = false;
    };

    FakeMapper() { current = this; }
    ~FakeMapper() { current = nullptr; }

    Pte& pte(u64 block) { return ptes_[block]; }
    // A reference beside our own to one page.
    u64 pinned = ~u64{0};
    bool marked_dirty = false;

    static inline constinit FakeMapper* current = nullptr;

  private:
    Pte ptes_[kBlocks] = {};
};

}  // namespace tarn::kunit

// The one mapping is all there is to a fault.
struct tarn_fault {};
