// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/workers.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace tarn::test {

namespace {

constexpr usize kMostScenes = 32;

struct Shared {
    usize next;
    u64 violations, combinations;
    u64 schedules[kMostScenes][kMostThreads + 1];
};

bool is_in_plan(const Scene& scene, unsigned threads)
{
    return threads == 2 || (scene.mapped == Scene::Mapped::kNot && !scene.is_huge) ||
           scene.mapped == Scene::Mapped::kDirty;
}

// Write-back of 2 MiB is more than a thousand steps.
unsigned bound(const Plan& plan, const Scene& scene, unsigned threads)
{
    const unsigned most = threads == 2 ? plan.preemptions_of_two : plan.preemptions_of_three;
    return scene.is_huge && most ? most - 1 : most;
}

void add(u64& counter, u64 count) { __atomic_fetch_add(&counter, count, __ATOMIC_RELAXED); }

void work(const std::vector<Task>& all, Shared& shared)
{
    std::unique_ptr<Explorer> explorer;
    const Scene* scene = nullptr;
    for (usize i; (i = __atomic_fetch_add(&shared.next, 1, __ATOMIC_RELAXED)) < all.size();) {
        const Task& task = all[i];
        if (!explorer || scene != task.scene)
            explorer = std::make_unique<Explorer>(*task.scene);
        scene = task.scene;
        const u64 before = explorer->schedules();
        const std::optional<Finding> found = explorer->explore(task.combination, task.preemptions);
        add(shared.schedules[scene - scenes().data()][task.combination.actions.size()],
            explorer->schedules() - before);
        add(shared.combinations, 1);
        if (!found)
            continue;
        add(shared.violations, 1);
        std::printf("VIOLATION in %s: %s\n%s", task.name().c_str(), found->what.c_str(),
                    found->schedule.c_str());
        std::fflush(stdout);
        explorer.release();  // it is not fit for anything any more
    }
}

}  // namespace

std::vector<Task> tasks(const Plan& plan)
{
    std::vector<Task> all;
    for (const Scene& scene : scenes())
        for (unsigned threads = 2; threads <= kMostThreads; threads++) {
            if (!is_in_plan(scene, threads))
                continue;
            for (Combination& combination : combinations(scene, threads)) {
                Task task{&scene, std::move(combination), bound(plan, scene, threads)};
                if (task.name().find(plan.only) != std::string::npos)
                    all.push_back(std::move(task));
            }
        }
    return all;
}

Found explore(const Plan& plan)
{
    const std::vector<Task> all = tasks(plan);
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("no memory");
    auto& shared = *static_cast<Shared*>(memory);
    std::vector<pid_t> children;
    for (unsigned number = 0; number < plan.jobs; number++) {
        std::fflush(nullptr);
        children.push_back(fork());
        if (children.back())
            continue;
        work(all, shared);
        std::fflush(nullptr);
        _exit(0);
    }
    Found found;
    for (pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        if (status == 0)
            continue;
        std::printf("VIOLATION: the core ended the process (status %#x) near task %zu\n", status,
                    shared.next);
        found.violations++;
    }
    for (usize scene = 0; scene < scenes().size(); scene++) {
        const u64 *counts = shared.schedules[scene], both = counts[2] + counts[3];
        if (both)
            std::printf("  %-18s %8llu schedules of two threads, %8llu of three\n", scenes()[scene].name,
                        counts[2], counts[3]);
        found.schedules += both;
    }
    found.violations += shared.violations;
    found.combinations = shared.combinations;
    munmap(memory, sizeof(Shared));
    return found;
}

}  // namespace tarn::test
