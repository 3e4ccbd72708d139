// SPDX-License-Identifier: GPL-2.0
// KUnit: journal records: whole ones are replayed, anything else is not.
#include <cstring>

#include "fs/txn/record.hpp"
#include "fs/txn/transaction.hpp"
#include "kunit/fs/image.hpp"

using namespace tarn;

namespace {

// A logged block of the case's own; block 0 when that fails.
DeviceBlock make_block(Volume& volume)
{
    Transaction txn(volume);
    auto reserved = volume.reserve(1, DeviceBlock(0));
    if (!reserved.is_ok())
        return DeviceBlock(0);
    const DeviceBlock block = reserved.value().run().start;
    if (!txn.init_block(reserved.take()).is_ok() || !txn.commit().is_ok())
        return DeviceBlock(0);
    return block;
}

Status store(Volume& volume, DeviceBlock block, u32 index, u64 value)
{
    Transaction txn(volume);
    Shadow& shadow = TRY(txn.edit_block(block));
    shadow.store(index * 8, &value, sizeof(value));
    return txn.commit();
}

// The newest record of either ring, to be damaged.
tarnfs_record* newest_record(tarn::kunit::Image& image)
{
    tarnfs_record* newest = nullptr;
    const Layout& layout = image.volume().layout();
    for (u32 journal = 0; journal < layout.journals; journal++) {
        byte* ring = image.block(layout.journal(journal) + 1);
        const u64 bytes = layout.ring_bytes();
        for (u64 at = 0; at < bytes; at += TARNFS_RECORD_ALIGN) {
            auto* record = reinterpret_cast<tarnfs_record*>(ring + at);
            if (record->magic == TARNFS_RECORD_MAGIC && (!newest || record->sequence > newest->sequence))
                newest = record;
        }
    }
    return newest;
}

}  // namespace

TARN_KUNIT_CASE(record_survives_reopen)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const DeviceBlock block = make_block(image.volume());
    TARN_REQUIRE(block.value);
    TARN_REQUIRE(store(image.volume(), block, 7, 0x1234).is_ok());
    memset(image.block(block), 0xff, kBlockSize);  // as if none of it had been written in place
    TARN_REQUIRE(image.reopen());
    TARN_EXPECT(image.volume().replayed_records() == 2);
    TARN_EXPECT(image.word(block, 7) == 0x1234);
    TARN_EXPECT(image.word(block, 8) == 0);
}

TARN_KUNIT_CASE(record_torn_is_ignored)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const DeviceBlock block = make_block(image.volume());
    TARN_REQUIRE(block.value);
    TARN_REQUIRE(store(image.volume(), block, 7, 0x1234).is_ok());
    memset(image.block(block), 0, kBlockSize);
    tarnfs_record* record = newest_record(image);
    TARN_REQUIRE(record);
    reinterpret_cast<byte*>(record)[record->used - 1] ^= byte{1};
    TARN_REQUIRE(image.reopen());
    TARN_EXPECT(image.volume().replayed_records() == 1);
    TARN_EXPECT(image.word(block, 7) == 0);
}

TARN_KUNIT_CASE(record_of_other_lap_is_ignored)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const DeviceBlock block = make_block(image.volume());
    TARN_REQUIRE(block.value);
    TARN_REQUIRE(store(image.volume(), block, 7, 0x1234).is_ok());
    memset(image.block(block), 0, kBlockSize);
    tarnfs_record* record = newest_record(image);
    TARN_REQUIRE(record);
    record->lap--;
    record->crc = structure_crc(record, record->bytes, offsetof(tarnfs_record, crc));
    TARN_REQUIRE(image.reopen());
    TARN_EXPECT(image.volume().replayed_records() == 1);
    TARN_EXPECT(image.word(block, 7) == 0);
}

TARN_KUNIT_CASE(record_laps_and_retirement)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const DeviceBlock block = make_block(image.volume());
    TARN_REQUIRE(block.value);
    const u64 ring = image.volume().layout().ring_bytes();
    const u64 rounds = 3 * ring / TARNFS_RECORD_ALIGN;  // both rings go round at least once
    for (u64 i = 1; i <= rounds; i++)
        TARN_REQUIRE(store(image.volume(), block, static_cast<u32>(i % 512), i).is_ok());
    TARN_REQUIRE(image.reopen());
    for (u64 i = rounds - 511; i <= rounds; i++)
        TARN_EXPECT(image.word(block, static_cast<u32>(i % 512)) == i);
}

TARN_KUNIT_CASE(record_too_big)
{
    tarn::kunit::Image image;
    TARN_REQUIRE(image.start());
    const u64 free = image.volume().space().free_blocks();
    {
        Transaction txn(image.volume());
        for (int i = 0; i < 40; i++) {
            auto reserved = image.volume().reserve(1, DeviceBlock(0));
            TARN_REQUIRE(reserved.is_ok());
            auto shadow = txn.init_block(reserved.take());
            TARN_REQUIRE(shadow.is_ok());
            for (u32 at = 0; at < kBlockSize; at += 8)
                shadow.value().store(at, "12345678", 8);
        }
        TARN_EXPECT(txn.commit().error() == Error::kTransactionTooBig);
    }
    TARN_EXPECT(image.volume().space().free_blocks() == free);
    TARN_EXPECT(image.volume().may_change().is_ok());
}
