// SPDX-License-Identifier: GPL-2.0
// Where files are on the device: in few pieces, however small the steps they grow in and whoever grows beside
// them; from 2 MiB on so that pages of 2 MiB can map them; small files near their inode. And what is free can
// be used.
#include <algorithm>
#include <random>

#include "fs/file/block_map.hpp"
#include "tests/host/file_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u64 kKiB = 1024;
constexpr u64 kMiB = 1024 * kKiB;

class FilePlacement : public FileTest {
  protected:
    explicit FilePlacement(u64 blocks = 65536) : FileTest(blocks) {}  // 256 MiB

    // How a file lies on the device, in order.
    std::vector<Mapping> pieces(const std::string& name = "file")
    {
        auto mounted = FileSystem::open(device.device(), Access::kReadOnly);
        EXPECT_TRUE(mounted.is_ok());
        FileSystem& looked = *mounted.value();
        auto root = open(looked, InodeNumber(TARNFS_INO_ROOT));
        const Bytes bytes(reinterpret_cast<const byte*>(name.data()), name.size());
        auto inode = open(looked, Namespace(looked).find(*root, bytes).value());
        const BlockMap map(looked.volume(), inode->tree());
        std::vector<Mapping> found;
        const auto last = map.last(nullptr).value();
        for (FileBlock at; last && at <= *last;) {
            const Mapping piece = map.lookup(nullptr, at, ~u64{0} >> 20).value();
            at = piece.end();
            if (!piece.is_hole())
                found.push_back(piece);
        }
        return found;
    }
    static std::unique_ptr<Inode> open(FileSystem& looked, InodeNumber number)
    {
        const InodeTable::Found place = looked.inodes().find(number).take();
        return std::make_unique<Inode>(looked, number, place.generation, place.record);
    }
    // Unmounts, so that there is something to look at.
    void close()
    {
        file.reset();
        fs.reset();
    }

    // Whole 2 MiB of the file, and how many of them a page of 2 MiB can map.
    struct Huge {
        u64 whole = 0;
        u64 mappable = 0;
    };
    static Huge huge(const std::vector<Mapping>& pieces)
    {
        Huge counted;
        u64 end = 0;
        for (const Mapping& piece : pieces) {
            end = max(end, piece.end().value);
            for (u64 at = round_up(piece.first.value, kHugeBlocks); at + kHugeBlocks <= piece.end().value;
                 at += kHugeBlocks)
                counted.mappable += (piece.device + (at - piece.first.value)).value % kHugeBlocks == 0;
        }
        counted.whole = end / kHugeBlocks;
        return counted;
    }
};

}  // namespace

TEST_F(FilePlacement, AFileThatGrowsInStepsIsInFewPieces)
{
    for (u64 step : {4 * kKiB, 20 * kKiB, 64 * kKiB, kMiB}) {
        const std::string name = "by" + std::to_string(step), bytes(step, 'x');
        auto grows = fs->create(mm, name);
        for (u64 at = 0; at < 20 * kMiB; at += step)
            ASSERT_EQ(grows->write(at, bytes), static_cast<long long>(step));
    }
    close();
    for (u64 step : {4 * kKiB, 20 * kKiB, 64 * kKiB, kMiB}) {
        const auto found = pieces("by" + std::to_string(step));
        SCOPED_TRACE(step);
        EXPECT_LE(found.size(), 3u);  // the first 2 MiB where there was room, perhaps in two, and the rest
        EXPECT_GE(huge(found).mappable, huge(found).whole - 1);
    }
}

TEST_F(FilePlacement, OneLargeWriteOrAllocationIsAlignedFromItsBeginning)
{
    ASSERT_EQ(file->write(0, std::string(6 * kMiB + 5, 'x')), static_cast<long long>(6 * kMiB + 5));
    auto other = fs->create(mm, "other");
    ASSERT_EQ(other->allocate(0, 64 * kMiB), 0);
    auto third = fs->create(mm, "third");  // behind a header of its own
    ASSERT_EQ(third->write(0, std::string(100, 'x')), 100);
    ASSERT_EQ(third->allocate(100, 8 * kMiB), 0);
    third.reset();
    other.reset();
    close();
    EXPECT_EQ(pieces().size(), 1u);
    EXPECT_EQ(huge(pieces()).mappable, 3u);
    EXPECT_EQ(pieces("other").size(), 1u);
    EXPECT_EQ(huge(pieces("other")).mappable, 32u);
    EXPECT_LE(pieces("third").size(), 3u);  // what is written, and what is not
    EXPECT_EQ(huge(pieces("third")).mappable, 3u);
}

