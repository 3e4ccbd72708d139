// SPDX-License-Identifier: GPL-2.0
// InodeTable: numbers, generations, chunks and groups come and go; orphans are finished after a crash.
#include "fs/inode/table.hpp"

#include <set>

#include "tests/host/namespace_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u32 kFile = kTypeRegular | 0644;

u64 free_now(NamespaceFixture& t)
{
    Volume& volume = t.files.fs().volume();
    EXPECT_TRUE(volume.journals().retire().is_ok());  // what was freed as metadata comes back
    return volume.space().free_blocks();
}

}  // namespace

TEST(InodeTable, AReservedNumberThatIsDroppedIsFreeAgain)
{
    NamespaceFixture t;
    InodeTable& table = t.files.fs().inodes();
    InodeNumber first;
    for (int i = 0; i < 3; i++) {
        auto reserved = table.reserve(kRoot);
        ASSERT_TRUE(reserved.is_ok());
        const ReservedInode token = reserved.take();
        if (i == 0)
            first = token.number();
        EXPECT_EQ(token.number(), first);
        auto other = table.reserve(kRoot);
        ASSERT_TRUE(other.is_ok());
        EXPECT_NE(other.take().number(), first);
    }
    EXPECT_EQ(table.find(first).error(), Error::kStale);
    EXPECT_EQ(table.used(), 2u);
}

TEST(InodeTable, AReusedNumberHasAnotherGeneration)
{
    NamespaceFixture t;
    std::set<u32> generations;
    u64 number = 0;
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(t.create(kRoot, "file", kFile), Error::kNone);
        if (i == 0)
            number = t.last.value;
        EXPECT_EQ(t.last.value, number) << "the lowest free number";
        EXPECT_TRUE(generations.insert(t.record(t.last).generation).second);
        ASSERT_EQ(t.unlink(kRoot, "file"), Error::kNone);
        if (i % 5 == 4) {
            t.files.cut_power();
            t.files.mount();
        }
    }
}

TEST(InodeTable, ChunksComeWithUseAndGoAgain)
{
    NamespaceFixture t;
    const u64 free = free_now(t);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++)
            ASSERT_EQ(t.create(kRoot, std::to_string(i), kFile), Error::kNone);
        EXPECT_EQ(t.files.fs().inodes().used(), 1002u);
        EXPECT_LT(free_now(t), free - 1000 / TARNFS_INODES_PER_BLOCK);
        for (int i = 0; i < 1000; i++)
            ASSERT_EQ(t.unlink(kRoot, std::to_string((i * 7 + round) % 1000)), Error::kNone);
        EXPECT_EQ(free_now(t), free) << "same capacity";
        EXPECT_EQ(t.files.fs().inodes().used(), 2u);
    }
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST(InodeTable, CreatingAndRemovingAtTheEdgeOfAChunkCostsNoChunkEachTime)
{
    NamespaceFixture t;
    for (int i = 0; i < 62; i++)
        ASSERT_EQ(t.create(kRoot, std::to_string(i), kFile), Error::kNone);
    ASSERT_EQ(t.create(kRoot, "edge", kFile), Error::kNone);
    ASSERT_EQ(t.unlink(kRoot, "edge"), Error::kNone);
    const u64 fences = t.files.device().counters().fences.load_relaxed();
    for (int i = 0; i < 10; i++) {
        ASSERT_EQ(t.create(kRoot, "edge", kFile), Error::kNone);
        ASSERT_EQ(t.unlink(kRoot, "edge"), Error::kNone);
    }
    EXPECT_EQ(t.files.device().counters().fences.load_relaxed() - fences, 30u) << "create, unlink, free";
}

