// SPDX-License-Identifier: GPL-2.0
// check() on file systems that are in order: no problem, and the right counts.
#include <gtest/gtest.h>

#include "tests/host/support/populated.hpp"

namespace tarn::test {

TEST(CheckClean, AFreshFileSystem)
{
    for (u64 blocks : {kMinBlocks * 2, u64{TARNFS_BITMAP_BITS + 1}, u64{5 * TARNFS_BITMAP_BITS - 7}}) {
        TestDevice device(blocks);
        const Layout layout = format_device(device);
        const Checked checked = check_as_is(device);
        EXPECT_EQ(checked.text(), "");
        EXPECT_EQ(checked.summary.problems, 0u);
        EXPECT_EQ(checked.summary.inodes, 1u);
        EXPECT_EQ(checked.summary.directories, 1u);
        EXPECT_EQ(checked.summary.table_blocks, kFirstTableBlocks);
        EXPECT_EQ(checked.summary.free_blocks, blocks - layout.first_data.value - kFirstTableBlocks - 1);
    }
}

TEST(CheckClean, APopulatedFileSystem)
{
    TestFileSystem fs;
    populate(fs);
    fs.unmount();
    const Checked checked = check_as_is(fs.device());
    EXPECT_EQ(checked.text(), "");
    const CheckSummary& s = checked.summary;
    EXPECT_EQ(s.problems, 0u);
    EXPECT_EQ(s.directories, 14u);
    EXPECT_EQ(s.files, 205u);  // the orphan is one
    EXPECT_EQ(s.symlinks, 2u);
    EXPECT_EQ(s.others, 2u);
    EXPECT_EQ(s.inodes, 14u + 205 + 2 + 2);
    EXPECT_EQ(s.orphans, 1u);
    EXPECT_EQ(s.entries, 200u + 3 + 2 + 12 + 2 + 1 + 2);
    EXPECT_EQ(s.xattrs, 40u + 2 + 1);
    EXPECT_EQ(s.data_blocks, 300u + 600 + 3 + 1 + 20 + 4 * 2 + 3 + 3 + 2);
}

TEST(CheckClean, BlocksAddUp)
{
    TestFileSystem fs;
    populate(fs, 7);
    fs.unmount();
    const CheckSummary s = check_as_is(fs.device()).summary;
    Media media(fs.device().device());
    const Layout layout = read_layout(media).take();
    EXPECT_EQ(layout.first_data.value + 1 + s.data_blocks + s.node_blocks + s.table_blocks + s.free_blocks,
              layout.blocks);
}

// Freeing a symbolic link takes its block, then its number: power may go in between.
TEST(CheckClean, AnOrphanedLinkWhoseBlockHasGone)
{
    TestFileSystem fs;
    const InodeNumber link = fs.create(kRoot, "link", kTypeSymlink | 0777, std::string(1000, 't'));
    fs.unlink(kRoot, "link");
    {
        const InodeTable::Found place = fs.fs().inodes().find(link).take();
        Inode inode(fs.fs(), link, place.generation, place.record);
        ASSERT_TRUE(fs.fs().inodes().free_blocks(inode, FileBlock(0)).is_ok());
    }
    fs.cut_power();
    const Checked checked = check_device(fs.device());
    EXPECT_EQ(checked.text(), "");
    EXPECT_EQ(checked.summary.orphans, 1u);
    fs.mount();
    fs.unmount();
    EXPECT_EQ(check_device(fs.device()).summary.orphans, 0u);
}

// The orphan is freed by the next read-write mount, and only by that.
TEST(CheckClean, OrphansGoWithTheNextMount)
{
    TestFileSystem fs;
    populate(fs);
    fs.cut_power();
    EXPECT_EQ(check_device(fs.device()).summary.orphans, 1u);
    fs.mount(Access::kReadOnly);
    fs.unmount();
    EXPECT_EQ(check_device(fs.device()).summary.orphans, 1u);
    fs.mount();
    fs.unmount();
    const Checked checked = check_device(fs.device());
    EXPECT_EQ(checked.text(), "");
    EXPECT_EQ(checked.summary.orphans, 0u);
    EXPECT_EQ(checked.summary.files, 204u);
}

TEST(CheckClean, ManyInodeChunksComeAndGo)
{
    TestFileSystem fs(8 * kTestBlocks);
    const InodeNumber dir = fs.mkdir(kRoot, "d");
    for (int i = 0; i < 2000; i++)
        fs.file(dir, std::to_string(i));
    EXPECT_EQ(check_as_is(fs.device()).text(), "");
    for (int i = 0; i < 2000; i++) {
        const InodeNumber file = fs.find(dir, std::to_string(i));
        fs.unlink(dir, std::to_string(i));
        fs.free(file);
    }
    fs.unmount();
    const Checked checked = check_as_is(fs.device());
    EXPECT_EQ(checked.text(), "");
    EXPECT_EQ(checked.summary.inodes, 2u);
    EXPECT_EQ(checked.summary.node_blocks, 0u);
    EXPECT_LE(checked.summary.table_blocks, 3 * kFirstTableBlocks);
}

// The work announced is the work done.
TEST(CheckClean, TellsProgress)
{
    TestFileSystem fs;
    populate(fs);
    fs.unmount();
    struct Seen {
        u64 done = 0, total = 0, calls = 0;
    } seen;
    Media media(fs.device().device());
    Volume volume(fs.device().device(), read_layout(media).take());
    const CheckReporter reporter{&seen, [](void*, const char*, va_list) { FAIL(); },
                                 [](void* context, u64 done, u64 total) {
                                     auto* s = static_cast<Seen*>(context);
                                     EXPECT_GE(done, s->done);
                                     *s = {done, total, s->calls + 1};
                                 }};
    ASSERT_TRUE(check(volume, reporter));
    EXPECT_EQ(seen.done, seen.total);
    EXPECT_EQ(seen.calls, seen.total);
}

TEST(CheckClean, OutOfMemoryIsAnErrorNotAProblem)
{
    TestFileSystem fs;
    populate(fs);
    fs.unmount();
    Media media(fs.device().device());
    const Layout layout = read_layout(media).take();
    const CheckReporter reporter{nullptr, [](void*, const char*, va_list) { FAIL(); }, nullptr};
    const u64 before = host::live_allocations();
    for (long nth = 0;; nth++) {
        Volume volume(fs.device().device(), layout);
        host::fail_allocation_after(nth);
        auto checked = check(volume, reporter);
        host::fail_allocation_after(-1);
        if (checked)
            break;
        EXPECT_EQ(checked.error(), Error::kNoMemory);
        ASSERT_LT(nth, 1000);
    }
    EXPECT_EQ(host::live_allocations(), before);
}

}  // namespace tarn::test
