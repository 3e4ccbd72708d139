// SPDX-License-Identifier: GPL-2.0
// format(): what an empty file system looks like, at every size.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "fs/space/bits.hpp"
#include "tests/host/support/persist_model.hpp"
#include "tests/host/support/populated.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

namespace {

const tarnfs_bitmap& bitmap_at(TestDevice& device, DeviceBlock block)
{
    return device.at<tarnfs_bitmap>(block.value);
}

u64 blocks_in_use(TestDevice& device, const Layout& layout)
{
    u64 used = 0;
    for (u64 group = 0; group < layout.groups; group++) {
        const auto& bitmap = bitmap_at(device, layout.bitmap(group));
        EXPECT_EQ(bitmap.magic, TARNFS_BITMAP_MAGIC);
        EXPECT_EQ(bitmap.kind, TARNFS_BITMAP_BLOCKS);
        EXPECT_EQ(bitmap.index, group);
        const u32 bits = layout.group_bits(group);
        EXPECT_EQ(bitmap.bits, u32{TARNFS_BITMAP_BITS});
        EXPECT_EQ(bitmap.set, bits::count_set(bitmap.words, bits));
        EXPECT_EQ(bits::find(bitmap.words, bits, TARNFS_BITMAP_BITS, 1), TARNFS_BITMAP_BITS + 0u);
        used += bitmap.set;
    }
    return used;
}

u32 inode_crc(const tarnfs_inode& inode)
{
    return structure_crc(&inode, sizeof(inode), offsetof(tarnfs_inode, crc));
}

}  // namespace

class FormatSizes : public ::testing::TestWithParam<u64> {};

TEST_P(FormatSizes, IsReadBackWithTheRightBlocksInUse)
{
    TestDevice device(GetParam());
    FormatOptions options = test_format_options();
    options.journals = 0;  // as many as fit
    Layout made = format_device(device, options);
    Media media(device.device());
    auto read = read_layout(media);
    ASSERT_TRUE(read);
    EXPECT_EQ(read.value().first_data, made.first_data);
    EXPECT_EQ(read.value().blocks, GetParam());
    EXPECT_EQ(blocks_in_use(device, made), made.first_data.value + kFirstTableBlocks + 1);
    EXPECT_EQ(std::memcmp(device.block(0), device.block(GetParam() - 1), kBlockSize), 0);
}

// The smallest device, ones whose end falls on either side of a group's border, and one of 1 TiB.
INSTANTIATE_TEST_SUITE_P(Format, FormatSizes,
                         ::testing::Values(kMinBlocks, 4096, TARNFS_BITMAP_BITS - 1, TARNFS_BITMAP_BITS,
                                           TARNFS_BITMAP_BITS + 1, 2 * TARNFS_BITMAP_BITS + 63,
                                           u64{1} << 28));

TEST(Format, BitmapsMarkExactlyTheFixedBlocks)
{
    TestDevice device(kTestBlocks);
    Layout layout = format_device(device);
    const auto& bitmap = bitmap_at(device, layout.bitmap(0));
    const u32 used = static_cast<u32>(layout.first_data.value + kFirstTableBlocks);
    EXPECT_EQ(bitmap.bits, u32{TARNFS_BITMAP_BITS});
    EXPECT_EQ(bits::find(bitmap.words, 0, kTestBlocks, 0), used);
    EXPECT_EQ(bits::find(bitmap.words, used, kTestBlocks, 1), kTestBlocks - 1);
}

TEST(Format, RefusesSizesOutOfRange)
{
    TestDevice device(kMinBlocks - 1);
    Media media(device.device());
    auto made = format(media, test_format_options(), FormatProgress{});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error(), Error::kInvalid);
    EXPECT_EQ(device.counters().copies.load_relaxed(), 0u);
}

TEST(Format, RootAndTableRecords)
{
    TestDevice device(kTestBlocks);
    Layout layout = format_device(device);
    const auto& table = device.at<tarnfs_inode>(layout.system_block.value);
    EXPECT_EQ(table.magic, TARNFS_INODE_MAGIC);
    EXPECT_EQ(table.crc, inode_crc(table));
    EXPECT_EQ(table.number, u64{TARNFS_INO_TABLE});
    EXPECT_EQ(table.blocks, kFirstTableBlocks);

    const u64 first_inodes = layout.first_data.value + TARNFS_INODE_GROUP_HEADER;
    const auto& root = device.at<tarnfs_inode>(first_inodes, TARNFS_INO_ROOT * TARNFS_INODE_BYTES);
    EXPECT_EQ(root.crc, inode_crc(root));
    EXPECT_EQ(root.number, u64{TARNFS_INO_ROOT});
    EXPECT_EQ(root.mode, 0040755);
    EXPECT_EQ(root.links, 2u);
    EXPECT_EQ(root.parent, u64{TARNFS_INO_ROOT});

    const auto& inodes = device.at<tarnfs_bitmap>(layout.first_data.value);
    EXPECT_EQ(inodes.kind, TARNFS_BITMAP_INODES);
    EXPECT_EQ(inodes.words[0], 3u);
    EXPECT_EQ(inodes.set, 2u);
    const auto& orphans = device.at<tarnfs_bitmap>(layout.first_data.value + 1);
    EXPECT_EQ(orphans.kind, TARNFS_BITMAP_ORPHANS);
    EXPECT_EQ(orphans.set, 0u);
}