TEST(InodeTable, GroupsComeWithUseAndGoAgain)
{
    NamespaceFixture t(16384);
    InodeTable& table = t.files.fs().inodes();
    const u64 free = free_now(t);
    constexpr int kMany = TARNFS_BITMAP_BITS + 500;
    for (int i = 0; i < kMany; i++)
        ASSERT_EQ(t.create(kRoot, std::to_string(i), kFile), Error::kNone);
    EXPECT_EQ(table.group_count(), 2u);
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
    t.files.mount();
    EXPECT_EQ(t.files.fs().inodes().used(), u64{kMany} + 2);
    for (int i = kMany - 1; i >= 0; i--)
        ASSERT_EQ(t.unlink(kRoot, std::to_string(i)), Error::kNone);
    EXPECT_EQ(t.files.fs().inodes().group_count(), 1u);
    EXPECT_EQ(free_now(t), free);
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

// Wherever memory runs out, what the media has got is known: the next attempt does not meet it as damage.
TEST(InodeTable, AGroupThatCouldNotBeAddedForWantOfMemoryIsAddedLater)
{
    NamespaceFixture t(16384);
    InodeTable& table = t.files.fs().inodes();
    std::vector<ReservedInode> all;
    while (all.size() + 2 < TARNFS_BITMAP_BITS)
        all.push_back(table.reserve(kRoot).take());
    ASSERT_EQ(table.group_count(), 1u);
    Error error = Error::kNoMemory;
    for (long countdown = 0; error == Error::kNoMemory; countdown++) {
        host::fail_allocation_after(countdown);
        auto next = table.reserve(kRoot);
        host::fail_allocation_after(-1);
        error = next.error();
    }
    EXPECT_EQ(error, Error::kNone);
    EXPECT_EQ(table.group_count(), 2u);
    EXPECT_FALSE(t.files.fs().is_read_only());
    all.clear();
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST(InodeTable, FullIsNoSpaceAndNothingHalfDone)
{
    NamespaceFixture t;
    int made = 0;
    Error error = Error::kNone;
    while ((error = t.create(kRoot, std::to_string(made), kFile)) == Error::kNone)
        made++;
    EXPECT_EQ(error, Error::kNoSpace);
    EXPECT_EQ(t.files.fs().inodes().used(), static_cast<u64>(made) + 2);
    for (int i = 0; i < made; i++)
        ASSERT_EQ(t.unlink(kRoot, std::to_string(i)), Error::kNone)
            << "unlinking works on a full file system";
    int again = 0;
    while (t.create(kRoot, std::to_string(again), kFile) == Error::kNone)
        again++;
    EXPECT_EQ(again, made);
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST(InodeTable, OrphansAreFreedByTheNextReadWriteMount)
{
    NamespaceFixture t;
    const u64 free = free_now(t);
    std::vector<InodeNumber> orphans;
    for (int i = 0; i < 100; i++) {
        const InodeNumber file = t.files.file(kRoot, std::to_string(i));
        t.files.fill(file, static_cast<u64>(i), 3);
        orphans.push_back(file);
    }
    t.files.create(kRoot, "link", kTypeSymlink | 0777, std::string(1000, 'l'));
    t.files.mkdir(kRoot, "dir");
    for (int i = 0; i < 100; i++)
        t.files.unlink(kRoot, std::to_string(i));
    t.files.unlink(kRoot, "link");
    t.files.unlink(kRoot, "dir");
    t.files.cut_power();
    EXPECT_EQ(check_device(t.files.device()).summary.orphans, 102u);

    LogCapture log;
    t.files.mount(Access::kReadOnly);
    EXPECT_TRUE(t.files.fs().inodes().find(orphans[0]).is_ok()) << "left alone";
    EXPECT_TRUE(t.files.fs().set_access(Access::kReadWrite).is_ok());
    EXPECT_TRUE(log.contains("102 orphans freed")) << log.text();
    EXPECT_EQ(t.files.fs().inodes().find(orphans[0]).error(), Error::kStale);
    EXPECT_EQ(t.files.fs().inodes().used(), 2u);
    EXPECT_EQ(free_now(t), free);
    t.files.unmount();
    const Checked checked = check_device(t.files.device());
    EXPECT_EQ(checked.text(), "");
    EXPECT_EQ(checked.summary.orphans, 0u);
}

TEST(InodeTable, WhatCannotFreeItsOrphansStaysReadOnly)
{
    NamespaceFixture t;
    const u64 free = free_now(t);
    for (int i = 0; i < 3; i++)
        t.files.fill(t.files.file(kRoot, std::to_string(i)), 0, 3);
    for (int i = 0; i < 3; i++)
        t.files.unlink(kRoot, std::to_string(i));
    t.files.cut_power();
    LogCapture log;
    t.files.mount(Access::kReadOnly);
    int failures = 0;
    for (long countdown = 0;; countdown++) {
        host::fail_allocation_after(countdown);
        const Error error = t.files.fs().set_access(Access::kReadWrite).error();
        host::fail_allocation_after(-1);
        if (error == Error::kNone)
            break;
        failures++;
        ASSERT_EQ(error, Error::kNoMemory);
        ASSERT_TRUE(t.files.fs().is_read_only());
    }
    EXPECT_GT(failures, 3);
    EXPECT_EQ(free_now(t), free);
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST(InodeTable, AnOrphanWithLinksIsTruncatedToItsSize)
{
    NamespaceFixture t;
    const InodeNumber file = t.files.file(kRoot, "file");
    t.files.fill(file, 0, 10);
    {
        auto inode = t.open(file);
        ExclusiveGuard guard(inode->lock);
        Transaction txn(t.files.fs().volume());
        auto record = txn.edit_inode_record(inode->record);
        ASSERT_TRUE(record.is_ok());
        record.value().size = 3 * kBlockSize + 1;
        ASSERT_TRUE(t.files.fs().inodes().add_orphan(txn, *inode).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    t.files.cut_power();
    LogCapture log;
    t.files.mount(Access::kReadOnly);
    EXPECT_TRUE(t.files.fs().set_access(Access::kReadWrite).is_ok());
    EXPECT_EQ(t.record(file).blocks, 10u) << "somebody may be reading it";
    t.files.cut_power();
    t.files.mount();
    EXPECT_EQ(t.record(file).blocks, 4u);
    EXPECT_EQ(t.record(file).size, 3 * kBlockSize + 1);
    auto orphan = t.files.fs().inodes().is_orphan(*t.open(file));
    ASSERT_TRUE(orphan.is_ok());
    EXPECT_FALSE(orphan.value());
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

struct RecordDamage {
    const char* name;
    void (*harm)(tarnfs_inode& record);
    const char* message;
};

class InodeTableDamage : public ::testing::TestWithParam<RecordDamage> {};

TEST_P(InodeTableDamage, IsReportedAndMakesReadOnly)
{
    NamespaceFixture t;
    t.files.file(kRoot, "other");
    const InodeNumber file = t.files.file(kRoot, "file");
    tarnfs_inode& record = t.files.record(file);
    GetParam().harm(record);
    if (std::string(GetParam().message) != "checksum")
        t.files.seal(record);
    LogCapture log;
    EXPECT_EQ(t.files.fs().inodes().find(file).error(), Error::kBadInode);
    EXPECT_TRUE(log.contains(GetParam().message)) << log.text();
    EXPECT_TRUE(t.files.fs().is_read_only());
    EXPECT_EQ(t.files.fs().set_access(Access::kReadWrite).error(), Error::kReadOnly);
    EXPECT_EQ(t.list(kRoot).size(), 2u) << "the rest is readable";

    t.files.unmount();
    t.files.mount(Access::kReadOnly);
    EXPECT_EQ(t.files.fs().inodes().find(file).error(), Error::kBadInode);
    EXPECT_EQ(t.files.fs().set_access(Access::kReadWrite).error(), Error::kReadOnly)
        << "found while read-only";
}

INSTANTIATE_TEST_SUITE_P(
    All, InodeTableDamage,
    ::testing::Values(RecordDamage{"magic", [](tarnfs_inode& r) { r.magic++; }, "no inode where one is in use"},
                      RecordDamage{"crc", [](tarnfs_inode& r) { r.uid++; }, "checksum"},
                      RecordDamage{"number", [](tarnfs_inode& r) { r.number++; }, "another inode's record"},
                      RecordDamage{"type", [](tarnfs_inode& r) { r.mode = 0150644; }, "impossible inode type"},
                      RecordDamage{"time", [](tarnfs_inode& r) { r.mtime_ns = 1000000000; }, "impossible time"},
                      RecordDamage{"flags", [](tarnfs_inode& r) { r.flags = 0x200; }, "unknown inode flag"},
                      RecordDamage{"size", [](tarnfs_inode& r) { r.size = ~u64{0}; }, "impossible file size"}),
    [](const auto& test) { return test.param.name; });

TEST(InodeTable, ADamagedTableRefusesTheMount)
{
    NamespaceFixture t;
    t.files.unmount();
    Media media(t.files.device().device());
    auto layout = read_layout(media);
    ASSERT_TRUE(layout.is_ok());
    const auto image = t.files.device().image();
    tarnfs_inode& record = t.files.device().at<tarnfs_inode>(layout.value().system_block.value);
    record.mode ^= 1;
    LogCapture log;
    EXPECT_EQ(FileSystem::open(t.files.device().device(), Access::kReadOnly).error(), Error::kBadInode);
    EXPECT_TRUE(log.contains("checksum")) << log.text();

    t.files.device().restore(image);
    t.files.device().at<tarnfs_bitmap>(layout.value().first_data.value).index = 5;
    EXPECT_EQ(FileSystem::open(t.files.device().device(), Access::kReadOnly).error(), Error::kBadBitmap);
    EXPECT_TRUE(log.contains("inode bitmap")) << log.text();
}

}  // namespace tarn::test
