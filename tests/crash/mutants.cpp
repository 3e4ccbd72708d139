// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/mutants.hpp"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <stdexcept>

#include "cxxrt/mutant.hpp"
#include "tests/crash/sites.hpp"
#include "tests/crash/workers.hpp"
#include "tests/interleave/child.hpp"

namespace tarn {

Mutant planted_mutant = Mutant::kNone;

}  // namespace tarn

namespace tarn::crash {

namespace {

constexpr time_t kMostSeconds = 300;  // of processor time

// Without these persist calls the core is as good: leaving them out plants no bug.
struct Harmless {
    const char* function;
    const char* line;
    const char* why;
};
constexpr Harmless kHarmless[] = {
    {"Namespace::write_target", "});",
     "the zeroes behind a symlink's target are nobody's; the same statement (fill_run) is missed in "
     "write(2)"},
    {"Xattrs::write_value", "});", "nor are the zeroes behind a value's end"},
    {"File::shrink", "zero_behind",
     "who maps the block may see these zeroes, but nobody relies on them after a power cut: growth zeroes "
     "again"},
    {"mend_superblocks", "media.copy",
     "each of the two is good to mount by, and the next mount for writing mends them; host test MountLabel "
     "misses it"},
    {"mend_superblocks", "media.fence", "until then each of the two is good to mount by"},
};

// A bug of DESIGN's list of what such file systems have had, or of a rule of the journal.
struct Known {
    Mutant mutant;
    const char* of;
    const char* bug;
};
using enum Mutant;
constexpr Known kKnown[] = {
    {kRenameLosesSource, "non-atomic rename", "the old name goes first"},
    {kRenameShowsBoth, "non-atomic rename", "the old name goes last"},
    {kRenameForgetsParent, "non-atomic rename", "'..' does not change"},
    {kLinkCountFirst, "link count ahead of the entry", "the count grows in a transaction before"},
    {kHalfMadeInode, "half-initialised inode", "the entry is there before the inode's bit"},
    {kUnlinkLeaksInode, "orphans", "the last unlink makes none"},
    {kNumberReused, "inode number reused while an orphan", "it is free from unlink on"},
    {kNamelessLeaks, "orphans", "a file made without a name is none"},
    {kFlagsBeforeProject, "flags", "ahead of the project"},
    {kVersionStays, "versions", "contents change under one that has been told"},
    {kAttributesNotLogged, "media attributes differing from the cache", "chmod and chown change memory only"},
    {kTimesNotLogged, "media attributes differing from the cache", "fsync keeps times in memory"},
    {kTimesInPlace, "logged bytes change only by log", "fsync stores times in place"},
    {kXattrNotWrittenBack, "missing fence between data and record", "values of extended attributes"},
    {kXattrKeepsOldValue, "extended attributes", "a value that is replaced keeps its blocks"},
    {kXattrsLeak, "extended attributes", "freeing an inode leaves them behind"},
    {kAclBeforeMode, "extended attributes", "an ACL ahead of its mode"},
    {kCreateBeforeXattrs, "extended attributes", "a new inode ahead of what it is made with"},
    {kSizeFromStaleEnd, "several descriptors growing one file", "a write sets the size to where it ended"},
    {kShrinkZeroesFirst, "truncate", "the rest of the block is zeroed before the size is committed"},
    {kShrinkForgetsDirty, "truncate", "dirty pages are forgotten while the file still has them"},
    {kPunchForgetsDirty, "punch", "dirty pages are forgotten while the file still has them"},
    {kShrinkLeaksBlocks, "truncate", "in steps, without an orphan"},
    {kGrowKeepsTail, "zeroing skipped", "truncate to a larger size, from the old end on"},
    {kWriteKeepsTail, "zeroing skipped", "a write behind the end, from the old end on"},
    {kAllocateKeepsTail, "zeroing skipped", "fallocate, from the old end on"},
    {kPunchKeepsHead, "zeroing skipped", "punching, in the first block"},
    {kPunchKeepsTail, "zeroing skipped", "punching, in the last block"},
    {kFaultSkipsZero, "zeroing skipped", "a fault on a hole"},
    {kUnwrittenSkipsZero, "zeroing skipped", "a fault on an unwritten block"},
    {kFillSkipsHead, "zeroing skipped", "a write, before its first byte"},
    {kFillSkipsTail, "zeroing skipped", "a write, behind its last byte"},
    {kStoreNotWrittenBack, "fsync", "mapped stores are not written back"},
    {kNoFenceBeforeRecord, "missing fence between data and record", "fresh blocks"},
    {kConversionNotFenced, "missing fence between data and record", "unwritten blocks"},
    {kUnflushedTail, "unflushed tail of an unaligned streaming copy", "in the memory, not the core"},
    {kDoubleFree, "double free", "what is freed stays mapped"},
    {kFreedBeforeRecord, "space", "data blocks are reused before the record that frees them"},
    {kMetadataFreedAtOnce, "revoke", "tree nodes are reused before the floor has passed"},
    {kNoFenceOfRecord, "commit", "a record takes effect before its fence"},
    {kUnlockedCommit, "commit", "an inode is unlocked before the record is durable"},
    {kBitsAsWords, "set and clear runs", "a record says what the word becomes"},
    {kNoFloor, "retirement", "a ring's space is reused without a floor above it"},
    {kRetireOwnJournal, "retirement", "the records of idle journals are left out"},
    {kTornRecord, "recovery", "checksums are not looked at"},
    {kRecoverOwnJournal, "recovery depends on the CPU count", "it reads one journal"},
    {kRecoverUnordered, "recovery", "not in the order of sequence"},
    {kReplayBelowFloor, "recovery", "what another journal's floor says is over is replayed"},
};
static_assert(std::size(kKnown) + 1 == static_cast<usize>(Mutant::kFirstOfMappings));

// Why it may be left out; null: it may not.
const char* harmless_because(const std::string& site)
{
    for (const Harmless& harmless : kHarmless)
        if (site.find(harmless.function) != std::string::npos &&
            site.find(harmless.line) != std::string::npos)
            return harmless.why;
    return nullptr;
}

struct Planted {
    std::string name;
    Mutant mutant = Mutant::kNone;
    std::string site;  // of the persist calls to leave out
};

std::vector<Planted> all_mutants(const Base& base, Sites& sites)
{
    std::vector<Planted> all;
    for (const Known& known : kKnown)
        all.push_back({std::string(known.of) + ": " + known.bug, known.mutant, {}});
    Limits quick;
    quick.states = 1;
    quick.recovery_every = 4;
    quick.recovery_states = 1;
    Explorer explorer(base, quick);
    explorer.drop([&](const host::Event& event) {
        sites.note(event);
        return false;
    });
    for (const Workload& workload : short_workloads(base))
        explorer.run(workload);
    sites.resolve();
    for (const std::string& site : sites.all())
        if (const char* why = harmless_because(site))
            std::printf("  no bug  left out: %s\n          %s\n", site.c_str(), why);
        else
            all.push_back({"left out: " + site, Mutant::kNone, site});
    return all;
}

// In a process of its own: looks for a violation and describes the first.
void hunt(const Base& base, const Sites& sites, const Planted& planted, FILE* output)
{
    const itimerval most{{}, {kMostSeconds, 0}};
    setitimer(ITIMER_PROF, &most, nullptr);
    planted_mutant = planted.mutant;
    Limits limits;
    limits.violations = 1;
    limits.recovery_every = 20;
    limits.states = 100;
    Explorer explorer(base, limits);
    if (!planted.site.empty())
        explorer.drop([&](const host::Event& event) { return sites.of(event) == planted.site; });
    for (const Workload& workload : short_workloads(base)) {
        explorer.run(workload);
        if (!explorer.is_done())
            continue;
        const Violation& found = explorer.violations()[0];
        std::fprintf(output, "%s, %s: %s\n", found.workload.c_str(), found.where.c_str(),
                     found.what.substr(0, found.what.find('\n')).c_str());
        return;
    }
}

// True when it is caught.
bool try_mutant(const Base& base, const Sites& sites, const Planted& planted)
{
    int status = 0;
    std::string by = test::in_child(&status, [&](FILE* output) { hunt(base, sites, planted, output); });
    const bool too_slow = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
    if (WIFSIGNALED(status) && !too_slow)
        by = "a check inside the core\n";
    if (by.empty()) {
        std::printf("  NOT CAUGHT  %s%s\n", planted.name.c_str(), too_slow ? " (no time left)" : "");
        return false;
    }
    std::printf("  caught  %s\n          by %s", planted.name.c_str(), by.c_str());
    return true;
}

}  // namespace

MutantsFound try_mutants(const Base& base, unsigned jobs, const std::string& part)
{
    struct Shared {
        usize next;
        MutantsFound found;
    };
    Sites sites;
    const std::vector<Planted> all = all_mutants(base, sites);
    const std::vector<std::string> missing = sites.missing();
    for (const std::string& place : missing)
        std::printf("  NOT CAUGHT  never called, so never left out: %s\n", place.c_str());
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("no memory");
    auto& shared = *static_cast<Shared*>(memory);
    std::vector<pid_t> children;
    for (unsigned number = 0; number < jobs; number++) {
        std::fflush(nullptr);
        children.push_back(fork());
        if (children.back())
            continue;
        for (usize i; (i = __atomic_fetch_add(&shared.next, 1, __ATOMIC_RELAXED)) < all.size();) {
            if (all[i].name.find(part) == std::string::npos)
                continue;
            __atomic_fetch_add(&shared.found.all, 1, __ATOMIC_RELAXED);
            if (try_mutant(base, sites, all[i]))
                __atomic_fetch_add(&shared.found.caught, 1, __ATOMIC_RELAXED);
        }
        std::fflush(nullptr);
        _exit(0);
    }
    for (pid_t child : children)
        waitpid(child, nullptr, 0);
    MutantsFound found = shared.found;
    found.all += missing.size();
    munmap(memory, sizeof(Shared));
    return found;
}

}  // namespace tarn::crash
