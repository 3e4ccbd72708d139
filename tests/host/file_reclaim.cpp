// SPDX-License-Identifier: GPL-2.0
// Memory under pressure: entries of clean pages that nobody uses are given back, mapped or not; what is
// dirty, pinned or locked stays, and no store is lost.
#include <atomic>
#include <random>
#include <thread>

#include "tests/host/file_fixture.hpp"
#include "tests/host/tracker_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kAll = 1 << 20;  // entries

class FileReclaim : public FileTest {
  protected:
    FileReclaim() : FileTest(8192) {}

    DirtyTracker& tracker() { return InodeObject::of(file->inode()).tracker; }
    u64 entries() { return tracker().numbers().entries; }
    u64 reclaim(u64 budget = kAll) { return tarn_fs_reclaim(fs->fs(), budget); }
    u64 reclaimable() { return tarn_fs_reclaimable(fs->fs()); }
    std::unique_ptr<FakeMapping> load_all(u64 blocks)
    {
        auto mapping = std::make_unique<FakeMapping>(mm, *file);
        for (u64 block = 0; block < blocks; block++)
            mapping->at(block * kBlockSize);
        return mapping;
    }
};

}  // namespace

TEST_F(FileReclaim, CleanEntriesGoMappedOrNot)
{
    const std::string text = pattern(300 * kBlockSize);
    file->write(0, text);
    EXPECT_EQ(reclaim(), 0u) << "nothing has ever been mapped";
    load_all(300);
    EXPECT_EQ(reclaimable(), 300u);
    EXPECT_EQ(reclaim(), 300u) << "left behind by munmap";
    EXPECT_TRUE(tracker().empty());
    auto mapping = load_all(300);
    EXPECT_EQ(reclaim(), 300u);
    EXPECT_TRUE(tracker().empty());
    EXPECT_FALSE(mapping->is_mapped(7));
    EXPECT_EQ(mapping->at(7 * kBlockSize + 5), text[7 * kBlockSize + 5]);
    EXPECT_EQ(entries(), 1u);
}

TEST_F(FileReclaim, DirtyEntriesStayMapped)
{
    file->write(0, zeroes(200 * kBlockSize));
    auto mapping = load_all(200);
    for (u64 block : {0, 63, 64, 199})
        ASSERT_EQ(mapping->store(block * kBlockSize, 'd'), 0);
    EXPECT_EQ(reclaimable(), 196u);
    EXPECT_EQ(reclaim(), 196u);
    EXPECT_EQ(entries(), 4u);
    EXPECT_TRUE(mapping->is_writable(63));
    EXPECT_EQ(reclaimable(), 0u);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_TRUE(tracker().empty());
}

TEST_F(FileReclaim, APinnedPageKeepsItsEntryAndItsMapping)
{
    file->write(0, zeroes(10 * kBlockSize));
    auto mapping = load_all(10);
    u64 pfn = 0;
    ASSERT_EQ(mapping->pin(4, TARN_FAULT_READ, &pfn), 0);
    EXPECT_EQ(reclaim(), 9u);
    EXPECT_TRUE(mapping->is_mapped(4));
    EXPECT_EQ(file->truncate(0), -EBUSY) << "the pin still holds off the freeing of its block";
    mm.unpin(pfn);
    EXPECT_EQ(reclaim(), 1u);
    EXPECT_TRUE(tracker().empty());
}

TEST_F(FileReclaim, APinThatComesBeforeTheZapKeepsTheEntry)
{
    file->write(0, zeroes(10 * kBlockSize));
    auto mapping = load_all(10);
    const u64 pfn = tracker().lock(FileBlock(4), FileEntryPoints::held()).take().pfn(FileBlock(4))->value;
    bool done = false;
    mm.hook = [&](const char* what) {
        if (std::string(what) == "zap" && !std::exchange(done, true))
            mm.pin(pfn);
    };
    EXPECT_EQ(reclaim(), 9u);
    mm.hook = nullptr;
    EXPECT_TRUE(done);
    EXPECT_EQ(entries(), 1u);
    EXPECT_EQ(file->truncate(0), -EBUSY);
    mm.unpin(pfn);
}

TEST_F(FileReclaim, ALockedEntryIsNotWaitedFor)
{
    file->write(0, zeroes(10 * kBlockSize));
    auto mapping = load_all(10);
    {
        LockedEntry held = tracker().lock(FileBlock(3), FileEntryPoints::held()).take();
        EXPECT_EQ(reclaim(), 9u);
        EXPECT_TRUE(mapping->is_mapped(3));
    }
    EXPECT_EQ(reclaim(), 1u);
}

