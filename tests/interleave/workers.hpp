// SPDX-License-Identifier: GPL-2.0
// Exploring with several processes: each takes the next combination of threads until none is left.
#pragma once
#include "tests/interleave/explorer.hpp"

namespace tarn::test {

struct Plan {
    unsigned preemptions_of_two = 2, preemptions_of_three = 1;
    unsigned jobs = 1;
    std::string only;  // part of a name: "SCENE: ACTION | ACTION"
};

struct Task {
    const Scene* scene;
    Combination combination;
    unsigned preemptions;

    std::string name() const { return std::string(scene->name) + ": " + combination.name(); }
};
std::vector<Task> tasks(const Plan& plan);

struct Found {
    u64 schedules = 0, violations = 0, combinations = 0;
};
// Prints what it finds, and how many schedules of how many threads each scene has.
Found explore(const Plan& plan);

}  // namespace tarn::test
