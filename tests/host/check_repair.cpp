// SPDX-License-Identifier: GPL-2.0
// repair() on damage of every kind that check() reports: the result is clean and can be mounted, everything
// that was not damaged is still there with its contents, and a second repair finds nothing to do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/host/support/damage.hpp"
#include "tests/host/support/snapshot.hpp"

namespace tarn::test {

namespace {

// What each damage cannot but cost: paths whose own inode or entry it hits, with all below them.
const std::map<std::string, std::vector<std::string>> kHarmed = {
    {"ExtentShared", {"/files/whole", "/second-name", "/files/far"}},  // the lower number keeps the blocks
    {"ExtentInJournal", {"/files/whole", "/second-name"}},
    {"LinkUnwritten", {"/files/d0/d1/d2/d3/d4/d5/d6/d7/d8/d9/long-link"}},
    {"NodeOwner", {"/files/holes"}},
    {"NodeKeys", {"/files/holes"}},
    {"NodeShared", {"/files/whole", "/second-name"}},
    {"XattrRoot", {"/files/labelled"}},
    {"XattrRootShared", {"/files/labelled"}},
    {"XattrRootEmpty", {"/files/labelled"}},
    {"XattrRootLost", {"/files/labelled"}},
    {"XattrLeaf", {"/files/tagged"}},
    {"XattrSpace", {"/files/labelled"}},
    {"XattrName", {"/files/labelled"}},  // it has the name that the damage gave it
    {"XattrTwice", {"/files/tagged"}},
    {"XattrValueShared", {"/files/labelled"}},
    {"XattrValueRepeated", {"/files/labelled"}},
    {"XattrValueOutside", {"/files/labelled"}},
    {"EntryToNothing", {"/files/d0/d1/d2"}},  // in lost+found
    {"EntryToRoot", {"/files/d0/d1/d2"}},
    {"EntryName", {"/files/d0/d1/d2"}},  // under the name that the damage gave it
    {"DirectoryTwice", {"/files/d0/d1/d2/d3"}},
    {"DirectoryRemoved", {"/files/d0/d1/d2"}},
    {"DirectoryRing", {"/files/d0/d1"}},
};

bool is_below(const std::string& path, const std::string& top)
{
    return path == top || path.starts_with(top + "/");
}

std::vector<std::string> unexpected(const std::vector<std::string>& paths, const std::string& damage)
{
    std::vector<std::string> others;
    const auto harmed = kHarmed.find(damage);
    for (const std::string& path : paths) {
        bool allowed = false;
        if (harmed != kHarmed.end())
            for (const std::string& top : harmed->second)
                allowed |= is_below(path, top);
        if (!allowed)
            others.push_back(path);
    }
    return others;
}

// Inodes that no path leads to any more: where only names were damaged they are in lost+found, with their
// contents.
std::vector<std::string> lost_inodes(const Snapshot& before, const Snapshot& after, const std::string& damage)
{
    std::vector<std::string> gone;
    for (const auto& [path, seen] : before) {
        const auto has = [&](const auto& other) { return other.second == seen; };
        if (std::none_of(after.begin(), after.end(), has))
            gone.push_back(path);
    }
    return damage.starts_with("Entry") || damage.starts_with("Directory") ? gone : unexpected(gone, damage);
}

std::string joined(const std::vector<std::string>& lines)
{
    std::string all;
    for (const std::string& line : lines)
        all += line + "\n";
    return all;
}

}  // namespace

class CheckRepair : public ::testing::TestWithParam<Damage> {};

TEST_P(CheckRepair, MakesItCleanAndKeepsTheRest)
{
    static const Snapshot before = snapshot_of(stamped_image());
    LogCapture log;
    TestFileSystem fs(stamped_image(), Access::kReadOnly);
    GetParam().make(fs);
    TestDevice device(fs.device().image());
    const RepairedDevice first = repair_device(device);
    ASSERT_TRUE(first.possible) << describe(first.error) << "\n" << first.said;
    EXPECT_TRUE(first.clean()) << first.said << "left:\n" << first.checked.text();
    EXPECT_GT(first.result.fixed, 0u);
    EXPECT_EQ(first.result.remaining.problems, 0u);
    const Snapshot after = snapshot_of(device.image());
    const auto missing = unexpected(lost(before, after), GetParam().name);
    EXPECT_TRUE(missing.empty()) << joined(missing) << "said:\n" << first.said;

    const auto nowhere = lost_inodes(before, after, GetParam().name);
    EXPECT_TRUE(nowhere.empty()) << joined(nowhere) << "said:\n" << first.said;

    const auto image = device.image();
    const RepairedDevice second = repair_device(device);
    EXPECT_TRUE(second.clean());
    EXPECT_EQ(second.result.fixed, 0u);
    EXPECT_EQ(second.said, "");
    EXPECT_EQ(std::memcmp(device.bytes(), image.data(), image.size()), 0);
}

// As fsck -p and then fsck -y: what is done without asking takes nothing from what is done then.
TEST_P(CheckRepair, WhatIsSafeLosesNothing)
{
    static const Snapshot before = snapshot_of(stamped_image());
    LogCapture log;
    TestFileSystem fs(stamped_image(), Access::kReadOnly);
    GetParam().make(fs);
    TestDevice device(fs.device().image());
    const u64 found = check_device(device).summary.problems;
    const RepairedDevice safe = repair_device(device, true);
    EXPECT_LE(safe.checked.summary.problems, found) << safe.said << "left:\n" << safe.checked.text();
    const RepairedDevice all = repair_device(device);
    EXPECT_TRUE(all.clean()) << all.said << "left:\n" << all.checked.text();
    const auto missing = unexpected(lost(before, snapshot_of(device.image())), GetParam().name);
    EXPECT_TRUE(missing.empty()) << joined(missing) << "said:\n" << safe.said << all.said;
}

INSTANTIATE_TEST_SUITE_P(Each, CheckRepair, ::testing::ValuesIn(damages()),
                         [](const auto& damage) { return std::string(damage.param.name); });

}  // namespace tarn::test
