// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/explorer.hpp"

#include <bit>
#include <deque>

namespace tarn::test {

std::string Combination::name() const
{
    std::string name;
    for (const Action* action : actions)
        name += (name.empty() ? "" : " | ") + std::string(action->name);
    return name;
}

namespace {

void combine(const std::vector<const Action*>& from, usize first, unsigned left, Combination& so_far,
             std::vector<Combination>& all)
{
    if (!left)
        return all.push_back(so_far);
    for (usize i = first; i < from.size(); i++) {
        so_far.actions.push_back(from[i]);
        combine(from, i, left - 1, so_far, all);
        so_far.actions.pop_back();
    }
}

}  // namespace

std::vector<Combination> combinations(const Scene& scene, unsigned threads)
{
    std::vector<const Action*> suitable;
    for (const Action& action : actions())
        if ((scene.is_huge ? action.is_for_huge : action.is_for_small) &&
            (threads < 3 || action.is_for_three))
            suitable.push_back(&action);
    std::vector<Combination> all;
    Combination none;
    combine(suitable, 0, threads, none, all);
    return all;
}

// What came of a run: the decisions behind the last choice of the schedule.
struct Explorer::Trace {
    struct Open {
        u32 decision, others;  // who might have gone on instead
        bool is_preemption;
    };
    std::vector<Open> open;
    std::string story;
};

std::optional<Finding> Explorer::run(const Combination& combination, const Schedule& schedule, Trace& trace)
{
    schedules_++;
    stage_.durable->reset(stage_.base);
    // Where something is wrong it is left as it is: somebody may hold locks.
    auto* world = new World(stage_, static_cast<unsigned>(combination.actions.size()));
    usize next = 0;
    u32 decisions = 0;
    auto choose = [&](const Decision& decision) {
        const u32 here = decisions++;
        const bool may_go_on = decision.running != Decision::kNobody;
        unsigned who = may_go_on ? decision.running : static_cast<unsigned>(std::countr_zero(decision.ready));
        if (next < schedule.choices.size() && schedule.choices[next].decision == here) {
            who = schedule.choices[next++].who;
            if (decision.last != Decision::kNobody)
                trace.story += "  " + std::string(combination.actions[decision.last]->name) + " (" +
                               std::to_string(decision.last) + ") at '" + decision.step + "', decision " +
                               std::to_string(here) + ": then " + combination.actions[who]->name + " (" +
                               std::to_string(who) + ")\n";
            return who;
        }
        if (next == schedule.choices.size())
            trace.open.push_back({here, decision.ready & ~(1u << who), may_go_on});
        return who;
    };
    std::vector<std::function<void()>> bodies;
    for (unsigned who = 0; who < combination.actions.size(); who++)
        bodies.push_back([&, who] { combination.actions[who]->run(*world, who); });
    auto check = [&] { world->check(); };
    std::string what;
    try {
        if (scheduler_.run(bodies, choose) == Scheduler::Outcome::kDeadlock)
            what = "deadlock";
        else if (scheduler_.run({check}, {}) == Scheduler::Outcome::kDeadlock)
            what = "something is locked for ever";
    } catch (const std::exception& error) {
        what = error.what();
    }
    if (!what.empty()) {
        new MmPause;  // others may have an address space of their own now
        return Finding{what, trace.story + world->text()};
    }
    delete world;
    return std::nullopt;
}

std::optional<Finding> Explorer::explore(const Combination& combination, unsigned preemptions)
{
    std::deque<Schedule> waiting[8];
    waiting[0].push_back({});
    for (unsigned used = 0; used <= preemptions; used++)
        while (!waiting[used].empty()) {
            const Schedule schedule = std::move(waiting[used].front());
            waiting[used].pop_front();
            Trace trace;
            if (auto found = run(combination, schedule, trace))
                return found;
            for (const Trace::Open& open : trace.open) {
                const unsigned cost = used + open.is_preemption;
                for (u32 others = open.others; cost <= preemptions && others; others &= others - 1) {
                    Schedule more = schedule;
                    more.choices.push_back({open.decision, static_cast<u32>(std::countr_zero(others))});
                    waiting[cost].push_back(std::move(more));
                }
            }
        }
    return std::nullopt;
}

}  // namespace tarn::test
