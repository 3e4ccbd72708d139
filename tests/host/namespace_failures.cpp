// SPDX-License-Identifier: GPL-2.0
// Namespace when memory runs out at any allocation, and when a fence fails: all of an operation or nothing.
#include <functional>

#include "tests/host/namespace_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u32 kFile = kTypeRegular | 0644;
constexpr u32 kDirectory = kTypeDirectory | 0755;

struct Operation {
    const char* name;
    Error (*act)(NamespaceFixture& t, InodeNumber a, InodeNumber b);
};

// Directory a: file, link, long symlink, sub/ (empty), 200 entries. Directory b: target, subdir/ (empty).
void prepare(NamespaceFixture& t, InodeNumber& a, InodeNumber& b)
{
    t.frees = false;
    t.create(kRoot, "a", kDirectory);
    a = t.last;
    t.create(kRoot, "b", kDirectory);
    b = t.last;
    for (int i = 0; i < 200; i++)
        t.create(a, "filler-with-a-rather-long-name-" + std::to_string(i), kFile);
    t.create(a, "file", kFile);
    t.link(a, "link", t.last);
    t.create(a, "long", kTypeSymlink | 0777, std::string(900, 'l'));
    t.create(a, "sub", kDirectory);
    t.create(b, "target", kFile);
    t.create(b, "subdir", kDirectory);
}

const Operation kOperations[] = {
    {"create", [](NamespaceFixture& t, InodeNumber a, InodeNumber) { return t.create(a, "new", kFile); }},
    {"mkdir", [](NamespaceFixture& t, InodeNumber a, InodeNumber) { return t.create(a, "new", kDirectory); }},
    {"symlink", [](NamespaceFixture& t, InodeNumber a,
                   InodeNumber) { return t.create(a, "new", kTypeSymlink | 0777, std::string(500, 's')); }},
    {"link", [](NamespaceFixture& t, InodeNumber a,
                InodeNumber b) { return t.link(b, "new", InodeNumber(t.list(a).at("file"))); }},
    {"rename",
     [](NamespaceFixture& t, InodeNumber a, InodeNumber b) { return t.rename(a, "file", b, "new"); }},
    {"rename_over",
     [](NamespaceFixture& t, InodeNumber a, InodeNumber b) { return t.rename(a, "file", b, "target"); }},
    {"rename_directory",
     [](NamespaceFixture& t, InodeNumber a, InodeNumber b) { return t.rename(a, "sub", b, "subdir"); }},
    {"unlink_one_of_two",
     [](NamespaceFixture& t, InodeNumber a, InodeNumber) { return t.unlink(a, "link"); }},
};

struct State {
    std::map<std::string, u64> root, a, b;
    u64 used;
    bool operator==(const State&) const = default;
};

State state_of(NamespaceFixture& t, InodeNumber a, InodeNumber b)
{
    return State{t.list(kRoot), t.list(a), t.list(b), t.files.fs().inodes().used()};
}

}  // namespace

class NamespaceFailures : public ::testing::TestWithParam<Operation> {};

TEST_P(NamespaceFailures, NoMemoryAnywhereChangesNothing)
{
    NamespaceFixture t;
    InodeNumber a, b;
    prepare(t, a, b);
    const State before = state_of(t, a, b);
    Error error = Error::kNoMemory;
    long allowed = 0;
    for (; error != Error::kNone; allowed++) {
        ASSERT_LT(allowed, 1000);
        const u64 live = host::live_allocations();
        host::fail_allocation_after(allowed);
        try {
            error = GetParam().act(t, a, b);
        } catch (const std::runtime_error&) {
            error = Error::kNoMemory;  // looking something up took the memory
        }
        host::fail_allocation_after(-1);
        if (error == Error::kNone)
            break;
        ASSERT_EQ(error, Error::kNoMemory);
        EXPECT_EQ(host::live_allocations(), live) << "leak after " << allowed;
        EXPECT_EQ(state_of(t, a, b), before) << "changed after " << allowed;
    }
    EXPECT_GT(allowed, 2) << "nothing failed";
    t.files.cut_power();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST_P(NamespaceFailures, AFailedFenceShutsDownAndRecoveryDecides)
{
    for (u64 fence = 1; fence <= 2; fence++) {
        NamespaceFixture t;
        InodeNumber a, b;
        prepare(t, a, b);
        LogCapture log;
        t.files.device().fail_fences_from(fence);
        const Error error = GetParam().act(t, a, b);
        t.files.device().fail_fences_from(0);
        if (error != Error::kNone) {
            EXPECT_EQ(error, Error::kDeviceFlush);
            if (t.files.fs().volume().is_shut_down()) {
                EXPECT_EQ(t.create(a, "later", kFile), Error::kShutDown);
            }
        }
        t.files.cut_power();
        EXPECT_EQ(check_device(t.files.device()).text(), "");
        t.files.mount();
        EXPECT_EQ(t.create(a, "after", kFile), Error::kNone);
    }
}

INSTANTIATE_TEST_SUITE_P(Each, NamespaceFailures, ::testing::ValuesIn(kOperations),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace tarn::test
