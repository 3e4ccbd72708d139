// SPDX-License-Identifier: GPL-2.0
// Shows that the rules of the DAX engine are needed: each is broken in turn (cxxrt/mutant.hpp), and some
// schedule has to show it.
#pragma once
#include "tests/interleave/workers.hpp"

namespace tarn::test {

struct MutantsFound {
    u64 all = 0, caught = 0;
};

// Those whose name contains `part`. Prints by which schedule each is caught.
MutantsFound try_mutants(const Plan& plan, const std::string& part);

}  // namespace tarn::test
