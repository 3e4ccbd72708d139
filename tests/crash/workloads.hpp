// SPDX-License-Identifier: GPL-2.0
// Which workloads there are, in the order in which they are run.
#pragma once
#include "tests/crash/explorer.hpp"

namespace tarn::crash {

// Every operation alone, on an empty journal and on full ones; pairs of operations on two processors; every
// sequence of two. `thorough`: 1 for CI, more for more of what is picked at random.
std::vector<Workload> fixed_workloads(const Base& base, u64 thorough);
// Number `index` of the endless series of random sequences of 50 operations.
Workload random_workload(const Base& base, u64 seed, u64 index);
// A small set that reaches everything a mutant may have spoilt, the quickest first.
std::vector<Workload> short_workloads(const Base& base);

}  // namespace tarn::crash
