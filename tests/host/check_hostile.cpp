// SPDX-License-Identifier: GPL-2.0
// Damaged images of all kinds: check(), recovery, mount and a walk over everything end in bounded time,
// without a crash (the sanitizers watch) and without a store where none may be.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <set>

#include "tests/host/support/vandal.hpp"

namespace tarn::test {

namespace {

constexpr u64 kSeed = 20240611;

// Mounts read-only and looks at everything that can be reached, as a user would. Returns how many inodes it
// met.
usize walk_everything(TestDevice& device)
{
    auto opened = FileSystem::open(device.device(), Access::kReadOnly);
    if (!opened)
        return 0;
    auto fs = opened.take();
    Namespace names(*fs);
    std::vector<u64> entries(8192);
    std::set<u64> seen{TARNFS_INO_ROOT};
    std::deque<u64> queue{TARNFS_INO_ROOT};
    for (; !queue.empty(); queue.pop_front()) {
        auto found = fs->inodes().find(InodeNumber(queue.front()));
        if (!found)
            continue;
        Inode inode(*fs, InodeNumber(queue.front()), found.value().generation, found.value().record);
        char target[4096];
        (void)names.read_link(inode, MutableBytes(reinterpret_cast<byte*>(target), sizeof target)).is_ok();
        if (inode.is_regular()) {
            BlockMap map(fs->volume(), inode.tree());
            u64 at = 0;
            for (int steps = 0; steps < 50 && at < kMaxFileBlocks; steps++) {
                auto mapping = map.lookup(nullptr, FileBlock(at), kMaxFileBlocks - at);
                if (!mapping)
                    break;
                EXPECT_GT(mapping.value().count, 0u);
                at += mapping.value().count;
            }
        }
        for (u64 cookie = 0; inode.is_directory();) {
            auto used =
                names.read(inode, cookie, MutableBytes(reinterpret_cast<byte*>(entries.data()), 65536));
            if (!used || used.value() == 0)
                break;
            for (u32 offset = 0; offset < used.value();) {
                const auto& entry =
                    *reinterpret_cast<tarn_dir_entry*>(reinterpret_cast<byte*>(entries.data()) + offset);
                EXPECT_GE(entry.cookie, cookie);
                cookie = entry.cookie + 1;
                if (seen.insert(entry.number).second)
                    queue.push_back(entry.number);
                offset += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
            }
        }
    }
    return seen.size();
}

}  // namespace

TEST(CheckHostile, DamagedMetadataIsReportedAndHarmsNobody)
{
    TestDevice device(populated_image());
    device.set_read_only(1);
    Vandal vandal(device, metadata_blocks(device), kSeed);
    LogCapture log;
    int reported = 0;
    for (int round = 0; round < 3000; round++) {
        SCOPED_TRACE(round);
        for (int strikes = 1 + round % 3; strikes; strikes--)
            vandal.strike();
        reported += check_as_is(device).summary.problems != 0;
        vandal.undo();
    }
    EXPECT_EQ(check_as_is(device).text(), "");
    // Much of a node or an inode block is free space, where damage means nothing.
    EXPECT_GT(reported, 1200);
}

TEST(CheckHostile, MountAndWalkSurviveDamagedMetadata)
{
    TestDevice device(populated_image());
    device.set_read_only(1);
    Vandal vandal(device, metadata_blocks(device), kSeed + 1);
    LogCapture log;
    const CheckSummary all = check_as_is(device).summary;
    EXPECT_EQ(walk_everything(device), all.inodes - all.orphans);
    for (int round = 0; round < 2000; round++) {
        SCOPED_TRACE(round);
        for (int strikes = 1 + round % 3; strikes; strikes--)
            vandal.strike();
        walk_everything(device);
        vandal.undo();
    }
}

// Records that are damaged, cut short or forged: recovery takes them or leaves them, and what is there then
// is checked.
TEST(CheckHostile, DamagedJournals)
{
    TestFileSystem fs;
    populate(fs);
    fs.cut_power();
    const auto image = fs.device().image();
    TestDevice device(image);
    Vandal vandal(device, journal_blocks(device), kSeed + 2);
    LogCapture log;
    for (int round = 0; round < 300; round++) {
        SCOPED_TRACE(round);
        for (int strikes = 1 + round % 3; strikes; strikes--)
            vandal.strike();
        check_device(device);
        device.restore(image);
        vandal.undo();
    }
}

// A block of random bytes, or of another place, where metadata should be.
TEST(CheckHostile, WholeBlocksReplaced)
{
    TestDevice device(populated_image());
    device.set_read_only(1);
    const std::vector<u64> blocks = metadata_blocks(device);
    std::mt19937_64 random(kSeed + 3);
    LogCapture log;
    for (int round = 0; round < 300; round++) {
        SCOPED_TRACE(round);
        const u64 block = blocks[random() % blocks.size()];
        const std::vector<std::byte> saved(device.block(block), device.block(block) + kBlockSize);
        if (round % 2)
            for (u64 i = 0; i < kBlockSize; i += 8)
                device.at<u64>(block, i) = random();
        else
            std::memcpy(device.block(block), device.block(blocks[random() % blocks.size()]), kBlockSize);
        const bool changed = std::memcmp(device.block(block), saved.data(), kBlockSize) != 0;
        const Checked checked = check_as_is(device);
        EXPECT_TRUE(!changed || checked.summary.problems) << "block " << block;
        walk_everything(device);
        std::memcpy(device.block(block), saved.data(), kBlockSize);
    }
}

// Images of nothing but noise, with a superblock that fits.
TEST(CheckHostile, NoiseBehindAGoodSuperblock)
{
    LogCapture log;
    for (u64 seed = 0; seed < 20; seed++) {
        TestDevice device(kMinBlocks);
        FormatOptions options = test_format_options();
        options.journals = 1;
        const Layout layout = format_device(device, options);
        std::mt19937_64 random(seed);
        for (u64 block = 1; block < layout.replica().value; block++)
            for (u64 i = 0; i < kBlockSize; i += 8)
                device.at<u64>(block, i) = random();
        device.set_read_only(1);
        EXPECT_GT(check_as_is(device).summary.problems, 0u);
        walk_everything(device);
    }
}

}  // namespace tarn::test
