// SPDX-License-Identifier: GPL-2.0
// Space: every free block is handed out once, and comes back when nobody publishes it.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "fs/txn/transaction.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

namespace {

// All that can be reserved, token by token.
std::vector<Reserved> drain(Volume& volume, u64 at_a_time, Use use = Use::kReserve)
{
    std::vector<Reserved> all;
    for (;;) {
        auto token = volume.reserve(at_a_time, DeviceBlock(0), use);
        if (!token.is_ok()) {
            EXPECT_EQ(token.error(), Error::kNoSpace);
            return all;
        }
        all.push_back(token.take());
    }
}

u64 blocks_of(const std::vector<Reserved>& tokens)
{
    u64 total = 0;
    for (const auto& token : tokens)
        total += token.run().count;
    return total;
}

}  // namespace

TEST(SpaceReserve, DrainingHandsOutEachFreeBlockOnce)
{
    TestVolume volume(3 * TARNFS_BITMAP_BITS + 1000);
    const u64 free = volume->space().free_blocks();
    for (u64 at_a_time : {u64{1000}, u64{513}, u64{7}}) {
        auto tokens = drain(volume.volume(), at_a_time);
        EXPECT_EQ(blocks_of(tokens), free);
        EXPECT_EQ(volume->space().free_blocks(), 0u);
        std::vector<char> taken(volume.layout().blocks);
        for (const auto& token : tokens)
            for (u64 i = 0; i < token.run().count; i++) {
                const u64 block = (token.run().start + i).value;
                ASSERT_TRUE(volume.layout().is_data(tarn::Run{DeviceBlock(block), 1})) << block;
                ASSERT_EQ(taken[block]++, 0) << block;
            }
        tokens.clear();
        EXPECT_EQ(volume->space().free_blocks(), free);
    }
}

TEST(SpaceReserve, OrdinaryUseLeavesTheReserve)
{
    TestVolume volume;
    auto tokens = drain(volume.volume(), 64, Use::kOrdinary);
    EXPECT_EQ(volume->space().free_blocks(), volume->space().reserve_blocks());
    EXPECT_GT(volume->space().reserve_blocks(), 0u);
    auto more = volume->reserve(1, DeviceBlock(0), Use::kReserve);
    EXPECT_TRUE(more.is_ok());
}

TEST(SpaceReserve, LargeRunsBeginOnA2MiBBoundary)
{
    TestVolume volume(2 * TARNFS_BITMAP_BITS);
    for (int i = 0; i < 20; i++) {
        auto token = volume->reserve(1024, DeviceBlock(0));
        ASSERT_TRUE(token.is_ok());
        EXPECT_EQ(token.value().run().start.value % 512, 0u);
        EXPECT_EQ(token.value().run().count, 1024u);
        auto small = volume->reserve(1, DeviceBlock(0));  // must not spoil the next alignment
        ASSERT_TRUE(small.is_ok());
    }
}

TEST(SpaceReserve, ContinuesBehindNear)
{
    TestVolume volume;
    auto first = volume->reserve(3, DeviceBlock(0));
    ASSERT_TRUE(first.is_ok());
    auto next = volume->reserve(3, first.value().run().end());
    ASSERT_TRUE(next.is_ok());
    EXPECT_EQ(next.value().run().start, first.value().run().end());
}

TEST(SpaceReserve, SplitTokensGiveBackTheirOwnParts)
{
    TestVolume volume;
    const u64 free = volume->space().free_blocks();
    auto whole = volume->reserve(10, DeviceBlock(0));
    ASSERT_TRUE(whole.is_ok());
    {
        Reserved rest = whole.value().split(4);
        EXPECT_EQ(rest.run().count, 6u);
        EXPECT_EQ(rest.run().start, whole.value().run().end());
        EXPECT_EQ(volume->space().free_blocks(), free - 10);
    }
    EXPECT_EQ(volume->space().free_blocks(), free - 4);
}

TEST(SpaceReserve, FillPublishesOnlyWhatWasCopied)
{
    TestVolume volume;
    const u64 free = volume->space().free_blocks();
    auto token = volume->reserve(4, DeviceBlock(0));
    ASSERT_TRUE(token.is_ok());
    const tarn::Run run = token.value().run();
    ASSERT_EQ(run.count, 4u);
    memset(volume.device().block(run.start.value), 0xee, 4 * kBlockSize);
    // 100 zero bytes, then a source that ends early inside the second block.
    auto filled = std::move(token.value()).fill(volume->media(), 100, 4 * kBlockSize - 100, [](void* target, u64) {
        memset(target, 0x55, kBlockSize);
        return kBlockSize;
    });
    EXPECT_EQ(filled.copied, kBlockSize);
    ASSERT_TRUE(filled.token.has_value());
    EXPECT_EQ(filled.token->run().count, 2u);
    EXPECT_EQ(volume->space().free_blocks(), free - 2);
    const auto* bytes = reinterpret_cast<const unsigned char*>(volume.device().block(run.start.value));
    for (u64 i = 0; i < 2 * kBlockSize; i++)
        ASSERT_EQ(bytes[i], i < 100 || i >= 100 + kBlockSize ? 0 : 0x55) << i;
}

TEST(SpaceReserve, AnEmptyCopyGivesEverythingBack)
{
    TestVolume volume;
    const u64 free = volume->space().free_blocks();
    {
        auto token = volume->reserve(4, DeviceBlock(0));
        ASSERT_TRUE(token.is_ok());
        auto filled = std::move(token.value()).fill(volume->media(), 0, 10, [](void*, u64) { return u64{0}; });
        EXPECT_FALSE(filled.token.has_value());
    }
    EXPECT_EQ(volume->space().free_blocks(), free);
}

TEST(SpaceReserve, RandomReserveAndReturnKeepsTheCount)
{
    TestVolume volume(TARNFS_BITMAP_BITS + 5000);
    const u64 free = volume->space().free_blocks();
    std::mt19937 random(7);
    std::vector<std::unique_ptr<Reserved>> held;
    u64 blocks_held = 0;
    for (int i = 0; i < 20000; i++) {
        if (held.empty() || random() % 2) {
            auto token = volume->reserve(1 + random() % 700, DeviceBlock(random() % volume.layout().blocks));
            if (!token.is_ok())
                continue;
            held.push_back(std::make_unique<Reserved>(token.take()));
            blocks_held += held.back()->run().count;
        } else {
            std::swap(held[random() % held.size()], held.back());
            blocks_held -= held.back()->run().count;
            held.pop_back();
        }
        ASSERT_EQ(volume->space().free_blocks() + blocks_held, free);
    }
}

TEST(SpaceReserve, ACounterThatContradictsItsBitmapIsReported)
{
    TestVolume volume;
    const u64 bitmap = volume.layout().bitmap(0).value;
    ASSERT_TRUE(volume.close());
    volume.device().at<tarnfs_bitmap>(bitmap).set ^= 1;
    LogCapture log;
    volume.open();
    EXPECT_EQ(volume->reserve(1, DeviceBlock(0)).error(), Error::kBadBitmap);
    EXPECT_TRUE(log.contains("group 0"));
    EXPECT_TRUE(volume->is_read_only());
}

}  // namespace tarn::test
