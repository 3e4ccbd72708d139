// SPDX-License-Identifier: GPL-2.0
// Power cuts in writes, truncations, faults and syncs. (fallocate: file_fallocate_powercut.cpp.)
#include "tests/host/file_powercut.hpp"

using namespace tarn;
using namespace tarn::test;

TEST_F(FilePowerCut, Append)
{
    std::string before = pattern(6000), added = pattern(9000, 'A');
    file->write(0, before);
    cut([&] { file->write(6000, added); },
        [&](const std::string& found) {  // one step for the rest of the block, one for fresh blocks
            return found == before || found == before + added.substr(0, 2192) || found == before + added;
        });
    settled(before + added);
}

TEST_F(FilePowerCut, FillAHole)
{
    file->truncate(100000);
    std::string before = zeroes(100000), after = before;
    after.replace(5001, 20000, pattern(20000));
    cut([&] { file->write(5001, pattern(20000)); },
        [&](const std::string& found) { return either(found, before, after); });
    settled(after);
}

TEST_F(FilePowerCut, Overwrite)
{
    std::string before = pattern(50000), after = before;
    after.replace(101, 30001, pattern(30001, 'A'));
    file->write(0, before);
    cut([&] { file->write(101, pattern(30001, 'A')); },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}

TEST_F(FilePowerCut, GrowOverGarbage)
{
    std::string before = pattern(5000);
    file->write(0, before);
    FakeMapping mapping(mm, *file);
    ASSERT_EQ(mapping.store(5000, std::string(3000, 'G').data(), 3000), 0);
    ASSERT_EQ(file->sync(), 0);  // the garbage is durable
    cut([&] { file->truncate(20000); },
        [&](const std::string& found) { return either(found, before, before + zeroes(15000)); });
    settled(before + zeroes(15000));
}

TEST_F(FilePowerCut, WriteBehindGarbage)
{
    for (u64 offset : {6000, 9000}) {
        file->truncate(0);
        std::string before = pattern(5000);
        file->write(0, before);
        FakeMapping mapping(mm, *file);
        ASSERT_EQ(mapping.store(5000, std::string(3000, 'G').data(), 3000), 0);
        ASSERT_EQ(file->sync(), 0);
        std::string after = before + zeroes(offset - 5000) + pattern(1000, 'A');
        cut([&] { file->write(offset, pattern(1000, 'A')); },
            [&](const std::string& found) { return either(found, before, after); });
        settled(after);
    }
}

TEST_F(FilePowerCut, ShrinkAndGrow)
{
    std::string before = pattern(60000);
    file->write(0, before);
    std::string after = before.substr(0, 12345);
    cut([&] { file->truncate(12345); }, [&](const std::string& found) { return either(found, before, after); });
    settled(after);
    cut([&] { file->truncate(30000); },
        [&](const std::string& found) { return either(found, after, after + zeroes(30000 - 12345)); });
    settled(after + zeroes(30000 - 12345));
}

// The freed blocks go to another file at once: a cut must not show its bytes in the first.
TEST_F(FilePowerCut, FreedBlocksShowNobodysBytes)
{
    std::string before = std::string(40000, 'o');
    file->write(0, before);
    auto other = fs->create(mm, "other");
    other->write(0, std::string(fs->free_blocks() * 4096 - 400000, 'f'));  // so that freed blocks are soon taken again
    cut(
        [&] {
            file->truncate(10000);
            other->write(0, std::string(other->size() + 1000000, 'S'));
        },
        [&](const std::string& found) { return either(found, before, before.substr(0, 10000)); });
}

TEST_F(FilePowerCut, AllocateByFault)
{
    file->truncate(10 * 4096);
    auto spoiled = fs->create(mm, "spoiled");
    spoiled->write(0, std::string(fs->free_blocks() / 2 * 4096, 'S'));  // fresh blocks are full of this
    fs->unlink("spoiled", *spoiled);
    spoiled.reset();
    FakeMapping mapping(mm, *file);
    std::string before = zeroes(10 * 4096), after = before;
    after.replace(4096 * 3, 6, "stored");
    cut(
        [&] {
            ASSERT_EQ(mapping.store(4096 * 3, "stored", 6), 0);
            ASSERT_EQ(file->sync(), 0);
        },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}

TEST_F(FilePowerCut, SyncOfMappedStores)
{
    std::string before = pattern(20 * 4096), after = before;
    file->write(0, before);
    FakeMapping mapping(mm, *file);
    cut(
        [&] {
            for (u64 block : {1, 2, 3, 9, 15}) {
                after.replace(block * 4096 + 100, 3000, std::string(3000, 'M'));
                ASSERT_EQ(mapping.store(block * 4096 + 100, std::string(3000, 'M').data(), 3000), 0);
            }
            ASSERT_EQ(file->sync(), 0);
        },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}

TEST_F(FilePowerCut, ManyRandomOperations)
{
    std::mt19937 random(7);
    std::string model;
    for (int step = 0; step < 12; step++) {
        std::string before = model;
        u64 offset = random() % 60000, length = 1 + random() % 20000;
        std::string bytes = pattern(length, static_cast<char>('a' + random() % 26));
        bool shrinks = random() % 3 == 0;
        if (shrinks)
            model.resize(offset);
        else {
            model.resize(max<u64>(model.size(), offset + length));
            model.replace(offset, length, bytes);
        }
        cut([&] { shrinks ? file->truncate(offset) : static_cast<int>(file->write(offset, bytes)); },
            [&](const std::string& found) {
                // Sizes only between the two; every word of what both have is of one of them.
                u64 size = found.size(), low = min(before.size(), model.size()), high = max(before.size(), model.size());
                if (size < low || size > high)
                    return false;
                std::string old = before, now = model;
                old.resize(size);
                now.resize(size);
                return words_of(found, old, now);
            });
        ASSERT_EQ(file->contents(), model);
        if (HasFatalFailure())
            FAIL() << "step " << step;
    }
}

// Until the size has changed the file has its old bytes. An fsync that finds nothing dirty returns at once,
// also in the middle of a truncation: what was stored through mappings must be durable by then.
TEST_F(FilePowerCut, AnFsyncDuringATruncationPromisesOldOrNew)
{
    std::string before = pattern(8 * 4096), stored = before;
    file->write(0, before);
    stored.replace(5 * 4096, 6, "stored");
    FakeMapping mapping(mm, *file);
    const auto promised = promised_in([&] {
        ASSERT_EQ(mapping.store(5 * 4096, "stored", 6), 0);
        ASSERT_EQ(file->truncate(4096), 0);
    });
    for (const std::string& found : promised)
        EXPECT_TRUE(either(found, stored, before.substr(0, 4096)));
}

// What was dirty when a fence failed may have been forgotten with its inode.
TEST_F(FilePowerCut, NothingIsPromisedAfterAShutdown)
{
    file->write(0, pattern(4096));
    {
        FakeMapping mapping(mm, *file);
        ASSERT_EQ(mapping.store(100, "lost", 4), 0);
    }
    LogCapture log;
    device.fail_fences_from(1);
    EXPECT_ANY_THROW(fs->create(mm, "another"));
    device.fail_fences_from(0);
    file.reset();
    file = fs->open(mm, "file");
    EXPECT_EQ(file->sync(), -EIO);
    EXPECT_EQ(tarn_fs_sync(fs->fs()), -EIO);
    EXPECT_EQ(tarn_fs_settle(fs->fs()), -EIO);
    EXPECT_EQ(tarn_fs_set_access(fs->fs(), TARN_READ_ONLY), 0);
}
