// SPDX-License-Identifier: GPL-2.0
// A random test takes its seed here, another one each time (so that `make soak` sees many), and prints it when it fails;
// TARN_SEED repeats it.
#pragma once

#include <cstdlib>
#include <random>

#include "cxxrt/types.hpp"

namespace tarn::test {

inline u64 test_seed()
{
    if (const char* given = std::getenv("TARN_SEED"))
        return std::strtoull(given, nullptr, 0);
    return std::random_device{}();
}

}  // namespace tarn::test
