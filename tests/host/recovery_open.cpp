// SPDX-License-Identifier: GPL-2.0
// Opening a fresh file system, in order and after a power cut.
#include <gtest/gtest.h>

#include "tests/host/support/volume.hpp"

namespace tarn::test {

TEST(RecoveryOpen, AFreshFileSystemOpensWithTheFreeBlocksOfItsBitmaps)
{
    TestVolume volume;
    const Layout& layout = volume.layout();
    EXPECT_EQ(volume->space().free_blocks(), layout.blocks - layout.first_data.value - kFirstTableBlocks - 1);
    EXPECT_EQ(volume->replayed_records(), 0u);
}

TEST(RecoveryOpen, ReopensAfterAClose)
{
    TestVolume volume;
    const u64 free = volume->space().free_blocks();
    for (int round = 0; round < 5; round++) {
        ASSERT_TRUE(volume.close());
        volume.open();
        EXPECT_EQ(volume->space().free_blocks(), free);
        EXPECT_EQ(volume->replayed_records(), 0u);
    }
}

TEST(RecoveryOpen, AReadOnlyOpenStoresNothing)
{
    TestVolume volume;
    ASSERT_TRUE(volume.close());
    const auto before = volume.device().image();
    volume.device().set_read_only(1);
    volume.open(Volume::Access::kReadOnly);
    EXPECT_FALSE(volume->may_change());
    volume.abandon();
    EXPECT_EQ(volume.device().image(), before);
}

}  // namespace tarn::test
