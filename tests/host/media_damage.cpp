// SPDX-License-Identifier: GPL-2.0
// Damaged media, met by mounting and by using: it is reported, with a block number, and everything ends.
#include <gtest/gtest.h>

#include <cerrno>

#include "fs/file/object.hpp"
#include "tests/host/support/fake_mm.hpp"
#include "tests/host/support/populated.hpp"

namespace tarn::test {

namespace {

// The items of the tree embedded in a record, by slot.
tarnfs_extent_item& extent_of(tarnfs_inode& record, u32 slot)
{
    const auto* slots = reinterpret_cast<const u16*>(record.root + sizeof(tarnfs_node));
    return *reinterpret_cast<tarnfs_extent_item*>(record.root + slots[slot]);
}

// What the core logs when a device cannot be mounted.
std::string refusal(TestDevice& device)
{
    LogCapture log;
    EXPECT_FALSE(FileSystem::open(device.device(), Access::kReadOnly).is_ok());
    return log.text();
}

// Makes a file and cuts the power: the record of that, which the next mount replays.
tarnfs_record& record_to_replay(TestFileSystem& fs)
{
    const DeviceBlock ring = fs.fs().volume().layout().journal(0) + 1;
    host::pretend_cpu(0);
    fs.file(kRoot, "file");
    host::pretend_cpu(-1);
    fs.cut_power();
    auto& record = fs.device().at<tarnfs_record>(ring.value);
    EXPECT_EQ(record.magic, u32{TARNFS_RECORD_MAGIC});
    return record;
}

// Makes the block bitmap call a block free, counter and all.
void call_free(TestDevice& device, const Layout& layout, u64 block)
{
    auto& bitmap = device.at<tarnfs_bitmap>(layout.bitmap(0).value);
    bitmap.words[block / 64] &= ~(u64{1} << block % 64);
    bitmap.set--;
}

}  // namespace

TEST(MediaDamage, AnImpossibleSuperblockIsReportedWithItsBlock)
{
    TestDevice device(kTestBlocks);
    const Layout layout = format_device(device);
    for (u64 block : {u64{0}, layout.replica().value}) {
        auto& super = device.at<tarnfs_superblock>(block);
        super.journals = 65;
        super.crc = structure_crc(&super, sizeof super, offsetof(tarnfs_superblock, crc));
    }
    EXPECT_NE(refusal(device).find("block 0: superblock: number of journals"), std::string::npos);
    device.at<tarnfs_superblock>(0).crc++;
    const std::string from_replica =
        "block " + std::to_string(layout.replica().value) + ": superblock: number of journals";
    EXPECT_NE(refusal(device).find(from_replica), std::string::npos);
}

TEST(MediaDamage, AnImpossibleRecordIsReportedWithItsBlock)
{
    TestFileSystem fs;
    const DeviceBlock ring = fs.fs().volume().layout().journal(0) + 1;
    tarnfs_record& record = record_to_replay(fs);
    *reinterpret_cast<u64*>(&record + 1) = 0;  // no kind of operation
    record.crc = structure_crc(&record, record.bytes, offsetof(tarnfs_record, crc));
    const std::string wanted = "block " + std::to_string(ring.value) + ": journal 0: record";
    EXPECT_NE(refusal(fs.device()).find(wanted), std::string::npos);
}

// Numbers count on from what is on the media: none may be so high that they wrap.
TEST(MediaDamage, ASlotWithAnImpossibleFloorIsReported)
{
    TestDevice device(kTestBlocks);
    const Layout layout = format_device(device);
    for (u64 at : {u64{0}, u64{sizeof(tarnfs_journal_slot)}}) {
        auto& slot = device.at<tarnfs_journal_slot>(layout.journal(0).value, at);
        slot.floor = ~u64{0};
        slot.crc = structure_crc(&slot, sizeof slot, offsetof(tarnfs_journal_slot, crc));
    }
    EXPECT_NE(refusal(device).find("journal 0 has no good slot"), std::string::npos);
}

TEST(MediaDamage, ARecordWithAnImpossibleNumberIsNone)
{
    TestFileSystem fs;
    tarnfs_record& record = record_to_replay(fs);
    record.sequence = ~u64{0};
    record.crc = structure_crc(&record, record.bytes, offsetof(tarnfs_record, crc));
    fs.mount();
    fs.file(kRoot, "another");
    fs.cut_power();
    fs.mount();
    EXPECT_NO_THROW(fs.find(kRoot, "another"));
}

// A node that has to be split is itself the free block next to it: an error, not a broken invariant of ours.
TEST(MediaDamage, ABlockThatIsInUseAndCalledFreeIsReported)
{
    TestFileSystem fs;
    const InodeNumber dir = fs.mkdir(kRoot, "dir");
    for (int i = 0; i < 30; i++)
        fs.file(dir, std::string(200, 'x') + std::to_string(i));
    const Layout layout = fs.fs().volume().layout();
    fs.unmount();
    for (u64 block = layout.first_data.value; block < layout.replica().value; block++) {
        const auto& node = fs.device().at<tarnfs_block_node>(block);
        if (node.node.magic == TARNFS_NODE_MAGIC && node.owner == dir.value)
            call_free(fs.device(), layout, block);
    }
    fs.mount();
    LogCapture log;
    EXPECT_THROW(for (int i = 0; i < 60; i++) fs.file(dir, std::string(200, 'y') + std::to_string(i)),
                 std::runtime_error);
    EXPECT_TRUE(log.contains("block in use for two things")) << log.text();
    EXPECT_TRUE(fs.fs().is_read_only());
}

// Or it would go to a file, and with it the journals, or the superblock's replica.
TEST(MediaDamage, MetadataThatIsCalledFreeIsReportedAndStays)
{
    for (const bool replica : {false, true}) {
        TestFileSystem fs;
        const Layout layout = fs.fs().volume().layout();
        const InodeNumber file = fs.file(kRoot, "file");
        fs.unmount();
        const u64 block = replica ? layout.replica().value : layout.journal(0).value + 1;
        call_free(fs.device(), layout, block);
        const char* const bytes = reinterpret_cast<const char*>(fs.device().block(block));
        const std::string before(bytes, kBlockSize);
        fs.mount();
        LogCapture log;
        EXPECT_THROW(fs.fill(file, 0, layout.blocks), std::runtime_error);
        const std::string words = "calls block " + std::to_string(block) + " free";
        EXPECT_TRUE(log.contains(words)) << log.text();
        // A mount writes to its journals.
        EXPECT_TRUE(!replica || std::string(bytes, kBlockSize) == before);
    }
}

// Blocks of a file may be the inode table's, too: a store makes it a directory while it is open.
TEST(MediaDamage, AnOpenFileThatBecomesADirectoryIsReported)
{
    LogCapture log;
    TestDevice device(kTestBlocks);
    FakeMm mm(device);
    FakeFs fs(device);
    auto file = fs.create(mm, "file");
    ASSERT_EQ(file->write(0, "something"), 9);
    const u64 place = InodeObject::of(file->inode()).inode.record.value;
    auto& record = *reinterpret_cast<tarnfs_inode*>(device.bytes() + place);
    record.mode = kTypeDirectory | 0755;
    EXPECT_EQ(file->contents(), "something");
    record.root[offsetof(tarnfs_node, kind)] = TARNFS_TREE_DIRECTORY;
    EXPECT_EQ(file->write(20000, "more"), -EUCLEAN);
    EXPECT_TRUE(log.contains("no tree node of this kind")) << log.text();
}

TEST(MediaDamage, SeekingInAnOpenFileOfImpossibleSizeEnds)
{
    TestDevice device(kTestBlocks);
    FakeMm mm(device);
    FakeFs fs(device);
    auto file = fs.create(mm, "file");
    ASSERT_EQ(file->write(0, "something"), 9);
    auto& record = *reinterpret_cast<tarnfs_inode*>(
        device.bytes() + InodeObject::of(file->inode()).inode.record.value);
    record.size = ~u64{0};
    EXPECT_EQ(file->seek(kBlockSize, TARN_SEEK_DATA), -ENXIO);
    EXPECT_EQ(file->seek(0, TARN_SEEK_HOLE), 4096);
}

// The last extent is found, but from the first block on none: freeing must not wait for it to go.
TEST(MediaDamage, FreeingAFileWhoseKeysAreOutOfOrderEnds)
{
    TestFileSystem fs;
    const InodeNumber file = fs.file(kRoot, "file");
    for (u64 block : {0, 2, 4})
        fs.fill(file, block, 1);
    tarnfs_inode& record = fs.record(file);
    extent_of(record, 0).key = 100;
    TestFileSystem::seal(record);
    LogCapture log;
    fs.unlink(kRoot, "file");
    EXPECT_THROW(fs.free(file), std::runtime_error);
    EXPECT_TRUE(log.contains("extents out of order")) << log.text();
    EXPECT_TRUE(fs.fs().is_read_only());
}

}  // namespace tarn::test
