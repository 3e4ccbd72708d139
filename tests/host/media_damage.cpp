// SPDX-License-Identifier: GPL-2.0
// Damaged media, met by mounting and by using: it is reported, and everything ends.
#include <gtest/gtest.h>

#include "tests/host/support/populated.hpp"

namespace tarn::test {

namespace {

// The items of the tree embedded in a record, by slot.
tarnfs_extent_item& extent_of(tarnfs_inode& record, u32 slot)
{
    const auto* slots = reinterpret_cast<const u16*>(record.root + sizeof(tarnfs_node));
    return *reinterpret_cast<tarnfs_extent_item*>(record.root + slots[slot]);
}

}  // namespace

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
