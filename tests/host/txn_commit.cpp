// SPDX-License-Identifier: GPL-2.0
// Transactions and journals: all or nothing, durable when commit returns, whatever is lost that was not fenced.
#include <gtest/gtest.h>

#include <random>

#include "fs/space/bits.hpp"
#include "fs/txn/transaction.hpp"
#include "tests/host/support/durable.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

namespace {

// A metadata block of the test's own, logged in a transaction of its own.
DeviceBlock make_block(Volume& volume)
{
    Transaction txn(volume);
    auto token = volume.reserve(1, DeviceBlock(0));
    EXPECT_TRUE(token.is_ok());
    const DeviceBlock block = token.value().run().start;
    auto shadow = txn.init_block(token.take());
    EXPECT_TRUE(shadow.is_ok());
    const u64 mark = block.value;
    shadow.value().store(0, &mark, sizeof(mark));
    EXPECT_TRUE(txn.commit().is_ok());
    return block;
}

u64 word_of(TestVolume& volume, DeviceBlock block, u32 index)
{
    return reinterpret_cast<u64*>(volume.device().block(block.value))[index];
}

void store_word(Transaction& txn, DeviceBlock block, u32 index, u64 value)
{
    auto shadow = txn.edit_block(block);
    ASSERT_TRUE(shadow.is_ok());
    shadow.value().store(index * 8, &value, sizeof(value));
}

Status commit_word(Volume& volume, DeviceBlock block, u32 index, u64 value)
{
    Transaction txn(volume);
    store_word(txn, block, index, value);
    return txn.commit();
}

// The blocks of every bitmap agree with its counter.
void expect_counters_right(TestVolume& volume)
{
    for (u64 group = 0; group < volume.layout().groups; group++) {
        auto& bitmap = volume.device().at<tarnfs_bitmap>(volume.layout().bitmap(group).value);
        EXPECT_EQ(bitmap.set, bits::count_set(reinterpret_cast<const u64*>(bitmap.words), bitmap.bits));
    }
}

}  // namespace

TEST(TxnCommit, DroppingATransactionLeavesTheMediaAlone)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    const auto before = volume.device().image();
    const u64 free = volume->space().free_blocks();
    {
        Transaction txn(volume.volume());
        store_word(txn, block, 3, 42);
        auto token = volume->reserve(1, DeviceBlock(0));
        ASSERT_TRUE(token.is_ok());
        ASSERT_TRUE(txn.init_block(token.take()).is_ok());
        ASSERT_TRUE(txn.free(tarn::Run{block, 1}, Freed::kMetadata).is_ok());
        EXPECT_EQ(reinterpret_cast<const u64*>(txn.view(block))[3], 42u);
    }
    EXPECT_EQ(volume.device().image(), before);
    EXPECT_EQ(volume->space().free_blocks(), free);
}

TEST(TxnCommit, CommitIsOneFenceAndNothingToDoIsNone)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    const u64 fences = volume.device().counters().fences.load_relaxed();
    ASSERT_TRUE(commit_word(volume.volume(), block, 1, 99).is_ok());
    EXPECT_EQ(volume.device().counters().fences.load_relaxed(), fences + 1);
    ASSERT_TRUE(commit_word(volume.volume(), block, 1, 99).is_ok());
    EXPECT_EQ(volume.device().counters().fences.load_relaxed(), fences + 1);
}

TEST(TxnCommit, ACommittedChangeSurvivesTheLossOfEverythingUnfenced)
{
    TestVolume volume;
    DurableImage durable(volume.device());
    const DeviceBlock block = make_block(volume.volume());
    ASSERT_TRUE(commit_word(volume.volume(), block, 17, 4711).is_ok());
    TestVolume after(durable.bytes());
    EXPECT_EQ(after->replayed_records(), 2u);
    EXPECT_EQ(word_of(after, block, 0), block.value);
    EXPECT_EQ(word_of(after, block, 17), 4711u);
    EXPECT_EQ(after->space().free_blocks(), volume->space().free_blocks());
    expect_counters_right(after);
}

TEST(TxnCommit, ACutBeforeTheFenceShowsNothingOfTheTransaction)
{
    TestVolume volume;
    DurableImage durable(volume.device());
    const DeviceBlock block = make_block(volume.volume());
    durable.remember_before_fence(1);
    ASSERT_TRUE(commit_word(volume.volume(), block, 17, 4711).is_ok());
    TestVolume after(durable.remembered());
    EXPECT_EQ(word_of(after, block, 17), 0u);
}

