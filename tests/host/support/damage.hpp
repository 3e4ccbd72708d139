// SPDX-License-Identifier: GPL-2.0
// Damage of every kind that check() reports, to be put into a populated file system (support/populated.hpp).
#pragma once
#include <functional>
#include <ostream>
#include <vector>

#include "tests/host/support/populated.hpp"

namespace tarn::test {

struct Damage {
    const char* name;
    const char* expected;  // must be in the report
    std::function<void(TestFileSystem&)> make;
};

std::ostream& operator<<(std::ostream& to, const Damage& damage);

const std::vector<Damage>& damages();

}  // namespace tarn::test
