// SPDX-License-Identifier: GPL-2.0
// Namespace: what each operation does to entries, counts and times, and which errors it gives.
#include "tests/host/namespace_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u32 kFile = kTypeRegular | 0644;
constexpr u32 kDirectory = kTypeDirectory | 0755;
constexpr u32 kLink = kTypeSymlink | 0777;

}  // namespace

TEST(Namespace, AFileIsWhatCreateSaid)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "file", kFile), Error::kNone);
    const tarnfs_inode record = t.record(t.last);
    EXPECT_EQ(record.mode, kFile);
    EXPECT_EQ(record.uid, 1000u);
    EXPECT_EQ(record.gid, 100u);
    EXPECT_EQ(record.links, 1u);
    EXPECT_EQ(record.size, 0u);
    EXPECT_EQ(record.blocks, 0u);
    EXPECT_EQ(record.parent, 0u);
    EXPECT_EQ(record.device, 0u) << "not a device node";
    EXPECT_EQ(record.btime, t.seconds);
    EXPECT_EQ(t.record(kRoot).size, 1u);
    EXPECT_EQ(t.record(kRoot).links, 2u);
    EXPECT_EQ(t.record(kRoot).mtime, t.seconds);
    EXPECT_EQ(t.record(kRoot).ctime, t.seconds);
}

TEST(Namespace, DirectoriesCountTheirSubdirectories)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "a", kDirectory), Error::kNone);
    const InodeNumber a = t.last;
    EXPECT_EQ(t.record(a).links, 2u);
    EXPECT_EQ(t.record(a).parent, kRoot.value);
    EXPECT_EQ(t.record(kRoot).links, 3u);
    ASSERT_EQ(t.create(a, "b", kDirectory), Error::kNone);
    EXPECT_EQ(t.record(a).links, 3u);
    EXPECT_EQ(t.unlink(kRoot, "a"), Error::kNotEmpty);
    EXPECT_EQ(t.unlink(a, "b"), Error::kNone);
    EXPECT_EQ(t.unlink(kRoot, "a"), Error::kNone);
    EXPECT_EQ(t.record(kRoot).links, 2u);
    EXPECT_EQ(t.record(kRoot).size, 0u);
}

TEST(Namespace, DeviceNodesKeepTheirNumber)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "null", kTypeCharacter | 0666), Error::kNone);
    EXPECT_EQ(t.record(t.last).device, 0x0801u);
    for (u16 type : {kTypeFifo, kTypeSocket, kTypeBlock})
        EXPECT_EQ(t.create(kRoot, std::to_string(type), type | 0600), Error::kNone);
    EXPECT_EQ(t.create(kRoot, "none", 0644), Error::kInvalid);
}

TEST(Namespace, RefusesBadNames)
{
    NamespaceFixture t;
    EXPECT_EQ(t.create(kRoot, std::string(256, 'x'), kFile), Error::kNameTooLong);
    EXPECT_EQ(t.create(kRoot, std::string(255, 'x'), kFile), Error::kNone);
    EXPECT_EQ(t.create(kRoot, "", kFile), Error::kInvalid);
    EXPECT_EQ(t.create(kRoot, "a/b", kFile), Error::kInvalid);
    EXPECT_EQ(t.create(kRoot, "twice", kFile), Error::kNone);
    const u64 used = t.files.fs().inodes().used();
    EXPECT_EQ(t.create(kRoot, "twice", kDirectory), Error::kExists);
    EXPECT_EQ(t.files.fs().inodes().used(), used);
    EXPECT_EQ(t.unlink(kRoot, "never"), Error::kNotFound);
    EXPECT_EQ(t.create(t.last, "below-a-file", kFile), Error::kNotDirectory);
}

