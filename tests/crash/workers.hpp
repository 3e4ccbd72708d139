// SPDX-License-Identifier: GPL-2.0
// Exploring with several processes: each takes its share of the workloads, the states are counted together.
#pragma once
#include "tests/crash/workloads.hpp"

namespace tarn::crash {

struct Plan {
    u64 states = 1000000;
    u64 seconds = 240;
    unsigned jobs = 2;
    u64 seed = 1;
    u64 thorough = 1;
    std::string only;
};

struct Found {
    u64 states = 0;  // different ones
    u64 violations = 0;
    u64 workloads = 0;
};

// Prints what it finds.
Found explore(const Base& base, const Plan& plan);

}  // namespace tarn::crash
