// SPDX-License-Identifier: GPL-2.0
// Two threads that play two processors, one running at a time (tests/interleave/scheduler.hpp): they change
// over where a schedule says, and where one has to wait for the other.
#pragma once
#include <functional>

#include "cxxrt/types.hpp"

namespace tarn::crash {

// `first` runs up to its persist call number `first_calls`, then `second` up to its `second_calls`, then
// `first` to the end, then `second`. Aborts when neither can go on. Exceptions of either are thrown on.
struct Schedule {
    u64 first_calls;
    u64 second_calls;
};
void interleave(const Schedule& schedule, const std::function<void()>& first,
                const std::function<void()>& second);

// Calls of the thread that runs, for Pmem::at_call.
void count_call();

// Returns when it holds; lets the other thread run meanwhile.
void wait_until(const std::function<bool()>& condition);

}  // namespace tarn::crash
