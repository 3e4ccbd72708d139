// SPDX-License-Identifier: GPL-2.0
// Which states a power cut may leave: choices of what has arrived of the lines that are not durable.
#pragma once
#include <functional>
#include <random>

#include "tests/crash/pmem.hpp"

namespace tarn::crash {

// At most `limit` of them, each once. Few lines: every subset, every version. More: none, all, all but one or
// two, only one or two, lines torn between words, what lies in the journals and what does not, prefixes, and
// some at random.
void for_each_state(const std::vector<Pending>& pending, usize limit, u64 journal_end,
                    std::mt19937_64& random, const std::function<void(const std::vector<Line>&)>& visit);

}  // namespace tarn::crash
