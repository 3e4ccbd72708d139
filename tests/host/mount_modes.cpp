// SPDX-License-Identifier: GPL-2.0
// Mounting as it is, going on after damage, shutting down on request, and the label.
#include <gtest/gtest.h>

#include <cstring>

#include "fs/file/object.hpp"
#include "tests/host/namespace_fixture.hpp"
#include "tests/host/support/durable.hpp"

namespace tarn::test {

namespace {

constexpr u32 kFile = kTypeRegular | 0644;

std::string label_of(Volume& volume)
{
    char text[TARNFS_LABEL_BYTES];
    volume.label(text);
    return text;
}

// Some operations, and the power goes: there is something to replay.
void leave_records(NamespaceFixture& t)
{
    ASSERT_EQ(t.create(kRoot, "kept", kFile), Error::kNone);
    ASSERT_EQ(t.create(kRoot, "dir", kTypeDirectory | 0755), Error::kNone);
    t.files.cut_power();
}

bool superblocks_agree(TestDevice& device, const Layout& layout)
{
    return memcmp(device.block(0), device.block(layout.replica().value), kBlockSize) == 0;
}

}  // namespace

TEST(MountModes, AsItIsNothingIsStoredAndNothingMayBe)
{
    NamespaceFixture t;
    leave_records(t);
    const auto before = t.files.device().image();
    LogCapture log;
    t.files.mount(Access::kAsItIs);
    EXPECT_EQ(t.files.fs().volume().replayed_records(), 0u);
    EXPECT_TRUE(t.files.fs().is_read_only());
    EXPECT_EQ(t.create(kRoot, "new", kFile), Error::kReadOnly);
    EXPECT_EQ(t.files.fs().set_access(Access::kReadWrite).error(), Error::kReadOnly);
    EXPECT_TRUE(log.contains("mount without norecovery"));
    EXPECT_TRUE(t.files.fs().set_access(Access::kReadOnly).is_ok());
    t.files.unmount();
    EXPECT_EQ(t.files.device().image(), before);
    t.files.mount();
    EXPECT_EQ(t.files.fs().volume().replayed_records(), 2u);
    EXPECT_NO_THROW(t.files.find(kRoot, "kept"));
}

TEST(MountModes, AsItIsWorksOnAReadOnlyDeviceWithRecordsAndOnDamagedJournalsAndBitmaps)
{
    NamespaceFixture t;
    leave_records(t);
    t.files.device().set_read_only(1);
    LogCapture log;
    EXPECT_EQ(FileSystem::open(t.files.device().device(), Access::kReadOnly).error(), Error::kReadOnly);
    t.files.mount(Access::kAsItIs);
    const Layout layout = t.files.fs().volume().layout();
    t.files.unmount();
    memset(t.files.device().block(layout.journal(0).value), 0xff, kBlockSize);
    memset(t.files.device().block(layout.bitmap(0).value), 0xff, 64);
    EXPECT_FALSE(FileSystem::open(t.files.device().device(), Access::kReadOnly).is_ok());
    EXPECT_NO_THROW(t.files.mount(Access::kAsItIs));
}

TEST(MountModes, GoingOnAfterDamageOnlyWhatIsDamagedRefuses)
{
    NamespaceFixture t;
    ASSERT_EQ(t.create(kRoot, "bad", kFile), Error::kNone);
    const InodeNumber bad = t.last;
    ASSERT_EQ(t.create(kRoot, "good", kFile), Error::kNone);
    t.files.fs().volume().set_on_damage(Volume::OnDamage::kContinue);
    tarnfs_inode& record = t.files.record(bad);
    record.uid ^= 1;
    LogCapture log;
    EXPECT_EQ(t.files.fs().inodes().find(bad).error(), Error::kBadInode);
    EXPECT_TRUE(log.contains("run fsck.tarnfs"));
    EXPECT_FALSE(log.contains("now read-only"));
    EXPECT_TRUE(t.files.fs().volume().is_damaged());
    EXPECT_FALSE(t.files.fs().is_read_only());
    EXPECT_EQ(t.create(kRoot, "new", kFile), Error::kNone);
    EXPECT_EQ(t.unlink(kRoot, "good"), Error::kNone);
    EXPECT_EQ(t.files.fs().inodes().find(bad).error(), Error::kBadInode) << "still refused";
    record.uid ^= 1;
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).text(), "");
}

TEST(MountModes, ADamagedJournalEndsChangesAllTheSame)
{
    NamespaceFixture t;
    t.files.fs().volume().set_on_damage(Volume::OnDamage::kContinue);
    host::pretend_cpu(0);
    ASSERT_EQ(t.create(kRoot, "file", kFile), Error::kNone);
    host::pretend_cpu(-1);
    const DeviceBlock ring = t.files.fs().volume().layout().journal(0) + 1;
    t.files.device().at<tarnfs_record>(ring.value).magic ^= 1;
    LogCapture log;
    EXPECT_EQ(t.files.fs().volume().retire().error(), Error::kBadJournal);
    EXPECT_TRUE(log.contains("now read-only"));
    EXPECT_TRUE(t.files.fs().is_read_only());
    t.files.device().at<tarnfs_record>(ring.value).magic ^= 1;
}

