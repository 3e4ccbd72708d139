// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/schedule.hpp"

#include <bit>
#include <cstdio>
#include <cstdlib>

#include "tests/interleave/scheduler.hpp"

namespace tarn::crash {

namespace {

constexpr const char* kCall = "call";

// Counts the calls of the two; after some of them the other one goes on.
class TwoProcessors {
  public:
    explicit TwoProcessors(const Schedule& schedule) : schedule_(schedule) {}

    void count_call(unsigned me)
    {
        calls_[me]++;
        const bool first_ends = stage_ == 0 && me == 0 && calls_[0] >= schedule_.first_calls;
        const bool second_ends = stage_ == 1 && me == 1 && calls_[1] >= schedule_.second_calls;
        stage_ += first_ends || second_ends;
        next_ = first_ends || second_ends ? 1 - me : me;
        test::Scheduler::step(kCall);
    }
    unsigned choose(const test::Decision& decision) const
    {
        if (decision.running == test::Decision::kNobody)
            return static_cast<unsigned>(std::countr_zero(decision.ready));
        return decision.step == kCall ? next_ : decision.running;
    }

  private:
    const Schedule schedule_;
    int stage_ = 0;
    unsigned next_ = 0;
    u64 calls_[2] = {};
};

TwoProcessors* processors = nullptr;

}  // namespace

void interleave(const Schedule& schedule, const std::function<void()>& first,
                const std::function<void()>& second)
{
    static test::Scheduler scheduler;
    TwoProcessors here(schedule);
    processors = &here;
    const auto outcome =
        scheduler.run({first, second}, [&](const test::Decision& decision) { return here.choose(decision); });
    processors = nullptr;
    if (outcome == test::Scheduler::Outcome::kDeadlock) {
        std::fprintf(stderr, "deadlock between two processors\n");
        std::abort();
    }
}

void count_call()
{
    if (processors && test::Scheduler::current() != test::Decision::kNobody)
        processors->count_call(test::Scheduler::current());
}

void wait_until(const std::function<bool()>& condition) { test::Scheduler::wait_until(condition); }

}  // namespace tarn::crash