TEST(Namespace, SymlinksOfEveryLengthComeBack)
{
    NamespaceFixture t;
    for (usize length : {1u, 119u, 120u, 121u, 4095u}) {
        std::string target;
        for (usize i = 0; i < length; i++)
            target.push_back(static_cast<char>('a' + (i * 7 + length) % 26));
        ASSERT_EQ(t.create(kRoot, "link" + std::to_string(length), kLink, target), Error::kNone);
        EXPECT_EQ(t.record(t.last).blocks, length <= 120 ? 0u : 1u);
        std::string buffer(4096, '\0');
        MutableBytes bytes(reinterpret_cast<byte*>(buffer.data()), buffer.size());
        auto got = t.names().read_link(*t.open(t.last), bytes);
        ASSERT_TRUE(got.is_ok());
        EXPECT_EQ(buffer.substr(0, got.value()), target);
        auto small = t.names().read_link(*t.open(t.last), bytes.first(length - 1));
        EXPECT_EQ(small.error(), Error::kInvalid);
    }
    EXPECT_EQ(t.create(kRoot, "empty", kLink, ""), Error::kInvalid);
    EXPECT_EQ(t.create(kRoot, "long", kLink, std::string(4096, 'x')), Error::kNameTooLong);
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST(Namespace, LinksCountAndTheLastOneFrees)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "one", kFile), Error::kNone);
    const InodeNumber file = t.last;
    EXPECT_EQ(t.link(kRoot, "two", file), Error::kNone);
    EXPECT_EQ(t.link(kRoot, "two", file), Error::kExists);
    EXPECT_EQ(t.record(file).links, 2u);
    EXPECT_EQ(t.link(kRoot, "root", kRoot), Error::kIsDirectory);
    EXPECT_EQ(t.unlink(kRoot, "one"), Error::kNone);
    EXPECT_EQ(t.record(file).links, 1u);
    EXPECT_EQ(t.unlink(kRoot, "two"), Error::kNone);
    EXPECT_EQ(t.files.fs().inodes().find(file).error(), Error::kStale);
}

TEST(Namespace, TheLinkLimitHolds)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "file", kFile), Error::kNone);
    const InodeNumber file = t.last;
    {
        tarnfs_inode& record = t.files.record(file);
        record.links = TARNFS_LINK_MAX - 1;
        t.files.seal(record);
    }
    EXPECT_EQ(t.link(kRoot, "last", file), Error::kNone);
    EXPECT_EQ(t.link(kRoot, "one-too-many", file), Error::kTooManyLinks);
    tarnfs_inode& root = t.files.record(kRoot);
    root.links = TARNFS_LINK_MAX;
    t.files.seal(root);
    EXPECT_EQ(t.create(kRoot, "dir", kDirectory), Error::kTooManyLinks);
    EXPECT_EQ(t.create(kRoot, "another", kFile), Error::kNone);
}

TEST(Namespace, UnlinkChecksWhatTheNameMeans)
{
    NamespaceFixture t;
    t.create(kRoot, "a", kFile);
    auto a = t.open(t.last);
    t.create(kRoot, "b", kFile);
    auto root = t.open(kRoot);
    EXPECT_EQ(t.names().unlink(*root, name_bytes("b"), *a, t.tick()).error(), Error::kNotFound);
}

struct RenameCase {
    const char* moved;
    const char* target;
    Error expected;
};

class NamespaceRename : public ::testing::TestWithParam<RenameCase> {};

