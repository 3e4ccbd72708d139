// SPDX-License-Identifier: GPL-2.0
// Growing while mounted: what becomes free, what a power cut leaves, where the superblock is found, and what
// is refused.
#include <gtest/gtest.h>

#include <cstring>

#include "fs/space/bits.hpp"
#include "tests/host/support/durable.hpp"
#include "tests/host/support/populated.hpp"

namespace tarn::test {

namespace {

FormatOptions options_for(u64 blocks, u64 grow_to = 0)
{
    FormatOptions options = test_format_options();
    options.blocks = blocks;
    options.grow_to = grow_to;
    return options;
}

constexpr u64 kGroup = TARNFS_BITMAP_BITS;

// Takes everything; each block once, none of the fixed ones.
void take_all(TestVolume& volume)
{
    std::vector<char> taken(volume.layout().blocks);
    std::vector<Reserved> kept;
    u64 count = 0;
    while (auto got = volume->reserve(10000, DeviceBlock(0), Use::kReserve)) {
        for (u64 i = 0; i < got.value().run().count; i++) {
            const DeviceBlock block = got.value().run().start + i;
            ASSERT_TRUE(volume.layout().is_data(tarn::Run{block, 1}));
            ASSERT_FALSE(taken[block.value]++);
            count++;
        }
        kept.push_back(got.take());
    }
    EXPECT_EQ(count, volume.layout().data_blocks() - kFirstTableBlocks);
}

}  // namespace

struct Step {
    u64 from, to;

