// SPDX-License-Identifier: GPL-2.0
// Mutants: each planted bug (cxxrt/mutant.hpp), and each persist call of the core left out, one at a time,
// has to be found.
#pragma once
#include "tests/crash/workloads.hpp"

namespace tarn::crash {

struct MutantsFound {
    u64 caught = 0;
    u64 all = 0;
};

// Those whose name contains `part`. Prints a line for each.
MutantsFound try_mutants(const Base& base, unsigned jobs, const std::string& part);

}  // namespace tarn::crash
