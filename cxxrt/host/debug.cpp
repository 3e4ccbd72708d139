// SPDX-License-Identifier: GPL-2.0
// Host backend: lock order and sleeping checks of debug builds.
#include "cxxrt/host/debug.hpp"

#include <cstdio>

#include "cxxrt/host/host.hpp"

#ifdef TARN_DEBUG

namespace tarn::host {

namespace {

struct Held {
    const void* lock;
    unsigned rank;
    unsigned nesting;
    bool spins;
};

// More locks than ranks: one operation holds all journals' locks.
constexpr unsigned kMostLocks = 128;
// The highest number `nesting` goes to: whoever holds more of one rank says this for the rest.
constexpr unsigned kLastNesting = 7;

thread_local Held held[kMostLocks];
thread_local unsigned held_count = 0;

void trap(const char* what, const Held& wanted, const Held& have)
{
    char text[160];
    std::snprintf(text, sizeof text, "%s: wants rank %u nesting %u, holds rank %u nesting %u", what,
                  wanted.rank, wanted.nesting, have.rank, have.nesting);
    tarn_bug(__FILE__, __LINE__, text);
}

void check_order(const Held& wanted, const Held& have)
{
    if (have.lock == wanted.lock)
        trap("lock taken twice", wanted, have);
    if (have.rank > wanted.rank)
        trap("lock order", wanted, have);
    bool ordered = wanted.nesting > have.nesting || wanted.nesting == kLastNesting;
    if (have.rank == wanted.rank && !ordered)
        trap("locks of one rank without nesting", wanted, have);
}

}  // namespace

void may_sleep(const char* what)
{
    for (unsigned i = 0; i < held_count; i++)
        if (held[i].spins)
            tarn_bug(__FILE__, __LINE__, what);
}

void note_lock(const void* lock, unsigned rank, unsigned nesting, bool spins)
{
    if (!spins)
        may_sleep("sleeping lock taken under a spin lock");
    Held wanted{lock, rank, nesting, spins};
    for (unsigned i = 0; i < held_count; i++)
        check_order(wanted, held[i]);
    if (held_count == kMostLocks)
        tarn_bug(__FILE__, __LINE__, "too many locks held");
    held[held_count++] = wanted;
}

void note_unlock(const void* lock)
{
    for (unsigned i = held_count; i-- > 0;) {
        if (held[i].lock != lock)
            continue;
        held_count--;
        for (; i < held_count; i++)
            held[i] = held[i + 1];
        return;
    }
    tarn_bug(__FILE__, __LINE__, "lock let go by a thread that does not hold it");
}

unsigned held_locks() { return held_count; }

}  // namespace tarn::host

#else

namespace tarn::host {
unsigned held_locks() { return 0; }
}  // namespace tarn::host

#endif
