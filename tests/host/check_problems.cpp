// SPDX-License-Identifier: GPL-2.0
// check() on damage put in on purpose: each must be reported, in words that say what and where.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/host/support/damage.hpp"

namespace tarn::test {

class CheckProblems : public ::testing::TestWithParam<Damage> {};

TEST_P(CheckProblems, AreReported)
{
    TestFileSystem fs(populated_image(), Access::kReadOnly);
    GetParam().make(fs);
    TestDevice device(fs.device().image());
    device.set_read_only(1);  // a store would trap
    const Checked checked = check_as_is(device);
    EXPECT_TRUE(checked.mentions(GetParam().expected)) << checked.text();
    EXPECT_EQ(checked.summary.problems, checked.problems.size());
    EXPECT_LT(checked.problems.size(), 700u);
    EXPECT_EQ(std::memcmp(device.bytes(), fs.device().bytes(), kTestBlocks * kBlockSize), 0);
}

INSTANTIATE_TEST_SUITE_P(Each, CheckProblems, ::testing::ValuesIn(damages()),
                         [](const auto& damage) { return std::string(damage.param.name); });

}  // namespace tarn::test
