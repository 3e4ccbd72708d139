// SPDX-License-Identifier: GPL-2.0
// Trackers: what the trackers of one mount have in common: what is counted of them, and of faults.
//
// Counting costs an addition to memory that other processors seldom touch: each adds to the cells of one of
// kShards, chosen by its number. Only the sum over them means something; what is added on one may be taken
// away on another. Locks: none.
#pragma once
#include "cxxrt/atomic.hpp"
#include "cxxrt/runtime.h"
#include "fs/dax/counts.h"

namespace tarn {

class Trackers {
  public:
    Trackers() = default;
    Trackers(const Trackers&) = delete;
    Trackers& operator=(const Trackers&) = delete;

    void count(tarn_count what, u64 n = 1) { cell(what).fetch_add(n); }
    void uncount(tarn_count what, u64 n = 1) { cell(what).fetch_sub(n); }
    // Of what has been counted before the call began, at least.
    u64 counted(tarn_count what) const
    {
        u64 sum = 0;
        for (const Shard& shard : shards_)
            sum += shard.cells[what].load_relaxed();
        return sum;
    }

  private:
    static constexpr unsigned kShards = 16;
    // Two lines of a cache and more, so that two processors share one at most.
    struct Shard {
        Atomic<u64> cells[TARN_COUNTS];
    };
    static_assert(sizeof(Shard) >= 128);

    Atomic<u64>& cell(tarn_count what) { return shards_[tarn_cpu_current() % kShards].cells[what]; }

    Shard shards_[kShards];
};

}  // namespace tarn