// Every kind of thing onto every kind of thing, in the same directory and across directories.
TEST_P(NamespaceRename, Matrix)
{
    for (const bool crosses : {false, true}) {
        NamespaceFixture t;
        t.create(kRoot, "from", kDirectory);
        const InodeNumber from = t.last;
        t.create(kRoot, "to", kDirectory);
        const InodeNumber to = crosses ? t.last : from;
        auto make = [&](InodeNumber dir, const std::string& kind, const std::string& name) {
            if (kind == "none")
                return;
            ASSERT_EQ(t.create(dir, name,
                               kind == "file"   ? kFile
                               : kind == "link" ? kLink
                                                : kDirectory,
                               kind == "link" ? "target" : ""),
                      Error::kNone);
            const InodeNumber made = t.last;
            if (kind == "full")
                t.create(made, "inside", kFile);
            t.last = made;
        };
        make(to, GetParam().target, "new");
        make(from, GetParam().moved, "old");
        const InodeNumber moved = t.last;
        const auto from_before = t.list(from), to_before = t.list(to);

        EXPECT_EQ(t.rename(from, "old", to, "new"), GetParam().expected);
        if (GetParam().expected != Error::kNone) {
            EXPECT_EQ(t.list(from), from_before);
            EXPECT_EQ(t.list(to), to_before);
        } else {
            EXPECT_EQ(t.list(from).count("old"), 0u);
            EXPECT_EQ(t.list(to).at("new"), moved.value);
            EXPECT_EQ(t.record(moved).ctime, t.seconds);
            EXPECT_EQ(t.record(from).mtime, t.seconds);
            EXPECT_EQ(t.record(to).mtime, t.seconds);
            if (t.open(moved)->is_directory()) {
                EXPECT_EQ(t.record(moved).parent, to.value);
            }
        }
        t.files.unmount();
        EXPECT_EQ(check_device(t.files.device()).text(), "");
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, NamespaceRename,
    ::testing::Values(RenameCase{"file", "none", Error::kNone}, RenameCase{"file", "file", Error::kNone},
                      RenameCase{"file", "link", Error::kNone},
                      RenameCase{"file", "empty", Error::kIsDirectory},
                      RenameCase{"link", "none", Error::kNone}, RenameCase{"link", "file", Error::kNone},
                      RenameCase{"empty", "none", Error::kNone}, RenameCase{"empty", "empty", Error::kNone},
                      RenameCase{"empty", "full", Error::kNotEmpty},
                      RenameCase{"empty", "file", Error::kNotDirectory},
                      RenameCase{"full", "none", Error::kNone}, RenameCase{"full", "empty", Error::kNone},
                      RenameCase{"full", "full", Error::kNotEmpty}),
    [](const auto& test) { return std::string(test.param.moved) + "_onto_" + test.param.target; });

TEST(Namespace, RenameBetweenTwoNamesOfOneInodeDoesNothing)
{
    NamespaceFixture t;
    t.create(kRoot, "one", kFile);
    t.link(kRoot, "two", t.last);
    EXPECT_EQ(t.rename(kRoot, "one", kRoot, "two"), Error::kNone);
    EXPECT_EQ(t.list(kRoot).size(), 2u);
}

// Every kind of thing with every kind, in one directory and across two: both names, counts and parents.
TEST(Namespace, ExchangeGivesEachTheNameOfTheOther)
{
    for (const bool crosses : {false, true})
        for (const u32 mode : {kFile, kLink, kDirectory})
            for (const u32 other_mode : {kFile, kLink, kDirectory}) {
                NamespaceFixture t;
                t.create(kRoot, "from", kDirectory);
                const InodeNumber from = t.last;
                t.create(kRoot, "to", kDirectory);
                const InodeNumber to = crosses ? t.last : from;
                t.create(from, "one", mode, mode == kLink ? "target" : "");
                const InodeNumber one = t.last;
                t.create(to, "two", other_mode, other_mode == kLink ? "target" : "");
                const InodeNumber two = t.last;
                const u64 before = t.files.device().counters().fences.load_relaxed();
                ASSERT_EQ(t.exchange(from, "one", to, "two"), Error::kNone);
                EXPECT_EQ(t.files.device().counters().fences.load_relaxed() - before, 1u);
                EXPECT_EQ(t.list(from)["one"], two.value);
                EXPECT_EQ(t.list(to)["two"], one.value);
                const u32 subdirectories = (mode == kDirectory) + (other_mode == kDirectory);
                EXPECT_EQ(t.record(from).links, 2u + (crosses ? other_mode == kDirectory : subdirectories));
                EXPECT_EQ(t.record(to).links, 2u + (crosses ? mode == kDirectory : subdirectories));
                EXPECT_EQ(t.record(one).parent, mode == kDirectory ? to.value : 0);
                EXPECT_EQ(t.record(two).parent, other_mode == kDirectory ? from.value : 0);
                for (const InodeNumber changed : {from, to, one, two})
                    EXPECT_EQ(t.record(changed).ctime, t.seconds);
                t.files.unmount();
                EXPECT_EQ(check_device(t.files.device()).text(), "");
            }
}

TEST(Namespace, ExchangeHoldsTheLinkLimitOfBothDirectories)
{
    NamespaceFixture t;
    t.create(kRoot, "other", kDirectory);
    const InodeNumber other = t.last;
    t.create(other, "file", kFile);
    t.create(kRoot, "dir", kDirectory);
    tarnfs_inode& record = t.files.record(other);
    record.links = TARNFS_LINK_MAX;
    t.files.seal(record);
    EXPECT_EQ(t.exchange(kRoot, "dir", other, "file"), Error::kTooManyLinks);
    EXPECT_EQ(t.exchange(other, "file", kRoot, "dir"), Error::kTooManyLinks);
    EXPECT_EQ(t.record(kRoot).links, 4u);
    EXPECT_EQ(t.exchange(other, "file", kRoot, "none"), Error::kNotFound);
}

TEST(Namespace, RenameLeavesAWhiteoutWhereAsked)
{
    for (const bool over : {false, true}) {
        NamespaceFixture t;
        t.create(kRoot, "dir", kDirectory);
        const InodeNumber dir = t.last;
        if (over)
            t.create(dir, "new", kFile);
        t.create(kRoot, "old", kFile);
        const InodeNumber moved = t.last;
        const NewInode whiteout{kTypeCharacter, 7, 8, 0, {}, t.tick()};
        const u64 before = t.files.device().counters().fences.load_relaxed();
        ASSERT_EQ(t.rename(kRoot, "old", dir, "new", &whiteout), Error::kNone);
        if (!over) {
            EXPECT_EQ(t.files.device().counters().fences.load_relaxed() - before, 1u);
        }
        EXPECT_EQ(t.list(dir)["new"], moved.value);
        EXPECT_EQ(t.record(kRoot).size, 2u);
        const tarnfs_inode left = t.record(InodeNumber(t.list(kRoot)["old"]));
        EXPECT_EQ(left.mode, kTypeCharacter);
        EXPECT_EQ(left.device, 0u);
        EXPECT_EQ(left.uid, 7u);
        EXPECT_EQ(left.links, 1u);
        t.files.cut_power();
        EXPECT_EQ(check_device(t.files.device()).text(), "");
        t.files.mount();
        // Over itself, and a number is given back where nothing comes of it.
        const u64 used = t.files.fs().inodes().used();
        EXPECT_EQ(t.rename(kRoot, "old", dir, "new", &whiteout), Error::kNone);
        EXPECT_EQ(t.files.fs().inodes().used(), used);
        EXPECT_EQ(t.rename(kRoot, "old", kRoot, std::string(256, 'x'), &whiteout), Error::kNameTooLong);
        EXPECT_EQ(t.files.fs().inodes().used(), used);
        t.files.unmount();
        EXPECT_EQ(check_device(t.files.device()).text(), "");
    }
}

TEST(Namespace, ReaddirShowsEachEntryOnceWithAnyBuffer)
{
    NamespaceFixture t;
    std::map<std::string, u64> expected;
    for (int i = 0; i < 400; i++) {
        std::string name = std::to_string(i);
        name.append(static_cast<usize>(i % 240), 'n');
        ASSERT_EQ(t.create(kRoot, name, kFile), Error::kNone);
        expected[name] = t.last.value;
    }
    for (u32 size : {512u, 1024u, 4096u})
        EXPECT_EQ(t.list(kRoot, size), expected);
}

TEST(Namespace, AttributesAndTimesAreDurable)
{
    NamespaceFixture t;
    t.create(kRoot, "file", kFile);
    const InodeNumber file = t.last;
    tarn_attributes wanted = {};
    wanted.mode = kTypeDirectory | 04711;  // the type is not for changing
    wanted.uid = 5;
    wanted.gid = 6;
    wanted.times = {{-1, 999999999}, {1, 2}, {3, 4}};
    ASSERT_TRUE(t.names().set_attributes(*t.open(file), wanted).is_ok());
    t.files.cut_power();
    t.files.mount();
    tarn_attributes got = {};
    t.names().attributes(*t.open(file), got);
    EXPECT_EQ(got.mode, kTypeRegular | 04711u);
    EXPECT_EQ(got.uid, 5u);
    EXPECT_EQ(got.gid, 6u);
    EXPECT_EQ(got.times.access.seconds, -1);
    EXPECT_EQ(got.times.access.nanoseconds, 999999999u);

    const u64 fences = t.files.device().counters().fences.load_relaxed();
    ASSERT_TRUE(t.names().write_times(*t.open(file), got.times).is_ok());
    EXPECT_EQ(t.files.device().counters().fences.load_relaxed(), fences) << "nothing differed";
    got.times.modify.seconds++;
    ASSERT_TRUE(t.names().write_times(*t.open(file), got.times).is_ok());
    EXPECT_EQ(t.record(file).mtime, 2);
}

// The times of the VFS inode, when write-back has read them right before something was made in the directory.
TEST(Namespace, OldTimesOfADirectoryDoNotUndoThatItHasChanged)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "dir", kTypeDirectory | 0755), Error::kNone);
    const InodeNumber dir = t.last;
    tarn_attributes before = {};
    t.names().attributes(*t.open(dir), before);
    ASSERT_EQ(t.create(dir, "file", kFile), Error::kNone);
    const tarnfs_inode changed = t.record(dir);
    EXPECT_GT(changed.mtime, before.times.modify.seconds);
    before.times.access = {77, 7};
    ASSERT_TRUE(t.names().write_times(*t.open(dir), before.times).is_ok());
    EXPECT_EQ(t.record(dir).atime, 77) << "that is known by nobody else";
    EXPECT_EQ(t.record(dir).mtime, changed.mtime);
    EXPECT_EQ(t.record(dir).ctime, changed.ctime);
}