TEST_F(FileReclaim, LargeEntriesGoWhole)
{
    file->truncate(3 * kHugeEntry * kBlockSize);
    FakeMapping mapping(mm, *file);
    mapping.allow_huge();
    for (u64 first : {0, 1, 2})
        ASSERT_EQ(mapping.store(first * kHugeEntry * kBlockSize, 'h'), 0);
    ASSERT_EQ(file->sync(), 0);
    for (u64 first : {0, 1, 2})
        EXPECT_EQ(mapping.at(first * kHugeEntry * kBlockSize), 'h');
    ASSERT_EQ(mapping.store(kHugeEntry * kBlockSize, 'd'), 0);
    EXPECT_EQ(entries(), 3u);
    EXPECT_EQ(reclaim(), 2u);
    EXPECT_FALSE(mapping.is_mapped(5));
    EXPECT_TRUE(mapping.is_huge(kHugeEntry));
}

TEST_F(FileReclaim, ItLooksAtNoMoreThanItMayAndGoesOnWhereItWas)
{
    file->write(0, zeroes(300 * kBlockSize));
    auto mapping = load_all(300);
    for (u64 block = 0; block < 100; block++)
        ASSERT_EQ(mapping->store(block * kBlockSize, 'd'), 0);
    EXPECT_EQ(reclaim(70), 0u) << "dirty ones all";
    EXPECT_EQ(reclaim(50), 20u);
    EXPECT_EQ(reclaim(100), 100u);
    EXPECT_EQ(reclaim(200), 80u) << "to the end, and from the beginning";
    EXPECT_EQ(entries(), 100u);
}

TEST_F(FileReclaim, EachFileHasItsTurn)
{
    std::vector<std::unique_ptr<FakeFile>> files;
    std::vector<std::unique_ptr<FakeMapping>> mappings;
    for (int i = 0; i < 5; i++) {
        files.push_back(fs->create(mm, "f" + std::to_string(i)));
        files.back()->write(0, zeroes(10 * kBlockSize));
        mappings.push_back(std::make_unique<FakeMapping>(mm, *files.back()));
        for (u64 block = 0; block < 10; block++)
            mappings.back()->at(block * kBlockSize);
    }
    for (int turn = 0; turn < 5; turn++)
        EXPECT_EQ(reclaim(10), 10u);
    EXPECT_EQ(reclaimable(), 0u);
    EXPECT_EQ(tarn_fs_counted(fs->fs(), TARN_COUNT_RECLAIMED), 50u);
    mappings.clear();
    files.clear();
    EXPECT_EQ(reclaim(), 0u);
}

// One thread stores, loads and syncs, one makes and forgets files, two want memory all the time.
TEST_F(FileReclaim, NothingIsLostWhateverTheInterleaving)
{
    constexpr u64 kBlocks = 40;
    std::atomic<bool> stop = false;
    std::atomic<u64> removed = 0;
    file->write(0, zeroes(kBlocks * kBlockSize));
    auto mapping = load_all(kBlocks);
    std::vector<std::thread> others;
    for (int i = 0; i < 2; i++)
        others.emplace_back([&] {
            while (!stop)
                removed += reclaim(16);
        });
    others.emplace_back([&] {
        for (int i = 0; !stop; i++) {
            auto brief = fs->create(mm, "brief" + std::to_string(i));
            brief->write(0, "b");
            FakeMapping its_mapping(mm, *brief);
            EXPECT_EQ(its_mapping.at(0), 'b');
        }
    });
    std::string expected = zeroes(kBlocks);
    std::mt19937 random(1);
    for (int i = 0; i < 3000; i++) {
        const u64 block = random() % kBlocks;
        EXPECT_EQ(mapping->at(block * kBlockSize), expected[block]);
        if (i % 3 == 0) {
            expected[block] = static_cast<char>('a' + i % 26);
            ASSERT_EQ(mapping->store(block * kBlockSize, expected[block]), 0);
        }
        if (i % 50 == 0) {
            ASSERT_EQ(file->sync(), 0);
        }
    }
    stop = true;
    for (auto& other : others)
        other.join();
    EXPECT_GT(removed.load(), 0u);
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    const std::string contents = contents_after_crash(durable);
    for (u64 block = 0; block < kBlocks; block++)
        EXPECT_EQ(contents[block * kBlockSize], expected[block]) << block;
}
