// SPDX-License-Identifier: GPL-2.0
// What one fault maps besides its own block: neighbours that need no waiting, and for stores only those that
// a run of stores is about to reach.
#include <random>
#include <thread>

#include "tests/host/file_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kAround = 16;

class FileFaultAround : public FileTest {
  protected:
    DirtyTracker& tracker() { return InodeObject::of(file->inode()).tracker; }
    std::unique_ptr<FakeMapping> map()
    {
        auto mapping = std::make_unique<FakeMapping>(mm, *file);
        mapping->fault_around(kAround);
        return mapping;
    }
    std::string mapped(FakeMapping& mapping, u64 blocks)
    {
        std::string text;
        for (u64 block = 0; block < blocks; block++)
            text += !mapping.is_mapped(block)     ? '.'
                    : mapping.is_zero_page(block) ? 'z'
                    : mapping.is_writable(block)  ? 'W'
                                                  : 'r';
        return text;
    }
    u64 lines_of_sync()
    {
        const u64 before = device.counters().written_back_lines.load_relaxed();
        EXPECT_EQ(file->sync(), 0);
        return device.counters().written_back_lines.load_relaxed() - before;
    }
};

}  // namespace

TEST_F(FileFaultAround, ALoadMapsTheAlignedWindowWrittenOrHole)
{
    file->write(0, pattern(20 * kBlockSize));
    file->truncate(40 * kBlockSize);
    ASSERT_EQ(file->allocate(30 * kBlockSize, 10 * kBlockSize), 0);
    auto mapping = map();
    EXPECT_EQ(mapping->at(21 * kBlockSize), '\0');
    EXPECT_EQ(mapped(*mapping, 40), "................rrrrzzzzzzzzzzzz........");
    EXPECT_EQ(mapping->at(17 * kBlockSize + 5), pattern(20 * kBlockSize)[17 * kBlockSize + 5]);
    EXPECT_EQ(mapping->at(31 * kBlockSize), '\0');
    EXPECT_EQ(mapping->faults(), 1u);
    EXPECT_EQ(tracker().numbers().entries, 4u) << "zero pages leave none";
    EXPECT_FALSE(tracker().has_dirty());
}

TEST_F(FileFaultAround, NothingBehindTheLastPageIsMapped)
{
    file->write(0, pattern(4 * kBlockSize + 1));
    auto mapping = map();
    mapping->at(0);
    EXPECT_EQ(mapped(*mapping, 16), "rrrrr...........");
    EXPECT_EQ(mapping->fault(5, TARN_FAULT_READ), -ENXIO);
    // Nor blocks that fallocate has put there, nor those of a size that was larger.
    ASSERT_EQ(file->allocate_keeping_size(0, 16 * kBlockSize), 0);
    ASSERT_EQ(file->truncate(kBlockSize), 0);
    auto other = map();
    other->at(0);
    EXPECT_EQ(mapped(*other, 16), "r...............");
}

TEST_F(FileFaultAround, ANeighbourThatSomebodyHasLockedIsLeftOut)
{
    file->write(0, pattern(16 * kBlockSize));
    auto mapping = map();
    {
        LockedRange held = tracker().lock_range(FileBlock(9), 1).take();
        mapping->at(6 * kBlockSize);
        EXPECT_EQ(mapped(*mapping, 16), "rrrrrrrrr.......");
    }
    mapping->at(9 * kBlockSize);
    EXPECT_EQ(mapped(*mapping, 16), "rrrrrrrrrrrrrrrr");
}

TEST_F(FileFaultAround, NeighboursNeedNoMemory)
{
    file->write(0, pattern(16 * kBlockSize));
    auto mapping = map();
    mapping->store(0, 'x');  // the tree's node
    host::fail_allocation_after(0);
    int error = mapping->fault(5, TARN_FAULT_READ);
    host::fail_allocation_after(-1);
    EXPECT_EQ(error, 0);
    EXPECT_EQ(mapped(*mapping, 16), "Wrrrrrrrrrrrrrrr");
}

TEST_F(FileFaultAround, AStoreMakesNoNeighbourWritable)
{
    file->write(0, zeroes(16 * kBlockSize));
    auto mapping = map();
    mapping->at(0);
    ASSERT_EQ(mapping->store(4 * kBlockSize, 'x'), 0);
    ASSERT_EQ(mapping->store(5 * kBlockSize, 'x'), 0);
    ASSERT_EQ(mapping->store(3 * kBlockSize, 'x'), 0);
    EXPECT_EQ(mapped(*mapping, 16), "rrrWWWrrrrrrrrrr");
    EXPECT_EQ(mapping->faults(), 4u);
    EXPECT_EQ(lines_of_sync(), 3u * 64);
}

