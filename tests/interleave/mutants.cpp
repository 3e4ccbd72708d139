// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/mutants.hpp"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>

#include "cxxrt/mutant.hpp"
#include "tests/interleave/child.hpp"

namespace tarn {

Mutant planted_mutant = Mutant::kNone;

}  // namespace tarn

namespace tarn::test {

namespace {

constexpr time_t kMostSeconds = 60;  // of processor time

// A rule of DESIGN's section 5 that is broken.
struct Known {
    Mutant mutant;
    const char* of;
    const char* bug;
    const char* scene = "";  // where it is looked for
};
using enum Mutant;
constexpr Known kKnown[] = {
    {kWriteBackBeforeZap, "fsync", "lines are written back before the page is write-protected"},
    {kInstallUnlocked, "faults", "the entry is not locked while the page becomes writable"},
    {kTagAfterInstall, "faults", "DIRTY comes behind the PTE"},
    {kWriteBackStays, "faults", "install_writable leaves WRITEBACK"},
    {kCleanBeforeFence, "fsync", "DIRTY goes before the fence"},
    {kSyncsTogether, "fsync", "two of one file at a time"},
    {kSyncTakesLater, "fsync", "visits what becomes dirty after it began"},
    {kSmallTaggedFirst, "2 MiB", "fsync tags the small entries first", "2 MiB, dirty"},
    {kPinnedIsClean, "pins", "fsync makes a pinned page clean"},
    {kPinsSeenLate, "pins", "fsync looks for them behind the write-back of the lines"},
    {kTrimIgnoresPins, "pins", "an entry goes while its page is pinned"},
    {kTrimKeepsMappings, "entries", "one goes while its page is mapped"},
    {kCleanedGoesMapped, "entries", "a cleaned one goes though a load has mapped it again"},
    {kReclaimTakesDirty, "entries", "a dirty one goes because memory is wanted"},
    {kReclaimIgnoresPins, "pins", "an entry goes because memory is wanted, pinned since it was looked at"},
    {kReclaimKeepsMappings, "entries", "one goes because memory is wanted, while its page is mapped"},
    {kPageNotAttached, "pages", "are not told their place in the file"},
    {kPageStaysAttached, "pages", "are not told that they have none any more"},
    {kShrinkIgnoresPins, "pins", "truncation frees a pinned block"},
    {kPunchIgnoresPins, "pins", "punching frees a pinned block"},
    {kPunchKeepsMappings, "punching", "frees a mapped block"},
    {kShiftTakesRangeOnly, "collapsing", "leaves the entries of what moves at their old places"},
    {kCutUnlocked, "invalidate_lock", "truncation and punching do not hold it"},
    {kHugeNotSplit, "2 MiB", "an entry stays whole where blocks of it go", "2 MiB, dirty"},
    {kHugeBesideSmall, "2 MiB", "an entry is made where there are small ones", "2 MiB"},
    {kSmallBesideHuge, "2 MiB", "small entries are made where there is one", "2 MiB"},
    {kSplitForgetsDirty, "2 MiB", "the parts of a split entry are clean"},
    {kSplitForgetsToWrite, "2 MiB", "the fsync under way does not visit the parts of a split entry",
     "2 MiB, dirty"},
    {kFaultKeepsZeroPages, "zero pages", "a store leaves those of others"},
    {kHugeKeepsZeroPages, "zero pages", "a store into 2 MiB leaves those of others"},
    {kWriteKeepsZeroPages, "zero pages", "write(2) leaves them"},
    {kFaultBelievesLook, "faults", "do not look again under Inode::lock"},
    {kWriteBelievesLook, "write(2)", "does not look again under Inode::lock"},
    {kFaultBehindEnd, "faults", "do not look at the size"},
    {kWidenTakesLocked, "neighbours", "are mapped whoever has them locked"},
    {kUnlockForgetsWaiters, "entry locks", "unlocking wakes nobody"},
    {kLentHasNoEntry, "pins", "nobody knows of a page lent for a private copy"},
};
static_assert(std::size(kKnown) ==
              static_cast<usize>(Mutant::kCount) - static_cast<usize>(Mutant::kFirstOfMappings));

// In a process of its own: with few preemptions first, so that what is cheap to find is found soon.
void hunt(Plan plan, const Known& known, FILE* output)
{
    const itimerval most{{}, {kMostSeconds, 0}};
    setitimer(ITIMER_PROF, &most, nullptr);
    planted_mutant = known.mutant;
    plan.only = known.scene;
    for (unsigned preemptions = 0; preemptions <= plan.preemptions_of_two; preemptions++) {
        std::unique_ptr<Explorer> explorer;
        const Scene* scene = nullptr;
        for (const Task& task : tasks(plan)) {
            if (!explorer || scene != task.scene)
                explorer = std::make_unique<Explorer>(*task.scene);
            scene = task.scene;
            const bool is_pair = task.combination.actions.size() == 2;
            const auto found = explorer->explore(task.combination, is_pair ? preemptions : 0);
            if (!found)
                continue;
            std::fprintf(output, "%s, %u preemptions: %s\n", task.name().c_str(), preemptions,
                         found->what.c_str());
            std::fflush(output);
            _exit(0);
        }
    }
}

// True when it is caught.
bool try_mutant(const Plan& plan, const Known& known)
{
    int status = 0;
    std::string by = in_child(&status, [&](FILE* output) { hunt(plan, known, output); });
    const bool too_slow = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
    if (WIFSIGNALED(status) && !too_slow)
        by = "a check inside the core\n";
    if (by.empty()) {
        std::printf("  NOT CAUGHT  %s: %s%s\n", known.of, known.bug, too_slow ? " (no time left)" : "");
        return false;
    }
    std::printf("  caught  %s: %s\n          by %s", known.of, known.bug, by.c_str());
    return true;
}

}  // namespace

MutantsFound try_mutants(const Plan& plan, const std::string& part)
{
    MutantsFound found;
    for (const Known& known : kKnown) {
        if ((std::string(known.of) + ": " + known.bug).find(part) == std::string::npos)
            continue;
        found.all++;
        found.caught += try_mutant(plan, known);
    }
    return found;
}

}  // namespace tarn::test
