// SPDX-License-Identifier: GPL-2.0
// A fence that fails: whoever met it, and whatever the device says later, nothing more becomes durable.
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/host/namespace_fixture.hpp"
#include "tests/host/support/durable.hpp"

namespace tarn::test {

namespace {

constexpr u32 kFile = kTypeRegular | 0644;

// What is true after one fence has failed and the device works again.
void expect_stopped(NamespaceFixture& t, const std::vector<std::byte>& image)
{
    t.files.device().fail_fences_from(0);
    EXPECT_NE(t.create(kRoot, "later", kFile), Error::kNone) << "nothing may be built on what may be lost";
    EXPECT_FALSE(t.files.fs().volume().may_change().is_ok());
    t.files.unmount();
    TestDevice survived(image);
    EXPECT_EQ(check_device(survived).text(), "");
    TestFileSystem after(image);
    EXPECT_NO_THROW(after.find(kRoot, "before"));
}

}  // namespace

TEST(CrashFence, SyncFindsEverythingDurable)
{
    NamespaceFixture t;
    DurableImage durable(t.files.device());
    ASSERT_EQ(t.create(kRoot, "before", kFile), Error::kNone);
    const u64 fences = durable.fences();
    EXPECT_TRUE(t.files.fs().sync().is_ok());
    EXPECT_EQ(durable.fences(), fences);
    LogCapture log;
    t.files.device().fail_fences_from(1);
    EXPECT_EQ(t.files.fs().settle().error(), Error::kDeviceFlush);
    EXPECT_EQ(t.files.fs().sync().error(), Error::kShutDown);
    EXPECT_TRUE(log.contains("shut down"));
    expect_stopped(t, durable.bytes());
}

TEST(CrashFence, AFailedFenceOfALinkTargetStopsChanges)
{
    NamespaceFixture t;
    DurableImage durable(t.files.device());
    ASSERT_EQ(t.create(kRoot, "before", kFile), Error::kNone);
    LogCapture log;
    t.files.device().fail_fences_from(1);
    EXPECT_EQ(t.create(kRoot, "link", kTypeSymlink | 0777, std::string(1000, 't')), Error::kDeviceFlush);
    expect_stopped(t, durable.bytes());
}

TEST(CrashFence, AFailedFenceOfNewInodesStopsChanges)
{
    NamespaceFixture t;
    DurableImage durable(t.files.device());
    ASSERT_EQ(t.create(kRoot, "before", kFile), Error::kNone);
    std::vector<ReservedInode> all;
    while (t.files.fs().inodes().free_numbers())
        all.push_back(t.files.fs().inodes().reserve(kRoot).take());
    LogCapture log;
    t.files.device().fail_fences_from(1);
    EXPECT_EQ(t.create(kRoot, "file", kFile), Error::kDeviceFlush) << "it needs another chunk";
    all.clear();
    expect_stopped(t, durable.bytes());
}

// A retirement that fails must not be followed by another that overwrites the only slots known to be good.
TEST(CrashFence, AFailedRetirementIsNotRepeated)
{
    TestVolume volume;
    for (u64 nth = 1; nth <= 2; nth++) {
        LogCapture log;
        volume.device().fail_fences_from(nth);
        EXPECT_EQ(volume->journals().retire().error(), Error::kDeviceFlush);
        volume.device().fail_fences_from(0);
        const auto before = volume.device().image();
        EXPECT_EQ(volume->journals().retire().error(), Error::kDeviceFlush);
        EXPECT_EQ(volume.device().image(), before);
        volume.abandon();
        volume.open();
    }
}

namespace {

// What a device holds, durable or not, when a fence is asked for.
struct AtFence {
    TestDevice& device;
    u64 nth;  // 1 is the next
    std::vector<std::byte> image;