TEST(Namespace, NothingChangesOnAReadOnlyMount)
{
    NamespaceFixture t;
    t.create(kRoot, "file", kFile);
    t.files.unmount();
    t.files.mount(Access::kReadOnly);
    const auto before = t.files.device().image();
    EXPECT_EQ(t.create(kRoot, "new", kFile), Error::kReadOnly);
    EXPECT_EQ(t.unlink(kRoot, "file"), Error::kReadOnly);
    EXPECT_EQ(t.rename(kRoot, "file", kRoot, "new"), Error::kReadOnly);
    EXPECT_EQ(t.link(kRoot, "new", t.last), Error::kReadOnly);
    EXPECT_EQ(t.files.device().image(), before);
}

// E3: one fence each; two for what allocates data.
TEST(Namespace, EachChangeCostsOneFence)
{
    NamespaceFixture t;
    auto fences = [&] { return t.files.device().counters().fences.load_relaxed(); };
    t.create(kRoot, "warm-up", kFile);
    u64 before = fences();
    t.create(kRoot, "file", kFile);
    EXPECT_EQ(fences() - before, 1u);
    before = fences();
    t.link(kRoot, "second", t.last);
    EXPECT_EQ(fences() - before, 1u);
    before = fences();
    t.rename(kRoot, "second", kRoot, "third");
    EXPECT_EQ(fences() - before, 1u);
    before = fences();
    t.unlink(kRoot, "third");
    EXPECT_EQ(fences() - before, 1u);
    before = fences();
    t.create(kRoot, "long", kLink, std::string(500, 'x'));
    EXPECT_EQ(fences() - before, 2u);
}

TEST(Namespace, DamagedCountsAreReportedAndNothingIsDone)
{
    NamespaceFixture t;
    t.create(kRoot, "dir", kDirectory);
    const InodeNumber dir = t.last;
    t.create(dir, "file", kFile);
    tarnfs_inode& record = t.files.record(dir);
    record.size = 0;
    t.files.seal(record);
    LogCapture log;
    EXPECT_EQ(t.unlink(dir, "file"), Error::kBadInode);
    EXPECT_TRUE(log.contains("more entries than its size")) << log.text();
    EXPECT_EQ(t.create(kRoot, "afterwards", kFile), Error::kReadOnly);
    EXPECT_EQ(t.list(dir).size(), 1u) << "still readable";
}

}  // namespace tarn::test