// Random commits from several processors over small rings, so that retirement and laps happen all the time; a cut at
// any moment loses nothing that was committed.
TEST(TxnCommit, RandomCommitsFromSeveralProcessorsSurviveACutAtAnyTime)
{
    FormatOptions options = test_format_options();
    options.journals = 3;
    TestVolume volume(8192, options);
    DurableImage durable(volume.device());
    constexpr u32 kBlocks = 6, kWords = 512;
    std::vector<DeviceBlock> blocks;
    for (u32 i = 0; i < kBlocks; i++)
        blocks.push_back(make_block(volume.volume()));
    std::vector<u64> model(kBlocks * kWords);
    for (u32 i = 0; i < kBlocks; i++)
        model[i * kWords] = blocks[i].value;
    std::mt19937_64 random(11);
    for (int round = 0; round < 1500; round++) {
        host::pretend_cpu(random() % 4 == 0 ? 1 : static_cast<int>(random() % 3));
        Transaction txn(volume.volume());
        const u32 changes = 1 + random() % (random() % 8 ? 40 : 1500);
        for (u32 i = 0; i < changes; i++) {
            const u32 at = static_cast<u32>(random() % model.size());
            model[at] = random();
            store_word(txn, blocks[at / kWords], at % kWords, model[at]);
        }
        ASSERT_TRUE(txn.commit().is_ok());
        if (random() % 50)
            continue;
        TestVolume after(durable.bytes());
        for (u32 i = 0; i < model.size(); i++)
            ASSERT_EQ(word_of(after, blocks[i / kWords], i % kWords), model[i]) << round << " word " << i;
    }
    host::pretend_cpu(-1);
}

// Records of 64 bytes divide the ring: the head comes to stand exactly at its end.
TEST(TxnCommit, ARecordThatEndsExactlyAtTheRingsEndIsFollowedByANewLap)
{
    FormatOptions options = test_format_options();
    options.journals = 1;
    TestVolume volume(kTestBlocks, options);
    DurableImage durable(volume.device());
    const DeviceBlock block = make_block(volume.volume());
    const u64 ring = volume.layout().ring_bytes();
    for (u64 i = 1; i <= 3 * ring / 64; i++) {
        ASSERT_TRUE(commit_word(volume.volume(), block, 1, i).is_ok());
        if (i % (ring / 64) > 3)
            continue;
        TestVolume after(durable.bytes());
        ASSERT_EQ(word_of(after, block, 1), i);
    }
    EXPECT_TRUE(volume->may_change().is_ok());
}