    static int on_event(void* context, const host::Event& event)
    {
        auto& self = *static_cast<AtFence*>(context);
        if (event.kind == host::Event::Kind::kFence && --self.nth == 0)
            self.image = self.device.image();
        return 0;
    }
};

}  // namespace

// A journal's newest slot was read, but the fence behind it had failed: the power goes before the next one.
// Whatever is torn then, one slot of each journal is good.
TEST(CrashFence, TheMountAfterAFailedOneKeepsAGoodSlot)
{
    for (u64 failing = 1; failing <= 2; failing++)
        for (u64 nth = 1; nth <= 2; nth++) {
            LogCapture log;
            TestVolume volume;
            const Layout layout = volume.layout();
            ASSERT_TRUE(volume.close());
            const auto before = volume.device().image();
            volume.device().fail_fences_from(failing);
            EXPECT_ANY_THROW(volume.open());
            TestDevice device(before);
            DurableImage durable(device);  // nothing of what has been stored since
            device.restore(volume.device().image());
            durable.remember_before_fence(nth);
            AtFence stored{device, nth, {}};
            device.set_observer({&stored, AtFence::on_event});
            ASSERT_TRUE(Volume(device.device(), layout).open(Volume::Access::kReadWrite).is_ok());
            std::vector<std::byte> cut = durable.remembered();
            ASSERT_EQ(cut.size(), before.size());
            ASSERT_EQ(stored.image.size(), before.size());
            for (u64 at = layout.journal_start.value * kBlockSize;
                 at < layout.bitmap_start.value * kBlockSize; at += 2 * kWordSize)
                std::memcpy(cut.data() + at, stored.image.data() + at, kWordSize);
            EXPECT_NO_THROW(TestVolume{cut})
                << "fence " << failing << " failed, cut at the next mount's fence " << nth;
        }
}

// A record was read, but the fence behind it had failed: the power goes while it is replayed. What it does is not there
// without it.
TEST(CrashFence, TheMountAfterAFailedOneReplaysWhatIsDurable)
{
    for (u64 nth = 1; nth <= 4; nth++) {
        LogCapture log;
        NamespaceFixture t;
        const Layout layout = t.files.fs().volume().layout();
        const auto before = t.files.device().image();
        t.files.device().fail_fences_from(1);
        EXPECT_NE(t.create(kRoot, "file", kFile), Error::kNone);
        t.files.device().fail_fences_from(0);
        t.files.unmount();
        TestDevice device(before);
        DurableImage durable(device);
        device.restore(t.files.device().image());
        durable.remember_before_fence(nth);
        AtFence stored{device, nth, {}};
        device.set_observer({&stored, AtFence::on_event});
        ASSERT_TRUE(FileSystem::open(device.device(), Access::kReadWrite).is_ok());
        // Of all that is stored in place, one line gets to the media.
        const u64 from = layout.journal_start.value * kBlockSize, end = layout.bitmap_start.value * kBlockSize;
        ASSERT_EQ(stored.image.size(), before.size());
        for (u64 at = 0; at < before.size(); at += kLineSize) {
            const bool is_logged = at >= from && at < end;
            if (is_logged || std::memcmp(&stored.image[at], &durable.remembered()[at], kLineSize) == 0)
                continue;
            std::vector<std::byte> cut = durable.remembered();
            std::memcpy(&cut[at], &stored.image[at], kLineSize);
            TestDevice survived(cut);
            EXPECT_EQ(check_device(survived).text(), "") << "fence " << nth << ", byte " << at;
        }
    }
}

TEST(CrashFence, AFailedStartOfChangesIsNotRepeated)
{
    TestVolume volume;
    ASSERT_TRUE(volume.close());
    for (u64 nth = 1; nth <= 2; nth++) {
        LogCapture log;
        volume.open(Volume::Access::kReadOnly);
        volume.device().fail_fences_from(nth);
        EXPECT_EQ(volume->set_read_write().error(), Error::kDeviceFlush);
        volume.device().fail_fences_from(0);
        const auto before = volume.device().image();
        EXPECT_FALSE(volume->set_read_write().is_ok());
        EXPECT_EQ(volume.device().image(), before);
        volume.abandon();
    }
    volume.open();
}

namespace {

// A device with two flushes under way: the first fails, the second does not know and reports success
// afterwards.
struct TwoFlushes {
    std::atomic<int> begun{0};
    std::atomic<bool> first_is_over{false};

    template <class Condition>
    static void wait(Condition condition)
    {
        for (int i = 0; i < 200 && !condition(); i++)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    static int on_event(void* context, const host::Event& event)
    {
        auto& self = *static_cast<TwoFlushes*>(context);
        if (event.kind != host::Event::Kind::kFence)
            return 0;
        const bool is_first = self.begun.fetch_add(1) == 0;
        wait([&] { return is_first ? self.begun == 2 : self.first_is_over.load(); });
        return is_first ? -5 : 0;
    }
};

}  // namespace

// What both cover may be what the first has lost.
TEST(CrashFence, AFlushBesideOneThatFailsIsNotBelieved)
{
    TestDevice device(kTestBlocks, TARN_DEVICE_FLUSH);
    TwoFlushes flushes;
    device.set_observer({&flushes, TwoFlushes::on_event});
    Media media(device.device());
    std::thread first([&] {
        EXPECT_EQ(media.fence().error(), Error::kDeviceFlush);
        flushes.first_is_over = true;
    });
    TwoFlushes::wait([&] { return flushes.begun == 1; });
    EXPECT_EQ(media.fence().error(), Error::kDeviceFlush);
    first.join();
}

}  // namespace tarn::test