TEST_F(FileFaultAround, RunsOfStoresFaultLessAndCostNoMoreThanAnEighth)
{
    constexpr u64 kBlocks = 1024;
    enum class Of { kWritten, kHole, kUnwritten };
    for (Of of : {Of::kWritten, Of::kHole, Of::kUnwritten}) {
        file->truncate(0);
        if (of == Of::kWritten)
            file->write(0, zeroes(kBlocks * kBlockSize));
        file->truncate(kBlocks * kBlockSize);
        if (of == Of::kUnwritten) {
            ASSERT_EQ(file->allocate(0, kBlocks * kBlockSize), 0);
        }
        auto mapping = map();
        for (u64 block = 0; block < kBlocks; block++) {
            ASSERT_EQ(mapping->store(block * kBlockSize + 8, 'x'), 0);
            const u64 dirty = tracker().numbers().dirty;
            ASSERT_LE(dirty * 8, (block + 1) * 9) << block;
            ASSERT_EQ(mapping->try_store(0, "x", 1), true);
        }
        EXPECT_LE(mapping->faults(), 40 + kBlocks / kAround);
        EXPECT_EQ(file->blocks(), kBlocks);
        const std::string block = zeroes(8) + 'x' + zeroes(kBlockSize - 9);
        EXPECT_EQ(file->read(kBlockSize, 3 * kBlockSize), block + block + block);
        DurableImage durable(device);
        EXPECT_EQ(lines_of_sync(), kBlocks * 64);
        EXPECT_EQ(contents_after_crash(durable), file->contents());
    }
}

TEST_F(FileFaultAround, ScatteredStoresCostAtMost72LinesAPage)
{
    constexpr u64 kBlocks = 2048;
    file->write(0, zeroes(kBlocks * kBlockSize));
    for (u64 stores : {10, 200, 1000, 2000, 10000}) {
        auto mapping = map();
        std::mt19937 random(static_cast<unsigned>(stores));
        std::set<u64> stored;
        for (u64 i = 0; i < stores; i++) {
            const u64 block = random() % kBlocks;
            if (random() % 4 == 0)
                mapping->at(block * kBlockSize);
            stored.insert(block);
            ASSERT_EQ(mapping->store(block * kBlockSize, 'x'), 0);
        }
        EXPECT_LE(lines_of_sync(), 72 * stored.size()) << stores;
    }
}

TEST_F(FileFaultAround, AWriteReplacesTheZeroPagesOfNeighbours)
{
    file->truncate(64 * kBlockSize);
    auto one = map(), two = map();
    EXPECT_EQ(one->at(0), '\0');
    EXPECT_EQ(two->at(5 * kBlockSize), '\0');
    EXPECT_EQ(mapped(*two, 16), "zzzzzzzzzzzzzzzz");
    ASSERT_EQ(one->store(3 * kBlockSize, 'x'), 0);
    EXPECT_EQ(two->at(3 * kBlockSize), 'x');
    file->write(7 * kBlockSize, std::string(100, 'w'));
    EXPECT_EQ(one->at(7 * kBlockSize), 'w');
    EXPECT_EQ(two->at(7 * kBlockSize + 99), 'w');
    EXPECT_EQ(file->blocks(), 2u);
}

TEST_F(FileFaultAround, NoBlockIsLostWhateverTheInterleaving)
{
    constexpr u64 kBlocks = 48;
    file->truncate(kBlocks * kBlockSize);
    auto shared = map(), other = map();
    std::atomic<bool> stop = false;
    std::thread syncer([&] {
        while (!stop)
            ASSERT_EQ(file->sync(), 0);
    });
    std::vector<std::thread> threads;
    for (u64 t = 0; t < 3; t++)
        threads.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(t));
            FakeMapping& mapping = t == 2 ? *other : *shared;
            for (u64 round = 1; round < 40; round++)
                for (u64 step = 0; step < kBlocks; step++) {
                    const u64 block = round % 2 ? step : random() % kBlocks;
                    const u64 at = block * kBlockSize + t * 8;
                    if (random() % 16 == 0)
                        ASSERT_EQ(file->write(at, std::string(1, static_cast<char>(round))), 1);
                    else
                        ASSERT_EQ(mapping.store(at, static_cast<char>(round)), 0);
                    ASSERT_EQ(mapping.at(at), static_cast<char>(round));
                    ASSERT_EQ(file->read(at, 1)[0], static_cast<char>(round));
                }
        });
    for (auto& thread : threads)
        thread.join();
    stop = true;
    syncer.join();
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable), file->contents());
}