    // Behind the bitmaps of new groups, if there are any, the replica and block 0.
    u64 fences() const { return divide_up(to, kGroup) > divide_up(from, kGroup) ? 3 : 2; }
};
class VolumeGrow : public ::testing::TestWithParam<Step> {};

TEST_P(VolumeGrow, WhatIsBehindTheEndBecomesFreeAtOnceAndStays)
{
    const auto [from, to] = GetParam();
    TestVolume volume(to + 100, options_for(from, to));
    const u64 free = volume->space().free_blocks();
    ASSERT_TRUE(volume->grow(to).is_ok());
    EXPECT_EQ(volume->space().free_blocks(), free + to - from);
    EXPECT_EQ(volume.layout().blocks, to);
    take_all(volume);
    volume.reopen();
    EXPECT_EQ(volume.layout().blocks, to);
    EXPECT_EQ(volume->space().free_blocks(), free + to - from);
    take_all(volume);
    volume.close();
    EXPECT_EQ(check_device(volume.device()).text(), "");
}

TEST_P(VolumeGrow, APowerCutLeavesTheOldSizeOrTheNewOne)
{
    const auto [from, to] = GetParam();
    for (u64 fence = 1; fence <= GetParam().fences(); fence++) {
        TestVolume volume(to, options_for(from, to));
        DurableImage durable(volume.device());
        durable.remember_before_fence(fence);
        ASSERT_TRUE(volume->grow(to).is_ok());
        for (const auto* image : {&durable.remembered(), &durable.bytes()}) {
            TestFileSystem found(*image);
            const u64 blocks = found.fs().volume().layout().blocks;
            EXPECT_EQ(blocks, image == &durable.bytes() ? to : blocks == from ? from : to);
            const InodeNumber file = found.file(kRoot, "file");
            found.fill(file, 0, 100);
            ASSERT_TRUE(found.fs().volume().grow(to).is_ok());
            found.unmount();
            EXPECT_EQ(check_device(found.device()).text(), "");
        }
    }
}

// Half of what the failed fence should have made durable came through.
TEST_P(VolumeGrow, ATornWriteLeavesTheOldSizeOrTheNewOne)
{
    const auto [from, to] = GetParam();
    for (u64 fence = 1; fence <= GetParam().fences(); fence++)
        for (u64 odd : {0, 1}) {
            TestVolume volume(to, options_for(from, to));
            const auto before = volume.device().image();
            volume.device().fail_fences_from(fence);
            LogCapture log;
            EXPECT_EQ(volume->grow(to).error(), Error::kDeviceFlush);
            EXPECT_FALSE(volume->may_change().is_ok());
            auto after = volume.device().image();
            const u64 places[] = {0, volume.layout().replica().value,
                                  volume.layout().bitmap(divide_up(to, kGroup) - 1).value};
            const u64 torn = places[GetParam().fences() - fence] * kBlockSize;
            for (u64 line = odd * 64; line < kBlockSize; line += 128)
                memcpy(&after[torn + line], &before[torn + line], 64);
            volume.abandon();
            TestFileSystem found(after);
            ASSERT_TRUE(found.fs().volume().grow(to).is_ok());
            EXPECT_EQ(found.fs().volume().layout().blocks, to);
            found.unmount();
            EXPECT_EQ(check_device(found.device()).text(), "");
        }
}

INSTANTIATE_TEST_SUITE_P(Grow, VolumeGrow,
                         ::testing::Values(Step{4096, 4097}, Step{4096, 9000}, Step{4096, kGroup},
                                           Step{kGroup - 1, kGroup + 1}, Step{kGroup, 2 * kGroup},
                                           Step{5000, 2 * kGroup + 77}));

TEST(VolumeGrowing, GoesAsFarAsTheDeviceAndTheTableDo)
{
    TestVolume volume(9000, options_for(4096));
    ASSERT_TRUE(volume->grow(0).is_ok());
    EXPECT_EQ(volume.layout().blocks, 9000u);
    ASSERT_TRUE(volume->grow(0).is_ok()) << "nothing left to do";
    TestVolume full(3 * kGroup, options_for(4096, 4096));
    EXPECT_EQ(full.layout().most_groups(), 1u);
    ASSERT_TRUE(full->grow(0).is_ok());
    EXPECT_EQ(full.layout().blocks, kGroup);
}

TEST(VolumeGrowing, Refusals)
{
    TestVolume volume(2 * kGroup, options_for(4096, 4096));
    const auto before = volume.device().image();
    EXPECT_EQ(volume->grow(4095).error(), Error::kInvalid);
    EXPECT_TRUE(volume->grow(4096).is_ok());
    EXPECT_EQ(volume->grow(2 * kGroup + 1).error(), Error::kNoSpace);
    EXPECT_EQ(volume->grow(kGroup + 1).error(), Error::kTooLarge);
    volume->set_read_only();
    EXPECT_EQ(volume->grow(5000).error(), Error::kReadOnly);
    EXPECT_EQ(volume.device().image(), before);
}

TEST(VolumeGrowing, AReplicaThatIsNotAtTheDevicesEndIsFound)
{
    TestVolume volume(9000, options_for(4096));
    ASSERT_TRUE(volume->grow(8000).is_ok());
    volume.close();
    TestDevice& device = volume.device();
    LogCapture log;
    device.at<tarnfs_superblock>(0).created ^= 1;
    {
        Media media(device.device());
        auto found = read_layout(media);
        ASSERT_TRUE(found) << "block 0 still says where it is";
        EXPECT_EQ(found.value().blocks, 8000u);
    }
    memset(device.block(0), 0, kBlockSize);
    Media media(device.device());
    EXPECT_EQ(read_layout(media).error(), Error::kNotTarnfs);
    auto found = search_layout(media);
    ASSERT_TRUE(found);
    EXPECT_EQ(found.value().blocks, 8000u);
    EXPECT_EQ(found.value().replica(), DeviceBlock(4095));
}

TEST(VolumeGrowing, AReplicaOfWhatWasThereBeforeIsNot)
{
    TestVolume volume(9000, options_for(5000));
    ASSERT_TRUE(volume->grow(8000).is_ok());
    volume.close();
    TestDevice& device = volume.device();
    format_device(device, options_for(4096));
    LogCapture log;
    for (u64 block : {u64{0}, u64{4095}})
        memset(device.block(block), 0, kBlockSize);
    Media media(device.device());
    EXPECT_EQ(search_layout(media).error(), Error::kBadSuperblock);
}

// The old end is in the middle of a word of the bitmap.
TEST(VolumeGrowing, FilesAreWrittenBehindTheOldEnd)
{
    TestDevice device(2 * kGroup);
    format_device(device, options_for(4099));
    TestFileSystem fs(device.image());
    const InodeNumber file = fs.file(kRoot, "file");
    EXPECT_ANY_THROW(fs.fill(file, 0, 10000));
    ASSERT_TRUE(fs.fs().volume().grow(0).is_ok());
    const InodeNumber more = fs.file(kRoot, "more");
    fs.fill(more, 0, 30000);
    fs.unmount();
    EXPECT_EQ(check_device(fs.device()).text(), "");
}

}  // namespace tarn::test
