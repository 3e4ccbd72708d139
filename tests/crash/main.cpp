// SPDX-License-Identifier: GPL-2.0
// tarn_crash: explores crash states of the unmodified core, then shows that planted bugs are found. See
// --help.
#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/crash/mutants.hpp"
#include "tests/crash/workers.hpp"

using namespace tarn;
using namespace tarn::crash;

namespace {

constexpr const char* kHelp =
    "tarn_crash [--states N] [--seconds N] [--jobs N] [--seed N] [--thorough N] [--no-mutants] [--mutants "
    "PART]\n"
    "           [--only PART]\n"
    "Cuts the power at every fence of many workloads, in every way, and looks at what is left.\n"
    "  --states N     random sequences until so many different states were met (1000000)\n"
    "  --seconds N    ... or so much time has passed (240)\n"
    "  --jobs N       processes (2)\n"
    "  --seed N       of the random sequences (1)\n"
    "  --thorough N   so many times as many pairs of operations on two processors (1); above 1 also more "
    "states\n"
    "                 at each fence, and of the recovery\n"
    "  --only PART    only workloads whose name contains it, and no mutants\n"
    "  --mutants PART only mutants whose name contains it; --no-mutants: none\n";

struct Arguments {
    Plan plan;
    bool with_mutants = true;
    bool with_states = true;
    std::string mutants;
};

Arguments parse(int count, char** words)
{
    Arguments arguments;
    for (int i = 1; i < count; i++) {
        const std::string word = words[i];
        auto value = [&]() -> std::string {
            if (i + 1 == count) {
                std::fprintf(stderr, "%s wants a value\n%s", word.c_str(), kHelp);
                std::exit(2);
            }
            return words[++i];
        };
        if (word == "--states")
            arguments.plan.states = std::stoull(value());
        else if (word == "--seconds")
            arguments.plan.seconds = std::stoull(value());
        else if (word == "--jobs")
            arguments.plan.jobs = static_cast<unsigned>(std::stoul(value()));
        else if (word == "--seed")
            arguments.plan.seed = std::stoull(value());
        else if (word == "--thorough")
            arguments.plan.thorough = std::stoull(value());
        else if (word == "--only")
            arguments.plan.only = value(), arguments.with_mutants = false;
        else if (word == "--mutants")
            arguments.mutants = value(), arguments.with_states = false;
        else if (word == "--no-mutants")
            arguments.with_mutants = false;
        else {
            std::fprintf(word == "--help" ? stdout : stderr, "%s", kHelp);
            std::exit(word == "--help" ? 0 : 2);
        }
    }
    return arguments;
}

}  // namespace

int main(int count, char** words)
{
    // Recovery allocates and frees the same large pieces all the time: keep them.
    mallopt(M_MMAP_THRESHOLD, 1 << 26);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const Arguments arguments = parse(count, words);
    const Base base(Base::Contents::kSmall);
    Found found;
    if (arguments.with_states)
        found = explore(base, arguments.plan);
    MutantsFound mutants;
    if (arguments.with_mutants)
        mutants = try_mutants(base, arguments.plan.jobs, arguments.mutants);
    std::printf("seed %llu\n", arguments.plan.seed);
    std::printf("crash states: %llu, violations: %llu, mutants caught: %llu of %llu\n", found.states,
                found.violations, mutants.caught, mutants.all);
    const u64 failed = found.violations + mutants.all - mutants.caught;
    std::printf("%llu passed, %llu failed\n",
                found.workloads - std::min(found.violations, found.workloads) + mutants.caught, failed);
    return failed ? 1 : 0;
}
