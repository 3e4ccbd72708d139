// SPDX-License-Identifier: GPL-2.0
// Power cuts in faults, syncs, truncations and holes of 2 MiB; what an fsync promises in the middle of the
// last two; and that a page which may be stored to is durably the file's (MAP_SYNC), of either size.
#include "tests/host/file_powercut.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kHuge = kHugeEntry * kBlockSize;  // 2 MiB

class FileHugePowerCut : public FilePowerCut {
  protected:
    FileHugePowerCut() : FilePowerCut(5632)
    {
        auto spoiled = fs->create(mm, "spoiled");
        spoiled->write(
            0, std::string(fs->free_blocks() * 7 / 8 * kBlockSize, 'S'));  // fresh blocks are full of this
        fs->unlink("spoiled", *spoiled);
    }
    std::unique_ptr<FakeMapping> map()
    {
        auto mapping = std::make_unique<FakeMapping>(mm, *file);
        mapping->allow_huge();
        return mapping;
    }
    // Stores in some of the blocks, the first and the last among them, and into `after`.
    void store(FakeMapping& mapping, std::string& after)
    {
        for (u64 block : {0, 7, 300, 511}) {
            after.replace(block * kBlockSize + 104, 6, "stored");
            ASSERT_EQ(mapping.store(block * kBlockSize + 104, "stored", 6), 0);
        }
        ASSERT_TRUE(mapping.is_huge(0));
    }
    void cut_fault_and_sync()
    {
        auto mapping = map();
        const std::string before = file->contents();
        std::string after = before;
        cut(
            [&] {
                store(*mapping, after);
                ASSERT_EQ(file->sync(), 0);
            },
            [&](const std::string& found) { return words_of(found, before, after); });
        settled(after);
    }
};

}  // namespace

TEST_F(FileHugePowerCut, AHoleIsFilledByOneFault)
{
    file->truncate(kHuge);
    cut_fault_and_sync();
}

// The extent goes on behind the 2 MiB, so it is cut in two.
TEST_F(FileHugePowerCut, AllocatedSpaceIsMadeWrittenByOneFault)
{
    ASSERT_EQ(file->allocate(0, kHuge + 20 * kBlockSize), 0);
    cut_fault_and_sync();
}

TEST_F(FileHugePowerCut, WrittenSpaceIsStoredTo)
{
    file->write(0, pattern(kHuge));
    cut_fault_and_sync();
}

TEST_F(FileHugePowerCut, AHoleIsMadeInTheMiddle)
{
    file->truncate(kHuge);
    auto mapping = map();
    std::string before = file->contents(), stored = before;
    cut(
        [&] {
            store(*mapping, stored);
            ASSERT_EQ(file->punch(5 * kBlockSize + 200, 300 * kBlockSize), 0);
            ASSERT_EQ(file->sync(), 0);
        },
        [&](const std::string& found) { return words_of(found, before, stored); });
    stored.replace(5 * kBlockSize + 200, 300 * kBlockSize, zeroes(300 * kBlockSize));
    settled(stored);
}

TEST_F(FileHugePowerCut, AnFsyncDuringATruncationPromisesOldOrNew)
{
    file->write(0, pattern(kHuge));
    std::string stored = pattern(kHuge);
    auto cut_off = [&] {
        auto mapping = map();
        store(*mapping, stored);
        ASSERT_EQ(file->truncate(0), 0);
    };
    for (const std::string& found : promised_in(cut_off))
        EXPECT_TRUE(either(found, stored, ""));
}

TEST_F(FileHugePowerCut, AnFsyncDuringAPunchOrAZeroingPromisesOldOrNew)
{
    for (const bool punch : {true, false})
        for (const bool huge : {true, false}) {
            file->write(0, pattern(kHuge));
            std::string stored = pattern(kHuge);
            stored.replace(7 * kBlockSize, 6, "stored");
            auto clear = [&] {
                auto mapping = huge ? map() : std::make_unique<FakeMapping>(mm, *file);
                ASSERT_EQ(mapping->store(7 * kBlockSize, "stored", 6), 0);
                ASSERT_EQ(punch ? file->punch(0, kHuge) : file->zero(0, kHuge), 0);
            };
            for (const std::string& found : promised_in(clear))
                EXPECT_TRUE(either(found, stored, zeroes(kHuge))) << punch << huge;
        }
}

// As who has mapped it with MAP_SYNC may rely on: a write-back of the line and a fence, both by the program.
TEST_F(FileHugePowerCut, AfterAFaultAStoreNeedsNoMoreThanItsLineWrittenBack)
{
    for (const bool is_allocated : {true, false})
        for (const bool huge : {true, false}) {
            ASSERT_EQ(file->truncate(0), 0);
            ASSERT_EQ(is_allocated ? file->allocate(0, kHuge) : file->truncate(kHuge), 0);
            auto mapping = huge ? map() : std::make_unique<FakeMapping>(mm, *file);
            PersistModel model(device, nullptr, nullptr);
            u64 stored_to = 0;
            mm.stored = [&](u64 pfn, u64, u64) { stored_to = pfn; };
            ASSERT_EQ(mapping->store(9 * kBlockSize + 64, "stored", 6), 0);
            mm.stored = nullptr;
            tarn_persist_write_back(&device.device(), mm.page(stored_to) + 64, 6);
            ASSERT_EQ(tarn_persist_fence(&device.device()), 0);
            std::string expected = zeroes(kHuge);
            expected.replace(9 * kBlockSize + 64, 6, "stored");
            EXPECT_EQ(contents_of_image(model.least()), expected) << is_allocated << huge;
        }
}