TEST_F(FilePlacement, FilesThatGrowAtOnceAreNotInterleaved)
{
    for (u64 step : {4 * kKiB, 64 * kKiB}) {
        SCOPED_TRACE(step);
        const std::string bytes(step, 'x');
        std::vector<std::unique_ptr<FakeFile>> files;
        for (int i = 0; i < 4; i++)
            files.push_back(fs->create(mm, std::to_string(step) + "-" + std::to_string(i)));
        for (u64 at = 0; at < 8 * kMiB; at += step)
            for (auto& grows : files)
                ASSERT_EQ(grows->write(at, bytes), static_cast<long long>(step));
    }
    close();
    for (u64 step : {4 * kKiB, 64 * kKiB})
        for (int i = 0; i < 4; i++) {
            const auto found = pieces(std::to_string(step) + "-" + std::to_string(i));
            // 8 blocks as they come, windows that double up to 2 MiB, and one piece for all the rest, or for
            // each 2 MiB.
            EXPECT_LE(found.size(), 8u + 7 + 3);
            EXPECT_EQ(huge(found).mappable, 3u);
        }
}

TEST_F(FilePlacement, SmallFilesAreWholeAndNearEachOther)
{
    std::mt19937_64 random(1);
    u64 blocks = 0;
    for (int i = 0; i < 500; i++) {
        const u64 size = 1 + random() % (30 * kKiB);
        auto small = fs->create(mm, "small" + std::to_string(i));
        ASSERT_EQ(small->write(0, std::string(size, 'x')), static_cast<long long>(size));
        blocks += small->blocks();
    }
    close();
    u64 lowest = ~u64{0}, highest = 0;
    for (int i = 0; i < 500; i++) {
        const auto found = pieces("small" + std::to_string(i));
        ASSERT_EQ(found.size(), 1u);
        lowest = min(lowest, found[0].device.value);
        highest = max(highest, found[0].device.value);
    }
    EXPECT_LE(highest - lowest, blocks * 5 / 4);
}

namespace {

class FilePlacementFull : public FilePlacement {
  protected:
    FilePlacementFull() : FilePlacement(16384) {}  // 64 MiB
};

class FilePlacementFar : public FilePlacement {
  protected:
    FilePlacementFar() : FilePlacement(u64{TARNFS_BITMAP_BITS} * 64) {}
};

}  // namespace

// What statfs says ordinary users may have is what they can write, but for the nodes that tell where it is.
TEST_F(FilePlacementFull, WhatIsSaidToBeFreeCanBeWritten)
{
    for (bool fragmented : {false, true}) {
        SCOPED_TRACE(fragmented);
        std::vector<std::unique_ptr<FakeFile>> kept;
        if (fragmented) {
            // Every second block of most of the device, and each of the pieces another file's.
            std::vector<std::unique_ptr<FakeFile>> gone;
            for (int i = 0; i < 20; i++)
                (i % 2 ? gone : kept).push_back(fs->create(mm, "part" + std::to_string(i)));
            for (u64 at = 0; at < 600; at++)
                for (int i = 0; i < 20; i++)
                    ASSERT_EQ((i % 2 ? gone : kept)[i / 2]->write(at * 2 * kBlockSize,
                                                                  std::string(kBlockSize, 'x')),
                              4096);
            for (auto& part : gone)
                ASSERT_EQ(part->truncate(0), 0);
        }
        tarn_statistics before = {};
        tarn_fs_statistics(fs->fs(), &before);
        auto fills = fs->create(mm, fragmented ? "second" : "first");
        u64 written = 0;
        for (const std::string bytes(kMiB, 'x');;) {
            const long long got = fills->write(written, bytes);
            if (got <= 0)
                break;
            written += static_cast<u64>(got);
        }
        tarn_statistics after = {};
        tarn_fs_statistics(fs->fs(), &after);
        EXPECT_LE(after.available, 1u);
        EXPECT_EQ(written % kBlockSize, 0u);
        EXPECT_EQ(fills->blocks(), before.available - after.available);
        const u64 nodes = fills->blocks() - written / kBlockSize;
        EXPECT_LE(nodes, fragmented ? written / kBlockSize / 100 + 3 : 3);
        ASSERT_EQ(fills->truncate(0), 0);
        for (auto& part : kept)
            ASSERT_EQ(part->truncate(0), 0);
    }
}

// A bitmap whose bits contradict its header is refused by whoever looks at it: so nobody has.
TEST_F(FilePlacementFar, GroupsThatAreNotNeededAreNotLoaded)
{
    file.reset();
    fs.reset();
    const Layout layout = [&] {
        const Media media(device.device());
        return read_layout(media).take();
    }();
    auto& bits = device.at<tarnfs_bitmap>(layout.bitmap(50).value);
    bits.words[7] ^= 1;
    LogCapture log;
    fs = std::make_unique<FakeFs>(device, FakeFs::How::kMount);
    for (int i = 0; i < 200; i++)
        EXPECT_EQ(fs->create(mm, std::to_string(i))->write(0, std::string(50 * kKiB, 'x')), 50 * 1024);
    EXPECT_EQ(log.text(), "");
    auto large = fs->create(mm, "large");
    EXPECT_NE(large->allocate(0, u64{TARNFS_BITMAP_BITS} * 60 * kBlockSize), 0);
    EXPECT_TRUE(log.contains("group 50 has")) << log.text();
    large.reset();
    fs.reset();
    bits.words[7] ^= 1;
}

}  // namespace tarn::test
