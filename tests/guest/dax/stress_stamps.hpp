// SPDX-License-Identifier: GPL-2.0
// Of stress.cpp and stress_worker.cpp: the shared files, and the stamps in them.
#pragma once
#include <atomic>
#include <csetjmp>
#include <string>
#include <vector>

#include "harness.hpp"

namespace stress {

constexpr long kHuge = 512 * kPage;
constexpr long kFiles = 2, kPages = 3 * 512, kSlots = 8, kSlotBytes = kPage / kSlots, kWords = kSlotBytes / 8;
constexpr long kBytes = kPages * kPage;
constexpr long kWorkers = 6;  // the slots of nobody stay zero

inline uint64_t stamp(long file, long worker, uint64_t store)
{
    return 0xd6ull << 56 | static_cast<uint64_t>(file) << 48 | static_cast<uint64_t>(worker) << 40 | store;
}

// Whether somebody may have put this word into this slot at any time.
inline bool is_plausible(uint64_t word, long file, long slot)
{
    return word == 0 || (slot < kWorkers && word >> 40 == stamp(file, slot, 0) >> 40);
}

// ---- what all share ---------------------------------------------------------------------------------------

struct Wipes {
    std::atomic<uint32_t> begun = 0, ended = 0;
};

struct Shared {
    Shared(long number, const std::string& name) : number(number), file(name) { file.size(kBytes); }

    Wipes& wipes_of(long page, long slot) { return wipes[static_cast<size_t>(page * kSlots + slot)]; }

    long number;
    File file;
    std::vector<Wipes> wipes = std::vector<Wipes>(kPages * kSlots);
};

// Runs accesses to a mapping; false if they met the end of the file. In one with a handler of SIGBUS: see
// catch_bus().
extern thread_local sigjmp_buf bus_return;
extern thread_local volatile bool bus_expected;
void catch_bus();
template <class Access>
bool reaches(Access access)
{
    bus_expected = true;
    const bool met = sigsetjmp(bus_return, 1) == 0;
    if (met)
        access();
    bus_expected = false;
    return met;
}

}  // namespace stress