TEST(TxnCommit, FreedMetadataIsNotHandedOutBeforeTheFloorHasPassed)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    {
        Transaction txn(volume.volume());
        ASSERT_TRUE(txn.free(tarn::Run{block, 1}, Freed::kMetadata).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    EXPECT_EQ(volume->space().deferred_blocks(), 1u);
    auto direct = volume->space().reserve(1, block, Use::kOrdinary);
    ASSERT_TRUE(direct.is_ok());
    EXPECT_NE(direct.value().run().start, block);
    ASSERT_TRUE(volume->retire().is_ok());
    EXPECT_EQ(volume->space().deferred_blocks(), 0u);
    auto now = volume->space().reserve(1, block, Use::kOrdinary);
    ASSERT_TRUE(now.is_ok());
    EXPECT_EQ(now.value().run().start, block);
}

// The reason for the rule above: replay must not write a freed node's old words over the data that came after it.
TEST(TxnCommit, AFreedNodeReusedForDataKeepsTheDataAfterReplay)
{
    TestVolume volume;
    DurableImage durable(volume.device());
    const DeviceBlock block = make_block(volume.volume());
    ASSERT_TRUE(commit_word(volume.volume(), block, 5, 0x6f6c64).is_ok());
    {
        Transaction txn(volume.volume());
        ASSERT_TRUE(txn.free(tarn::Run{block, 1}, Freed::kMetadata).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    std::vector<Reserved> others;
    for (;;) {  // until the block comes round again: that is only possible by way of the floor
        auto token = volume->reserve(1, block, Use::kReserve);
        ASSERT_TRUE(token.is_ok());
        if (token.value().run().start == block) {
            InFlightBatch batch;
            DurableBatch fenced;
            ASSERT_TRUE(batch.add(std::move(token.value()).zero(volume->media())).is_ok());
            ASSERT_TRUE(std::move(batch).fence(volume->media(), fenced).is_ok());
            Transaction txn(volume.volume());
            ASSERT_TRUE(txn.own(fenced.take(0)).is_ok());
            ASSERT_TRUE(txn.commit().is_ok());
            break;
        }
        others.push_back(token.take());
    }
    TestVolume after(durable.bytes());
    for (u32 i = 0; i < 512; i++)
        ASSERT_EQ(word_of(after, block, i), 0u) << i;
}

TEST(TxnCommit, FreeingWhatIsNotInUseIsReportedAsDamage)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    const u64 free = volume->space().free_blocks();
    LogCapture log;
    {
        Transaction txn(volume.volume());
        EXPECT_EQ(txn.free(tarn::Run{block, 2}, Freed::kData).error(), Error::kBadExtent);
    }
    EXPECT_TRUE(log.contains("freed but not in use"));
    EXPECT_TRUE(volume->is_read_only());
    EXPECT_EQ(volume->space().free_blocks(), free);
}

TEST(TxnCommit, FreeingARunTwiceInOneTransactionCountsItOnce)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    const u64 free = volume->space().free_blocks();
    {
        Transaction txn(volume.volume());
        ASSERT_TRUE(txn.free(tarn::Run{block, 1}, Freed::kData).is_ok());
        ASSERT_TRUE(txn.free(tarn::Run{block, 1}, Freed::kData).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    EXPECT_EQ(volume->space().free_blocks(), free + 1);
    expect_counters_right(volume);
}

TEST(TxnCommit, FullSpaceIsUsableAgainAfterFreeingMetadata)
{
    TestVolume volume;
    std::vector<DeviceBlock> blocks;
    for (;;) {
        auto token = volume->reserve(1, DeviceBlock(0), Use::kReserve);
        if (!token.is_ok())
            break;
        Transaction txn(volume.volume());
        blocks.push_back(token.value().run().start);
        ASSERT_TRUE(txn.init_block(token.take()).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    for (DeviceBlock block : blocks) {
        Transaction txn(volume.volume());
        ASSERT_TRUE(txn.free(tarn::Run{block, 1}, Freed::kMetadata).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    EXPECT_EQ(volume->space().free_blocks(), blocks.size());
    std::vector<Reserved> again;
    for (usize i = 0; i < blocks.size(); i++) {
        auto token = volume->reserve(1, DeviceBlock(0), Use::kReserve);
        ASSERT_TRUE(token.is_ok()) << i;
        again.push_back(token.take());
    }
}

TEST(TxnCommit, ATransactionThatIsTooBigFailsAndChangesNothing)
{
    TestVolume volume;
    std::vector<DeviceBlock> blocks;
    for (int i = 0; i < 40; i++)
        blocks.push_back(make_block(volume.volume()));
    const auto before = volume.device().image();
    {
        Transaction txn(volume.volume());
        for (DeviceBlock block : blocks)
            for (u32 i = 0; i < 512; i++)
                store_word(txn, block, i, ~u64{i});
        EXPECT_EQ(txn.commit().error(), Error::kTransactionTooBig);
    }
    EXPECT_EQ(volume.device().image(), before);
    EXPECT_TRUE(volume->may_change().is_ok());
}

TEST(TxnCommit, AFailedFlushShutsTheVolumeDown)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    LogCapture log;
    volume.device().fail_fences_from(1);
    EXPECT_EQ(commit_word(volume.volume(), block, 1, 1).error(), Error::kDeviceFlush);
    volume.device().fail_fences_from(0);
    EXPECT_EQ(volume->may_change().error(), Error::kShutDown);
    EXPECT_TRUE(log.contains("shut down"));
}

TEST(TxnCommit, ADamagedRecordThatIsInTheWayStopsChanges)
{
    FormatOptions options = test_format_options();
    options.journals = 1;
    TestVolume volume(kTestBlocks, options);
    const DeviceBlock block = make_block(volume.volume());
    volume.device().at<tarnfs_record>(volume.layout().journal(0).value + 1).magic ^= 1;
    LogCapture log;
    Error error = Error::kNone;
    const u64 ring = volume.layout().ring_bytes();
    for (u64 i = 1; i <= ring / 64 && error == Error::kNone; i++)
        error = commit_word(volume.volume(), block, 1, i).error();
    EXPECT_EQ(error, Error::kBadJournal);
    EXPECT_TRUE(volume->is_read_only());
    EXPECT_TRUE(log.contains("now read-only"));
    volume.abandon();
}

TEST(TxnRecovery, ReplayIsIdempotent)
{
    TestVolume volume;
    DurableImage durable(volume.device());
    const DeviceBlock block = make_block(volume.volume());
    for (u32 i = 0; i < 100; i++)
        ASSERT_TRUE(commit_word(volume.volume(), block, i, i + 1).is_ok());
    auto image = durable.bytes();
    // A cut at each fence of the recovery itself, then recovery again.
    for (u64 nth = 1; nth <= 3; nth++) {
        TestDevice device(image);
        DurableImage inner(device);
        inner.remember_before_fence(nth);
        {
            auto layout = read_layout(Media(device.device()));
            ASSERT_TRUE(layout.is_ok());
            Volume recovering(device.device(), layout.value());
            ASSERT_TRUE(recovering.open(Volume::Access::kReadWrite).is_ok());
        }
        if (inner.fences() < nth)
            break;
        TestVolume after(inner.remembered());
        for (u32 i = 1; i < 100; i++)
            ASSERT_EQ(word_of(after, block, i), i + 1) << nth;
    }
}

TEST(TxnRecovery, NothingIsReplayedAfterAClose)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    ASSERT_TRUE(commit_word(volume.volume(), block, 1, 7).is_ok());
    volume.reopen();
    EXPECT_EQ(volume->replayed_records(), 0u);
    EXPECT_EQ(word_of(volume, block, 1), 7u);
}

TEST(TxnRecovery, OldRecordsOfEarlierLapsAreNeverReplayed)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    for (u64 mount = 1; mount <= 20; mount++) {
        for (u64 i = 0; i < 5; i++)
            ASSERT_TRUE(commit_word(volume.volume(), block, 1, mount * 100 + i).is_ok());
        if (mount % 2)
            volume.abandon();
        else
            ASSERT_TRUE(volume.close());
        volume.open();
        EXPECT_EQ(word_of(volume, block, 1), mount * 100 + 4);
        EXPECT_EQ(volume->replayed_records(), mount % 2 ? (mount == 1 ? 6u : 5u) : 0u);
    }
}

TEST(TxnRecovery, ADirtyJournalOnAReadOnlyDeviceIsRefused)
{
    TestVolume volume;
    make_block(volume.volume());
    volume.abandon();
    volume.device().set_read_only(1);
    LogCapture log;
    EXPECT_ANY_THROW(volume.open(Volume::Access::kReadOnly));
    EXPECT_TRUE(log.contains("read-only"));
}

TEST(TxnRecovery, OneBadSlotIsSurvivedTwoAreReported)
{
    TestVolume volume;
    const DeviceBlock block = make_block(volume.volume());
    ASSERT_TRUE(commit_word(volume.volume(), block, 1, 7).is_ok());
    ASSERT_TRUE(volume->retire().is_ok());
    ASSERT_TRUE(commit_word(volume.volume(), block, 1, 8).is_ok());
    const u64 header = volume.layout().journal(0).value;
    volume.abandon();
    auto* slots = &volume.device().at<tarnfs_journal_slot>(header);
    const u32 newest = slots[0].update > slots[1].update ? 0 : 1;
    slots[1 - newest].crc ^= 1;
    volume.open();
    EXPECT_EQ(word_of(volume, block, 1), 8u);
    volume.abandon();
    slots[0].crc ^= 1;
    slots[1].crc ^= 1;
    LogCapture log;
    EXPECT_ANY_THROW(volume.open());
    EXPECT_TRUE(log.contains("journal 0"));
}

// File contents and names can look like records: whatever lies behind the last record, it is not replayed unless it
// is that journal's, of that lap, with the next number and the right checksum.
TEST(TxnRecovery, StaleAndForgedRecordsBehindTheHeadAreIgnored)
{
    FormatOptions options = test_format_options();
    options.journals = 1;
    TestVolume volume(kTestBlocks, options);
    const DeviceBlock block = make_block(volume.volume());
    ASSERT_TRUE(commit_word(volume.volume(), block, 1, 7).is_ok());
    auto* ring = volume.device().block(volume.layout().journal(0).value + 1);
    volume.abandon();
    const auto* first = reinterpret_cast<const tarnfs_record*>(ring);
    const auto* second = reinterpret_cast<const tarnfs_record*>(ring + first->bytes);
    // A copy of the second record behind it, as a lost lap would leave it: a valid checksum, an old number.
    memcpy(ring + first->bytes + second->bytes, second, second->bytes);
    volume.open();
    EXPECT_EQ(volume->replayed_records(), 2u);
    EXPECT_EQ(word_of(volume, block, 1), 7u);
}

}  // namespace tarn::test