TEST(MountModes, ShutDownOnRequestWhatHasReturnedIsThere)
{
    NamespaceFixture t;
    DurableImage durable(t.files.device());
    ASSERT_EQ(t.create(kRoot, "kept", kFile), Error::kNone);
    LogCapture log;
    t.files.fs().volume().shut_down(Error::kRequested);
    EXPECT_TRUE(log.contains("shut down: on request"));
    EXPECT_EQ(t.create(kRoot, "late", kFile), Error::kShutDown);
    EXPECT_EQ(t.files.fs().sync().error(), Error::kShutDown);
    EXPECT_EQ(t.files.fs().set_access(Access::kReadWrite).error(), Error::kShutDown);
    EXPECT_EQ(t.files.fs().volume().set_label("late").error(), Error::kShutDown);
    t.files.unmount();
    TestFileSystem after(durable.bytes());
    EXPECT_NO_THROW(after.find(kRoot, "kept"));
    EXPECT_ANY_THROW(after.find(kRoot, "late"));
}

TEST(MountLabel, IsInBothSuperblocksAndStays)
{
    TestVolume volume;
    const std::string longest(TARNFS_LABEL_BYTES - 1, 'l');
    for (const std::string& wanted : {std::string("first"), longest, std::string("2"), std::string()}) {
        ASSERT_TRUE(volume->set_label(wanted.c_str()).is_ok());
        EXPECT_EQ(label_of(volume.volume()), wanted);
        EXPECT_TRUE(superblocks_agree(volume.device(), volume.layout()));
        volume.reopen();
        EXPECT_EQ(label_of(volume.volume()), wanted);
    }
    EXPECT_EQ(volume->set_label((longest + "l").c_str()).error(), Error::kInvalid);
    EXPECT_EQ(label_of(volume.volume()), "");
}

TEST(MountLabel, KeepsWhatANewerVersionPutIntoTheSuperblock)
{
    TestVolume volume;
    const Layout layout = volume.layout();
    for (u64 block : {u64{0}, layout.replica().value}) {
        auto& super = volume.device().at<tarnfs_superblock>(block);
        super.compat = 1 << 7;
        super.reserved[1000] = 7;
        super.crc = structure_crc(&super, sizeof super, offsetof(tarnfs_superblock, crc));
    }
    ASSERT_TRUE(volume->set_label("label").is_ok());
    EXPECT_EQ(volume.device().at<tarnfs_superblock>(0).compat, 1u << 7);
    EXPECT_EQ(volume.device().at<tarnfs_superblock>(0).reserved[1000], 7);
}

// Whatever of the two stores of a label becomes durable, and whichever superblock was damaged before.
TEST(MountLabel, APowerCutLeavesTheOldOneOrTheNewOneAndOneWholeSuperblock)
{
    enum class Damage { kNone, kPrimary, kReplica };
    for (Damage damage : {Damage::kNone, Damage::kPrimary, Damage::kReplica})
        for (u64 fence = 1; fence <= 2; fence++)
            for (bool torn : {false, true}) {
                TestVolume volume;
                const Layout layout = volume.layout();
                ASSERT_TRUE(volume->set_label("old").is_ok());
                if (damage == Damage::kPrimary)
                    volume.device().at<tarnfs_superblock>(0).created ^= 1;
                if (damage == Damage::kReplica)
                    volume.device().at<tarnfs_superblock>(layout.replica().value).created ^= 1;
                const auto before = volume.device().image();
                volume.device().fail_fences_from(fence);
                LogCapture log;
                EXPECT_FALSE(volume->set_label("new").is_ok());
                auto after = volume.device().image();
                // Of what the failed fence should have made durable, every second line has not come through.
                const u64 first = damage == Damage::kPrimary ? 0 : layout.replica().value;
                const u64 second = damage == Damage::kPrimary ? layout.replica().value : 0;
                const u64 at = (fence == 1 ? first : second) * kBlockSize;
                for (u64 line = 0; torn && line < kBlockSize; line += 128)
                    memcpy(&after[at + line], &before[at + line], 64);
                volume.abandon();
                TestFileSystem found(after);
                const std::string label = label_of(found.fs().volume());
                EXPECT_TRUE(label == "old" || label == "new") << label;
                EXPECT_TRUE(superblocks_agree(found.device(), layout)) << "the mount has mended them";
                found.unmount();
                EXPECT_EQ(check_device(found.device()).text(), "");
            }
}

TEST(MountLabel, AMountForReadingMendsNothing)
{
    TestVolume volume;
    const Layout layout = volume.layout();
    volume.close();
    volume.device().at<tarnfs_superblock>(layout.replica().value).created ^= 1;
    const auto before = volume.device().image();
    {
        auto opened = FileSystem::open(volume.device().device(), Access::kReadOnly);
        ASSERT_TRUE(opened.is_ok());
    }
    EXPECT_EQ(volume.device().image(), before);
}

}  // namespace tarn::test
