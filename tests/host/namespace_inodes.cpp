// SPDX-License-Identifier: GPL-2.0
// Namespace: inodes beside their names: files without one.
#include <cerrno>
#include <cstring>

#include "tarnfs/ondisk.hpp"
#include "tests/host/file_fixture.hpp"

namespace tarn::test {

namespace {

struct Opened {
    tarn_inode inode;
    tarn_attributes attributes;
};

tarn_name spelled(const char* name) { return {name, static_cast<unsigned>(std::strlen(name))}; }

class NamespaceInodes : public FileTest {
  protected:
    tarn_time tick() { return {++seconds, 7}; }
    tarn_new_inode described(u32 mode)
    {
        tarn_new_inode what = {};
        what.mode = mode;
        what.uid = 1000;
        what.target = spelled((mode & kTypeMask) == kTypeSymlink ? "target" : "");
        what.now = tick();
        return what;
    }
    int make_nameless(Opened& made)
    {
        const tarn_new_inode what = described(kTypeRegular | 0600);
        return tarn_dir_create_nameless(fs->root(), &what, &made.inode, &made.attributes);
    }
    FileSystem& core() { return *reinterpret_cast<FileSystem*>(fs->fs()); }
    u64 fences() { return device.counters().fences.load_relaxed(); }
    // As after a power cut that loses what is not fenced: inodes in use, orphans freed by the mount.
    static u64 used_after_crash(const DurableImage& image)
    {
        LogCapture log;
        TestDevice crashed(image.bytes());
        u64 used = 0;
        {
            FakeFs its_fs(crashed, FakeFs::How::kMount);
            used = reinterpret_cast<FileSystem*>(its_fs.fs())->inodes().used();
        }
        EXPECT_EQ(check_as_is(crashed).text(), "");
        return used;
    }
    s64 seconds = 1700000100;
};

}  // namespace

TEST_F(NamespaceInodes, AFileWithoutANameIsFreedByACrashOrGetsAName)
{
    const u64 used = core().inodes().used();
    Opened made;
    DurableImage image(device);
    const u64 before = fences();
    ASSERT_EQ(make_nameless(made), 0);
    EXPECT_EQ(fences() - before, 1u);
    EXPECT_EQ(made.attributes.links, 0u);
    EXPECT_EQ(core().inodes().used(), used + 1);
    EXPECT_EQ(used_after_crash(image), used);

    ASSERT_EQ(tarn_dir_link(fs->root(), spelled("named"), &made.inode, tick()), 0);
    EXPECT_EQ(fences() - before, 2u);
    EXPECT_EQ(used_after_crash(image), used + 1);
    EXPECT_EQ(tarn_dir_link(fs->root(), spelled("named"), &made.inode, tick()), -EEXIST);
    tarn_inode_attributes(&made.inode, &made.attributes);
    EXPECT_EQ(made.attributes.links, 1u);
    tarn_inode_close(&made.inode);
    remount();
    EXPECT_EQ(core().inodes().used(), used + 1) << "no orphan any more";
}

TEST_F(NamespaceInodes, AFileWithoutANameGoesWhenItIsClosed)
{
    const u64 used = core().inodes().used();
    Opened made, other;
    ASSERT_EQ(make_nameless(made), 0);
    tarn_inode_free(&made.inode);
    EXPECT_EQ(core().inodes().used(), used);
    const tarn_new_inode directory = described(kTypeDirectory | 0700);
    EXPECT_EQ(tarn_dir_create_nameless(fs->root(), &directory, &other.inode, &other.attributes), -EINVAL);
    ASSERT_EQ(make_nameless(made), 0);
    EXPECT_EQ(tarn_dir_link(fs->root(), spelled("file"), &made.inode, tick()), -EEXIST);
    tarn_inode_free(&made.inode);
    EXPECT_EQ(core().inodes().used(), used);
}

}  // namespace tarn::test
