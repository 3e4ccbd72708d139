// SPDX-License-Identifier: GPL-2.0
// Explorer: every schedule of some threads with at most so many preemptions.
//
// A schedule is the decisions in it that are not the default: who runs goes on; where he cannot, the next of
// those who can. A preemption takes the processor from one who could go on; who begins, and who goes on where
// somebody waits or ends, is free, and all are tried. Schedules with fewer preemptions come first, so what is
// found first has least of them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tests/interleave/scheduler.hpp"
#include "tests/interleave/world.hpp"

namespace tarn::test {

struct Combination {
    std::vector<const Action*> actions;

    std::string name() const;
};
// All of so many actions that are for the scene, in any order.
std::vector<Combination> combinations(const Scene& scene, unsigned threads);

struct Finding {
    std::string what, schedule;
};

class Explorer {
  public:
    explicit Explorer(const Scene& scene) : stage_(scene) {}

    // Tries all; stops at the first violation.
    std::optional<Finding> explore(const Combination& combination, unsigned preemptions);
    u64 schedules() const { return schedules_; }

  private:
    static constexpr u64 kMostSteps = 200000;  // behind which somebody goes round for ever
    struct Choice {
        u32 decision, who;
    };
    struct Schedule {
        std::vector<Choice> choices;
        unsigned preemptions = 0;
    };
    struct Trace;
    std::optional<Finding> run(const Combination& combination, const Schedule& schedule, Trace& trace);

    Stage stage_;
    Scheduler scheduler_{kMostSteps};
    u64 schedules_ = 0;
};

}  // namespace tarn::test
