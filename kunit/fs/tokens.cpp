// SPDX-License-Identifier: GPL-2.0
// KUnit: tokens give back what nobody published, and carry what was stored.
#include <cstring>

#include "kunit/fs/image.hpp"
#include "fs/txn/transaction.hpp"

using namespace tarn;

TARN_KUNIT_CASE(tokens_dropped_runs_return)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const u64 free = image.volume().space().free_blocks();
    {
        auto one = image.volume().reserve(10, DeviceBlock(0));
        TARN_REQUIRE(one.is_ok());
        TARN_EXPECT(image.volume().space().free_blocks() == free - one.value().run().count);
        auto stored = std::move(one.value()).zero(image.volume().media());
        TARN_EXPECT(one.value().is_spent());
        TARN_EXPECT(!stored.is_spent());
    }
    TARN_EXPECT(image.volume().space().free_blocks() == free);
}

TARN_KUNIT_CASE(tokens_zero_fence_own)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const u64 free = image.volume().space().free_blocks();
    auto reserved = image.volume().reserve(4, DeviceBlock(0));
    TARN_REQUIRE(reserved.is_ok());
    const Run run = reserved.value().run();
    memset(image.block(run.start), 0x5a, kBlockSize);
    InFlightBatch batch;
    DurableBatch durable;
    TARN_REQUIRE(batch.add(std::move(reserved.value()).zero(image.volume().media())).is_ok());
    TARN_REQUIRE(std::move(batch).fence(image.volume().media(), durable).is_ok());
    TARN_EXPECT(image.word(run.start, 0) == 0);
    TARN_EXPECT(image.word(run.start, 511) == 0);
    {
        Transaction txn(image.volume());
        TARN_REQUIRE(txn.own(durable.take(0)).is_ok());
        TARN_REQUIRE(txn.commit().is_ok());
    }
    TARN_EXPECT(image.volume().space().free_blocks() == free - run.count);
    TARN_REQUIRE(image.reopen());
    TARN_EXPECT(image.volume().space().free_blocks() == free - run.count);
}

TARN_KUNIT_CASE(tokens_fill_keeps_what_came)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const u64 free = image.volume().space().free_blocks();
    auto reserved = image.volume().reserve(3, DeviceBlock(0));
    TARN_REQUIRE(reserved.is_ok());
    const Run run = reserved.value().run();
    TARN_REQUIRE(run.count == 3);
    memset(image.block(run.start), 0x5a, 3 * kBlockSize);
    auto filled = std::move(reserved.value()).fill(image.volume().media(), 16, 2 * kBlockSize, [](byte* to, u64) {
        memset(to, 0x11, 100);
        return u64{100};
    });
    TARN_EXPECT(filled.copied == 100);
    TARN_REQUIRE(filled.token.has_value());
    TARN_EXPECT(filled.token->run().count == 1);
    TARN_EXPECT(image.volume().space().free_blocks() == free - 1);
    const byte* bytes = image.block(run.start);
    TARN_EXPECT(bytes[15] == byte{0} && bytes[16] == byte{0x11} && bytes[115] == byte{0x11});
    TARN_EXPECT(bytes[116] == byte{0} && bytes[kBlockSize - 1] == byte{0});
}

TARN_KUNIT_CASE(tokens_split)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const u64 free = image.volume().space().free_blocks();
    auto reserved = image.volume().reserve(8, DeviceBlock(0));
    TARN_REQUIRE(reserved.is_ok());
    {
        Reserved rest = reserved.value().split(3);
        TARN_EXPECT(rest.run().count == 5);
        TARN_EXPECT(rest.run().start == reserved.value().run().end());
    }
    TARN_EXPECT(image.volume().space().free_blocks() == free - 3);
}

TARN_KUNIT_CASE(tokens_undone_transaction)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const u64 free = image.volume().space().free_blocks();
    {
        Transaction txn(image.volume());
        auto reserved = image.volume().reserve(1, DeviceBlock(0));
        TARN_REQUIRE(reserved.is_ok());
        TARN_REQUIRE(txn.init_block(reserved.take()).is_ok());
        TARN_EXPECT(image.volume().space().free_blocks() == free - 1);
    }
    TARN_EXPECT(image.volume().space().free_blocks() == free);
}
