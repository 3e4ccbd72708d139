// SPDX-License-Identifier: GPL-2.0
// After a shutdown on request: nothing more is stored for anybody, and what mappings had stored already is not lost
// behind the back of the next mount.
#include "tests/host/file_fixture.hpp"

namespace tarn::test {

namespace {

class FileShutdown : public FileTest {};

}  // namespace

// The next mount reads it, and its syncs know nothing of lines that are dirty in the caches: a sync that succeeds there must
// not have lied.
TEST_F(FileShutdown, WhatMappingsHaveStoredIsDurableOnceTheInodeHasGone)
{
    file->write(0, pattern(2 * kBlockSize));
    DurableImage durable(device);
    {
        FakeMapping mapping(mm, *file);
        ASSERT_EQ(mapping.store(100, '!'), 0);
        LogCapture log;
        tarn_fs_shut_down(fs->fs());
        EXPECT_EQ(file->sync(), -EIO);
    }
    EXPECT_NE(contents_after_crash(durable)[100], '!') << "nobody has been told that it is";
    file.reset();
    EXPECT_EQ(contents_after_crash(durable)[100], '!');
}

TEST_F(FileShutdown, NothingElseIsStored)
{
    file->write(0, pattern(kBlockSize));
    LogCapture log;
    tarn_fs_shut_down(fs->fs());
    EXPECT_EQ(file->write(0, std::string("late")), -EIO);
    EXPECT_EQ(file->truncate(0), -EIO);
    EXPECT_EQ(file->punch(0, kBlockSize), -EIO);
    FakeMapping mapping(mm, *file);
    EXPECT_EQ(mapping.store(0, '!'), -EIO);
    EXPECT_EQ(file->contents(), pattern(kBlockSize));
}

}  // namespace tarn::test
