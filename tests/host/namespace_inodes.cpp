// SPDX-License-Identifier: GPL-2.0
// Namespace: inodes beside their names: files without one, handles, flags and projects, versions.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <future>
#include <vector>

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
    int make(tarn_inode* dir, const char* name, u32 mode, Opened& made)
    {
        const tarn_new_inode what = described(mode);
        return tarn_dir_create(dir, spelled(name), &what, &made.inode, &made.attributes);
    }
    int make_nameless(Opened& made)
    {
        const tarn_new_inode what = described(kTypeRegular | 0600);
        return tarn_dir_create_nameless(fs->root(), &what, &made.inode, &made.attributes);
    }
    int open_handle(u64 number, u32 generation)
    {
        Opened found;
        const int error =
            tarn_inode_open_handle(fs->fs(), number, generation, &found.inode, &found.attributes);
        if (!error)
            tarn_inode_close(&found.inode);
        return error;
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
    u64 version(tarn_inode* inode)
    {
        unsigned long long version = 0;
        EXPECT_EQ(tarn_inode_query_version(inode, &version), 0);
        return version;
    }
    static u64 version_after_crash(const DurableImage& image)
    {
        MmPause pause;
        LogCapture log;
        TestDevice crashed(image.bytes());
        FakeMm its_mm(crashed);
        FakeFs its_fs(crashed, FakeFs::How::kMount);
        unsigned long long version = 0;
        EXPECT_EQ(tarn_inode_query_version(its_fs.open(its_mm, "file")->inode(), &version), 0);
        return version;
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

TEST_F(NamespaceInodes, HandlesFindWhatIsThereAndNothingElse)
{
    Opened made;
    ASSERT_EQ(make(fs->root(), "other", kTypeRegular | 0644, made), 0);
    const u64 number = made.attributes.number;
    const u32 generation = made.attributes.generation;
    EXPECT_EQ(open_handle(number, generation), 0);
    EXPECT_EQ(open_handle(number, 0), 0);
    EXPECT_EQ(open_handle(number, generation + 1), -ESTALE);
    EXPECT_EQ(open_handle(TARNFS_INO_TABLE, 0), -ESTALE);
    EXPECT_EQ(open_handle(TARNFS_INO_TABLE, 1), -ESTALE);
    EXPECT_EQ(open_handle(number + 1, 0), -ESTALE);
    for (const u64 never : {u64{63}, u64{64}, u64{32255}, u64{32256}, u64{1} << 40, ~u64{0}})
        EXPECT_EQ(open_handle(never, 0), -ESTALE) << never;
    remount();
    EXPECT_EQ(open_handle(number, generation), 0) << "over a remount";
    {
        auto reserved = core().inodes().reserve(InodeNumber(number));
        EXPECT_EQ(open_handle(reserved.value().number().value, 0), -ESTALE) << "being made";
    }
    Opened found;
    ASSERT_EQ(tarn_inode_open_handle(fs->fs(), number, generation, &found.inode, &found.attributes), 0);
    EXPECT_EQ(found.attributes.number, number);
    ASSERT_EQ(tarn_dir_unlink(fs->root(), spelled("other"), &found.inode, tick()), 0);
    EXPECT_EQ(open_handle(number, generation), -ESTALE) << "without a name";
    tarn_inode_free(&found.inode);
    EXPECT_EQ(open_handle(number, generation), -ESTALE) << "freed";
    ASSERT_EQ(make(fs->root(), "again", kTypeRegular | 0644, made), 0);
    ASSERT_EQ(made.attributes.number, number);
    EXPECT_EQ(open_handle(number, generation), -ESTALE) << "another one now";
    tarn_inode_close(&made.inode);
    EXPECT_EQ(tarn_fs_is_read_only(fs->fs()), 0) << "no handle is damage";
}

// Somebody asks for inodes of a chunk at each fence on its way out.
TEST_F(NamespaceInodes, HandlesOfAChunkThatGoesAreStale)
{
    std::vector<Opened> made(100);
    u64 last = 0;
    for (usize i = 0; i < made.size(); i++) {
        ASSERT_EQ(make(fs->root(), ("n" + std::to_string(i)).c_str(), kTypeRegular | 0644, made[i]), 0);
        last = made[i].attributes.number;
    }
    ASSERT_GE(last, u64{TARNFS_INODE_CHUNK});
    struct Asking {
        std::function<int()> ask;
        std::vector<std::future<int>> answers;
    } asking{[&] { return open_handle(last, 0); }, {}};
    for (usize i = 0; i < made.size(); i++) {
        const std::string name = "n" + std::to_string(i);
        ASSERT_EQ(tarn_dir_unlink(fs->root(), spelled(name.c_str()), &made[i].inode, tick()), 0);
        if (i + 1 == made.size())
            device.backing().observer = {&asking, [](void* context, const host::Event& event) {
                                             auto& all = *static_cast<Asking*>(context);
                                             if (event.kind != host::Event::Kind::kFence)
                                                 return 0;
                                             all.answers.push_back(std::async(std::launch::async, all.ask));
                                             all.answers.back().wait_for(std::chrono::milliseconds(100));
                                             return 0;
                                         }};
        tarn_inode_free(&made[i].inode);
    }
    device.backing().observer = {};
    EXPECT_GE(asking.answers.size(), 2u) << "the inode, and its chunk";
    for (auto& answer : asking.answers)
        EXPECT_EQ(answer.get(), -ESTALE);
    EXPECT_EQ(tarn_fs_is_read_only(fs->fs()), 0) << "no handle is damage";
}

TEST_F(NamespaceInodes, TheParentOfADirectoryIsKnown)
{
    Opened one, two;
    ASSERT_EQ(make(fs->root(), "one", kTypeDirectory | 0755, one), 0);
    ASSERT_EQ(make(&one.inode, "two", kTypeDirectory | 0755, two), 0);
    EXPECT_EQ(tarn_dir_parent(fs->root()), TARN_ROOT_INODE);
    EXPECT_EQ(tarn_dir_parent(&two.inode), one.attributes.number);
    tarn_inode_close(&one.inode);
    tarn_inode_close(&two.inode);
}

TEST_F(NamespaceInodes, FlagsAreKeptAsFarAsTheTypeHasThem)
{
    Opened dir, link;
    ASSERT_EQ(make(fs->root(), "dir", kTypeDirectory | 0755, dir), 0);
    ASSERT_EQ(make(fs->root(), "link", kTypeSymlink | 0777, link), 0);
    const u64 before = fences();
    ASSERT_EQ(tarn_inode_set_flags(file->inode(), ~0u, 7, tick()), 0);
    EXPECT_EQ(fences() - before, 1u);
    ASSERT_EQ(tarn_inode_set_flags(&dir.inode, ~0u, 8, tick()), 0);
    ASSERT_EQ(tarn_inode_set_flags(&link.inode, ~0u, 9, tick()), 0);
    tarn_attributes its;
    tarn_inode_attributes(&dir.inode, &its);
    EXPECT_EQ(its.flags, TARNFS_INODE_USER_FLAGS);
    tarn_inode_attributes(&link.inode, &its);
    EXPECT_EQ(its.flags, TARNFS_INODE_INLINE_LINK | TARNFS_INODE_NODUMP | TARNFS_INODE_NOATIME);
    tarn_inode_close(&dir.inode);
    tarn_inode_close(&link.inode);
    remount();
    tarn_inode_attributes(file->inode(), &its);
    EXPECT_EQ(its.flags, TARNFS_INODE_USER_FLAGS & ~(TARNFS_INODE_DIRSYNC | TARNFS_INODE_PROJECT_INHERITED));
    EXPECT_EQ(its.project, 7u);
    EXPECT_EQ(its.times.change.seconds, seconds - 2);
    ASSERT_EQ(tarn_inode_set_flags(file->inode(), 0, 0, tick()), 0);
    tarn_inode_attributes(file->inode(), &its);
    EXPECT_EQ(its.flags, 0u);
}

TEST_F(NamespaceInodes, WhatIsMadeInADirectoryInherits)
{
    constexpr u32 kFlags = TARNFS_INODE_SYNC | TARNFS_INODE_APPEND | TARNFS_INODE_NODUMP |
                           TARNFS_INODE_NOATIME | TARNFS_INODE_DIRSYNC | TARNFS_INODE_DAX;
    Opened dir, made;
    ASSERT_EQ(make(fs->root(), "dir", kTypeDirectory | 0755, dir), 0);
    ASSERT_EQ(tarn_inode_set_flags(&dir.inode, kFlags, 8, tick()), 0);
    auto inherits = [&](const char* name, u32 mode, u32 flags, u32 project) {
        ASSERT_EQ(make(&dir.inode, name, mode, made), 0);
        EXPECT_EQ(made.attributes.flags & TARNFS_INODE_USER_FLAGS, flags) << name;
        EXPECT_EQ(made.attributes.project, project) << name;
        tarn_inode_close(&made.inode);
    };
    constexpr u32 kOfFiles =
        TARNFS_INODE_SYNC | TARNFS_INODE_NODUMP | TARNFS_INODE_NOATIME | TARNFS_INODE_DAX;
    inherits("d", kTypeDirectory | 0755, kOfFiles | TARNFS_INODE_DIRSYNC, 0);
    inherits("f", kTypeRegular | 0644, kOfFiles, 0);
    inherits("l", kTypeSymlink | 0777, TARNFS_INODE_NODUMP | TARNFS_INODE_NOATIME, 0);
    ASSERT_EQ(tarn_inode_set_flags(&dir.inode, TARNFS_INODE_PROJECT_INHERITED, 8, tick()), 0);
    inherits("pd", kTypeDirectory | 0755, TARNFS_INODE_PROJECT_INHERITED, 8);
    inherits("pf", kTypeRegular | 0644, 0, 8);
    tarn_inode_close(&dir.inode);
}

TEST_F(NamespaceInodes, ADirectoryOfOneProjectTakesNoInodesOfOthers)
{
    Opened dir, inside, nameless;
    ASSERT_EQ(make(fs->root(), "dir", kTypeDirectory | 0755, dir), 0);
    ASSERT_EQ(tarn_inode_set_flags(&dir.inode, TARNFS_INODE_PROJECT_INHERITED, 8, tick()), 0);
    ASSERT_EQ(make(&dir.inode, "inside", kTypeRegular | 0644, inside), 0);
    ASSERT_EQ(make_nameless(nameless), 0);
    tarn_rename out = {};
    out.from_dir = &dir.inode;
    out.from = spelled("inside");
    out.moved = &inside.inode;
    out.to_dir = fs->root();
    out.to = spelled("file");
    out.target = file->inode();
    out.now = tick();
    const tarn_rename in = {out.to_dir, out.to,    out.from_dir, out.from,
                            out.target, out.moved, out.now,      nullptr};
    EXPECT_EQ(tarn_dir_link(&dir.inode, spelled("link"), file->inode(), tick()), -EXDEV);
    EXPECT_EQ(tarn_dir_link(&dir.inode, spelled("link"), &nameless.inode, tick()), -EXDEV);
    EXPECT_EQ(tarn_dir_rename(&in), -EXDEV);
    EXPECT_EQ(tarn_dir_exchange(&in), -EXDEV);
    EXPECT_EQ(tarn_dir_exchange(&out), -EXDEV);
    EXPECT_EQ(tarn_dir_link(&dir.inode, spelled("link"), &inside.inode, tick()), 0);
    EXPECT_EQ(tarn_dir_link(fs->root(), spelled("link"), &inside.inode, tick()), 0) << "out of it is allowed";
    ASSERT_EQ(tarn_inode_set_flags(file->inode(), 0, 8, tick()), 0);
    EXPECT_EQ(tarn_dir_exchange(&in), 0);
    for (Opened* opened : {&dir, &inside})
        tarn_inode_close(&opened->inode);
    tarn_inode_free(&nameless.inode);
    file = fs->open(mm, "link");  // "file" is in the directory now
}

// Nothing is paid, and nothing written, for a version that nobody has asked for.
TEST_F(NamespaceInodes, AVersionCostsNothingUntilItIsAskedFor)
{
    file->write(0, pattern(5000));
    const u64 before = fences();
    file->write(0, pattern(100));
    EXPECT_EQ(fences() - before, 1u);
    const u64 seen = version(file->inode());
    EXPECT_EQ(fences() - before, 2u);
    EXPECT_EQ(version(file->inode()), seen);
    EXPECT_EQ(fences() - before, 2u) << "seen already";
    file->write(0, pattern(100));
    EXPECT_EQ(fences() - before, 4u);
    file->write(0, pattern(100));
    EXPECT_EQ(fences() - before, 5u);
}

// Whatever changes, and wherever the power goes: what is found afterwards has no version of something else.
TEST_F(NamespaceInodes, EveryChangeMakesAVersionAnotherOneForGood)
{
    file->write(0, pattern(20000));
    FakeMapping mapping(mm, *file);
    Opened dir;
    ASSERT_EQ(make(fs->root(), "dir", kTypeDirectory | 0755, dir), 0);
    tarn_attributes its;
    tarn_inode_attributes(file->inode(), &its);
    const std::vector<std::pair<const char*, std::function<int()>>> changes = {
        {"overwrite", [&] { return file->write(100, pattern(100)) == 100 ? 0 : -EIO; }},
        {"append", [&] { return file->write(20000, pattern(9000)) == 9000 ? 0 : -EIO; }},
        {"shrink", [&] { return file->truncate(9000); }},
        {"grow", [&] { return file->truncate(30000); }},
        {"punch", [&] { return file->punch(0, 4096); }},
        {"allocate", [&] { return file->allocate(30000, 9000); }},
        {"zero", [&] { return file->zero(4096, 4096); }},
        {"collapse", [&] { return file->fallocate(TARN_FALLOCATE_COLLAPSE, FakeFile::KeepSize::kNo, 0, 4096); }},
        {"insert", [&] { return file->fallocate(TARN_FALLOCATE_INSERT, FakeFile::KeepSize::kNo, 0, 4096); }},
        {"store", [&] { return mapping.store(8192, 'x'); }},
        {"chmod", [&] { return tarn_inode_set_attributes(file->inode(), &its, nullptr); }},
        {"flags", [&] { return tarn_inode_set_flags(file->inode(), 0, 3, tick()); }},
        {"link", [&] { return tarn_dir_link(fs->root(), spelled("second"), file->inode(), tick()); }},
        {"unlink", [&] { return tarn_dir_unlink(fs->root(), spelled("second"), file->inode(), tick()); }},
    };
    for (const auto& [name, change] : changes) {
        const u64 before = version(file->inode());
        DurableImage image(device);
        ASSERT_EQ(change(), 0) << name;
        EXPECT_GT(version_after_crash(image), before) << name;
        EXPECT_GT(version(file->inode()), before) << name;
    }
    const u64 before = version(&dir.inode);
    ASSERT_EQ(tarn_dir_link(&dir.inode, spelled("entry"), file->inode(), tick()), 0);
    EXPECT_GT(version(&dir.inode), before) << "of a directory";
    ASSERT_EQ(tarn_dir_unlink(&dir.inode, spelled("entry"), file->inode(), tick()), 0);
    tarn_inode_close(&dir.inode);
    mapping.unmap();
    ASSERT_EQ(file->sync(), 0);
    const u64 last = version(file->inode());
    remount();
    EXPECT_EQ(version(file->inode()), last) << "a remount changes nothing";
}

// The last step of an allocation makes the file grow.
TEST_F(NamespaceInodes, AVersionSeenBetweenStepsBecomesAnotherOne)
{
    file->write(4096, pattern(4096));
    file->write(12288, pattern(4096));
    tarn_fallocate request = {};
    request.length = 40960;
    request.kind = TARN_FALLOCATE_KEEP;
    int more = tarn_file_fallocate(file->inode(), &request);
    ASSERT_EQ(more, 1);
    const u64 seen = version(file->inode());
    ASSERT_EQ(file->size(), 16384u);
    while (more > 0)
        more = tarn_file_fallocate(file->inode(), &request);
    ASSERT_EQ(more, 0);
    EXPECT_EQ(file->size(), 40960u);
    EXPECT_GT(version(file->inode()), seen);
}

// Nothing can be marked there, so the number would be told again of what comes later.
TEST_F(NamespaceInodes, AVersionIsNotToldWhereItCannotBeMarked)
{
    unsigned long long told = 0;
    ASSERT_EQ(tarn_fs_set_access(fs->fs(), TARN_READ_ONLY), 0);
    EXPECT_EQ(tarn_inode_query_version(file->inode(), &told), -EROFS);
    ASSERT_EQ(tarn_fs_set_access(fs->fs(), TARN_READ_WRITE), 0);
    const u64 seen = version(file->inode());
    ASSERT_EQ(tarn_fs_set_access(fs->fs(), TARN_READ_ONLY), 0);
    EXPECT_EQ(version(file->inode()), seen) << "marked before";
    ASSERT_EQ(tarn_fs_set_access(fs->fs(), TARN_READ_WRITE), 0);
    file->write(0, pattern(10));
    EXPECT_GT(version(file->inode()), seen);
}

TEST_F(NamespaceInodes, TheFirstNameKeepsWhatIsAllocatedBehindTheEnd)
{
    Opened nameless;
    ASSERT_EQ(make_nameless(nameless), 0);
    tarn_fallocate request = {};
    request.length = 40960;
    request.kind = TARN_FALLOCATE_KEEP;
    request.keep_size = 1;
    int more = 1;
    while (more > 0)
        more = tarn_file_fallocate(&nameless.inode, &request);
    ASSERT_EQ(more, 0);
    ASSERT_EQ(tarn_dir_link(fs->root(), spelled("named"), &nameless.inode, tick()), 0);
    const auto orphan = core().inodes().is_orphan(InodeObject::of(&nameless.inode).inode);
    ASSERT_TRUE(orphan.is_ok());
    EXPECT_FALSE(orphan.value()) << "the next mount would free it";
    tarn_inode_attributes(&nameless.inode, &nameless.attributes);
    EXPECT_EQ(nameless.attributes.blocks, 10u);
    tarn_inode_close(&nameless.inode);
}

}  // namespace tarn::test