TEST(Format, LeavesNothingOfWhatWasThere)
{
    TestDevice device(kTestBlocks);
    std::memset(device.bytes(), 0xff, kTestBlocks * kBlockSize);
    Layout layout = format_device(device);
    TestDevice clean(kTestBlocks);
    format_device(clean);
    const u64 table = layout.first_data.value, end_of_bitmaps = layout.bitmap(layout.groups).value;
    EXPECT_EQ(std::memcmp(device.bytes(), clean.bytes(), end_of_bitmaps * kBlockSize), 0);
    EXPECT_EQ(std::memcmp(device.block(table), clean.block(table), kFirstTableBlocks * kBlockSize), 0);
    EXPECT_EQ(std::memcmp(device.block(kTestBlocks - 1), clean.block(kTestBlocks - 1), kBlockSize), 0);
}

// Superblocks become valid after a fence that covers everything else.
TEST(Format, AFailedFenceLeavesNoFileSystem)
{
    for (u64 nth = 1; nth <= 2; nth++) {
        TestDevice device(kTestBlocks);
        device.fail_fences_from(nth);
        Media media(device.device());
        auto made = format(media, test_format_options(), FormatProgress{});
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error(), Error::kDeviceFlush);
        LogCapture log;
        EXPECT_EQ(read_layout(media).error(), Error::kNotTarnfs);
    }
}

TEST(Format, TellsProgressUpToTheEnd)
{
    struct Seen {
        u64 done = 0, total = 0;
    } seen;
    TestDevice device(kTestBlocks);
    Media media(device.device());
    FormatProgress progress{&seen, [](void* context, u64 done, u64 total) {
                                auto* s = static_cast<Seen*>(context);
                                EXPECT_GT(done, s->done);
                                *s = {done, total};
                            }};
    ASSERT_TRUE(format(media, test_format_options(), progress));
    EXPECT_EQ(seen.done, seen.total);
    EXPECT_GT(seen.total, 0u);
}

TEST(Format, OutOfMemoryIsAnError)
{
    for (long nth = 0; nth < 2; nth++) {
        TestDevice device(kTestBlocks);
        Media media(device.device());
        host::fail_allocation_after(nth);
        auto made = format(media, test_format_options(), FormatProgress{});
        host::fail_allocation_after(-1);
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error(), Error::kNoMemory);
    }
}

TEST(Format, AReplicaServesForADamagedSuperblock)
{
    TestDevice device(kTestBlocks);
    format_device(device);
    device.at<tarnfs_superblock>(0).journals ^= 1;
    Media media(device.device());
    LogCapture log;
    EXPECT_TRUE(read_layout(media));
    EXPECT_TRUE(log.contains("replica"));
}

// Whatever of it survives a power cut: what was there, or nothing, or what was to be.
TEST(Format, APowerCutLeavesAFileSystemWholeOrNone)
{
    struct Cuts {
        PersistModel* model = nullptr;
        std::mt19937_64 random{1};
        std::vector<std::vector<std::byte>> images;

        static void take(void* context)
        {
            auto& self = *static_cast<Cuts*>(context);
            self.images.push_back(self.model->least());
            self.images.push_back(self.without_superblocks());
            for (int i = 0; i < 4; i++)
                self.images.push_back(self.model->some(self.random));
        }
        // All of what is on its way has arrived, but for the superblocks.
        std::vector<std::byte> without_superblocks() const
        {
            std::vector<std::byte> image = model->most();
            const std::vector<std::byte>& least = model->least();
            std::copy_n(least.begin(), kBlockSize, image.begin());
            std::copy_n(least.end() - kBlockSize, kBlockSize, image.end() - kBlockSize);
            return image;
        }
    } cuts;
    TestDevice device(kMinBlocks);
    FormatOptions options = test_format_options();
    options.journals = 1;
    format_device(device, options);
    PersistModel model(device, Cuts::take, &cuts);
    cuts.model = &model;
    options.uuid[0]++;
    format_device(device, options);
    cuts.images.push_back(model.least());
    u64 whole = 0;
    for (const auto& image : cuts.images) {
        LogCapture log;
        TestDevice left(image);
        if (!read_layout(Media(left.device())))
            continue;
        whole++;
        // One superblock may be there and the other not.
        const std::string found = check_device(left).text();
        EXPECT_TRUE(std::count(found.begin(), found.end(), '\n') <= 1 &&
                    (found.empty() || found.find("superblock") != std::string::npos))
            << found;
    }
    EXPECT_GE(whole, 3u);
}

}  // namespace tarn::test
