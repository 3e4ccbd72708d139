// SPDX-License-Identifier: GPL-2.0
// tarn_interleave: runs the unmodified DAX engine in every schedule, up to a bound, of two and three threads
// on one file, then shows that planted bugs are found. See --help.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>

#include "tests/interleave/mutants.hpp"
#include "tests/interleave/workers.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr const char* kHelp =
    "tarn_interleave [--two N] [--three N] [--jobs N] [--only PART] [--mutants PART] [--no-mutants]\n"
    "Runs every schedule of two and of three threads that fault, write, truncate, punch, zero, collapse, "
    "insert, sync, pin, fork, unmap and want memory.\n"
    "  --two N        with so many preemptions of two threads at most (2)\n"
    "  --three N      ... of three (1)\n"
    "  --jobs N       processes (1)\n"
    "  --only PART    only combinations whose name contains it, and no mutants\n"
    "  --mutants PART only mutants whose name contains it; --no-mutants: none\n";

struct Arguments {
    Plan plan;
    bool with_mutants = true;
    bool with_schedules = true;
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
        auto number = [&] { return static_cast<unsigned>(std::stoul(value())); };
        if (word == "--two")
            arguments.plan.preemptions_of_two = number();
        else if (word == "--three")
            arguments.plan.preemptions_of_three = number();
        else if (word == "--jobs")
            arguments.plan.jobs = number();
        else if (word == "--only")
            arguments.plan.only = value(), arguments.with_mutants = false;
        else if (word == "--mutants")
            arguments.mutants = value(), arguments.with_schedules = false;
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
    // Mounting allocates and frees the same large pieces all the time: keep them.
    mallopt(M_MMAP_THRESHOLD, 1 << 26);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    // Each world is abandoned, which is said.
    host::set_log_sink([](void*, tarn_log_level, const char*) {}, nullptr);
    const Arguments arguments = parse(count, words);
    Found found;
    if (arguments.with_schedules)
        found = explore(arguments.plan);
    MutantsFound mutants;
    if (arguments.with_mutants)
        mutants = try_mutants(arguments.plan, arguments.mutants);
    std::printf("schedules: %llu, violations: %llu, mutants caught: %llu of %llu\n", found.schedules,
                found.violations, mutants.caught, mutants.all);
    const u64 failed = found.violations + mutants.all - mutants.caught;
    std::printf("%llu passed, %llu failed\n", found.combinations - found.violations + mutants.caught, failed);
    return failed ? 1 : 0;
}
