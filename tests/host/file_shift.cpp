// SPDX-License-Identifier: GPL-2.0
// fallocate(2) that moves what is behind a range: collapsing and inserting, against a string; what mappings,
// pins and stores make of it; and power cuts.
#include <random>

#include "tests/host/file_powercut.hpp"
#include "tests/host/support/random.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kB = kBlockSize;

class FileShift : public FilePowerCut {
  protected:
    FileShift() : FilePowerCut(16384) {}
    DirtyTracker& tracker() { return InodeObject::of(file->inode()).tracker; }
    // Written, unwritten, hole, in turn; some of it behind the end.
    std::string make_mixture(u64 blocks)
    {
        std::string model = zeroes(blocks * kB);
        EXPECT_EQ(file->truncate(blocks * kB), 0);
        for (u64 at = 0; at < blocks; at++) {
            if (at % 3 == 0) {
                const std::string bytes = pattern(kB, static_cast<char>('A' + at % 20));
                file->write(at * kB, bytes);
                model.replace(at * kB, kB, bytes);
            } else if (at % 3 == 1) {
                EXPECT_EQ(file->allocate(at * kB, kB), 0);
            }
        }
        EXPECT_EQ(file->allocate_keeping_size(blocks * kB, 3 * kB), 0);
        return model;
    }
};

}  // namespace

TEST_F(FileShift, Refused)
{
    file->write(0, pattern(10 * kB + 5));
    const std::string before = file->contents();
    for (auto [offset, length] : {std::pair<u64, u64>{1, kB}, {kB, 100}, {kB + 512, kB}, {kB, kB - 1}}) {
        EXPECT_EQ(file->collapse(offset, length), -EINVAL);
        EXPECT_EQ(file->insert(offset, length), -EINVAL);
    }
    EXPECT_EQ(file->collapse(0, 11 * kB), -EINVAL) << "all of the file";
    EXPECT_EQ(file->collapse(10 * kB, kB), -EINVAL) << "over the end";
    EXPECT_EQ(file->insert(11 * kB, kB), -EINVAL) << "behind the end";
    EXPECT_EQ(file->insert(0, kMaxFileSize - 10 * kB), -EFBIG);
    EXPECT_EQ(file->contents(), before);
    ASSERT_EQ(file->truncate(10 * kB), 0);
    EXPECT_EQ(file->collapse(9 * kB, kB), -EINVAL) << "up to the end";
    EXPECT_EQ(file->insert(10 * kB, kB), -EINVAL) << "at the end";
}

// Offsets up to the largest; what is allocated behind the end counts.
TEST_F(FileShift, TheLargestFile)
{
    file->write(0, "x");
    ASSERT_EQ(file->truncate(kMaxFileSize - 100), 0);
    EXPECT_EQ(file->insert(0, kB), -EFBIG);
    ASSERT_EQ(file->collapse(kB, kB), 0);
    file->write(kMaxFileSize - kB - 104, "last");
    ASSERT_EQ(file->insert(0, kB), 0);
    EXPECT_EQ(file->size(), kMaxFileSize - 100);
    EXPECT_EQ(file->read(kMaxFileSize - 104, 10), "last");
    EXPECT_EQ(file->read(kB, 1), "x");
    ASSERT_EQ(file->collapse(kB, kMaxFileSize - 3 * kB), 0);
    EXPECT_EQ(file->size(), 3 * kB - 100);
    EXPECT_EQ(file->read(3 * kB - 104, 10), "last");
    ASSERT_EQ(file->allocate_keeping_size(kMaxFileSize - kB, kB), 0);
    EXPECT_EQ(file->insert(0, kB), -EFBIG);
    remount();
    EXPECT_EQ(file->size(), 3 * kB - 100);
}

TEST_F(FileShift, EachRangeOfAMixture)
{
    constexpr u64 kBlocks = 12;
    for (u64 first = 0; first < kBlocks; first++)
        for (u64 count = 1; first + count < kBlocks; count++) {
            std::string model = make_mixture(kBlocks);
            const u64 blocks = file->blocks();
            ASSERT_EQ(file->insert(first * kB, count * kB), 0);
            model.insert(first * kB, zeroes(count * kB));
            ASSERT_EQ(file->contents(), model);
            ASSERT_EQ(file->blocks(), blocks);
            ASSERT_EQ(file->collapse(first * kB, count * kB), 0);
            model.erase(first * kB, count * kB);
            ASSERT_EQ(file->contents(), model);
            ASSERT_EQ(file->blocks(), blocks);
            ASSERT_EQ(file->collapse(first * kB, count * kB), 0);
            model.erase(first * kB, count * kB);
            ASSERT_EQ(file->contents(), model);
            const u64 grown = model.size() + 4 * kB;
            ASSERT_EQ(file->truncate(grown), 0);
            model.resize(grown);
            ASSERT_EQ(file->contents(), model) << "what was allocated behind the end is still unwritten";
            ASSERT_EQ(file->truncate(0), 0);
        }
}

// Every operation on contents and mappings, in any order.
TEST_F(FileShift, RandomOperationsMatchAModel)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::string model;
    FakeMapping one(mm, *file), two(mm, *file);
    one.allow_huge();
    two.fault_around(16);
    const u64 most = 1200 * kB;
    for (int i = 0; i < 3000; i++) {
        const u64 blocks = model.size() / kB + 1;
        const u64 first = random() % blocks * kB;
        const u64 length = (1 + random() % (i % 50 ? 20 : 520)) * kB;
        const u64 offset = random() % (model.size() + 1);
        switch (random() % 10) {
            case 0:
            case 1:
                if (first < model.size() && model.size() + length <= most) {
                    ASSERT_EQ(file->insert(first, length), 0);
                    model.insert(first, length, '\0');
                }
                break;
            case 2:
            case 3:
                if (first + length < model.size()) {
                    ASSERT_EQ(file->collapse(first, length), 0);
                    model.erase(first, length);
                }
                break;
            case 4: {
                const std::string bytes = pattern(1 + random() % 20000, static_cast<char>('a' + i % 7));
                if (offset + bytes.size() > most)
                    break;
                ASSERT_EQ(file->write(offset, bytes), static_cast<long long>(bytes.size()));
                model.resize(std::max<u64>(model.size(), offset + bytes.size()));
                model.replace(offset, bytes.size(), bytes);
                break;
            }
            case 5: ASSERT_EQ(file->allocate_keeping_size(first, length), 0); break;
            case 6:
                ASSERT_EQ(file->punch(first, length), 0);
                if (first < model.size())
                    model.replace(first, std::min(length, model.size() - first),
                                  zeroes(std::min(length, model.size() - first)));
                break;
            case 7:
                if (offset < model.size()) {
                    const char value = static_cast<char>(random());
                    ASSERT_EQ((i % 2 ? one : two).store(offset, value), 0);
                    model[offset] = value;
                }
                break;
            case 8:
                if (offset < model.size()) {
                    ASSERT_EQ((i % 2 ? one : two).at(offset), model[offset]);
                }
                break;
            default: ASSERT_EQ(file->sync(), 0);
        }
        ASSERT_EQ(file->size(), model.size());
        if (i % 20 == 0) {
            ASSERT_TRUE(file->contents() == model) << i;
        }
        for (const auto& page : two.pages())
            ASSERT_TRUE(page.zero || mm.owner(page.pfn)->block == page.block) << i;
    }
    one.unmap();
    two.unmap();
    remount();
    EXPECT_TRUE(file->contents() == model);
}

TEST_F(FileShift, MappingsSeeWhatHasMoved)
{
    std::string model = pattern(8 * kB);
    file->write(0, model);
    FakeMapping mapping(mm, *file);
    for (u64 block = 0; block < 8; block++)
        ASSERT_EQ(mapping.store(block * kB + 9, static_cast<char>('0' + block)), 0);
    ASSERT_EQ(file->collapse(2 * kB, 3 * kB), 0);
    EXPECT_TRUE(mapping.is_mapped(1)) << "what is in front of the range stays mapped";
    EXPECT_FALSE(mapping.is_mapped(2));
    EXPECT_EQ(mapping.at(2 * kB + 9), '5');
    EXPECT_EQ(mm.owner(mapping.pages().back().pfn)->block, 2u) << "the page knows its new place";
    EXPECT_EQ(mapping.fault(5, TARN_FAULT_READ), -ENXIO) << "behind the end";
    ASSERT_EQ(file->insert(kB, 2 * kB), 0);
    EXPECT_EQ(mapping.at(kB + 9), '\0');
    EXPECT_EQ(mapping.at(3 * kB + 9), '1');
    EXPECT_EQ(mapping.at(4 * kB + 9), '5');
    ASSERT_EQ(mapping.store(2 * kB, 'n'), 0);
    EXPECT_EQ(file->read(2 * kB, 1), "n");
}

// Also one of what only moves: it would be stored to at its old place.
TEST_F(FileShift, APinFromTheRangeOnIsWaitedFor)
{
    const std::string model = pattern(8 * kB);
    file->write(0, model);
    for (u64 block : {3u, 6u}) {
        FakeMapping mapping(mm, *file);
        u64 pfn = 0;
        ASSERT_EQ(mapping.pin(block, TARN_FAULT_WRITE, &pfn), 0);
        EXPECT_EQ(file->collapse(3 * kB, 2 * kB), -EBUSY);
        EXPECT_EQ(file->insert(3 * kB, 2 * kB), -EBUSY);
        EXPECT_EQ(file->contents(), model);
        mm.unpin(pfn);
    }
    FakeMapping mapping(mm, *file);
    u64 pfn = 0;
    ASSERT_EQ(mapping.pin(2, TARN_FAULT_WRITE, &pfn), 0);
    ASSERT_EQ(file->collapse(3 * kB, 2 * kB), 0);
    ASSERT_EQ(file->insert(3 * kB, 2 * kB), 0);
    mm.store_pinned(pfn, 0, "pinned", 6);
    EXPECT_EQ(file->read(2 * kB, 6), "pinned");
    mm.unpin(pfn);
}

TEST_F(FileShift, AHugeEntryIsSplitAtTheRange)
{
    const std::string model = pattern(512 * kB);
    file->write(0, model);
    FakeMapping mapping(mm, *file);
    mapping.allow_huge();
    ASSERT_EQ(mapping.store(7 * kB, 'd'), 0);
    ASSERT_TRUE(mapping.is_huge(7));
    DurableImage durable(device);
    ASSERT_EQ(file->collapse(300 * kB, kB), 0);
    EXPECT_TRUE(tracker().has_dirty()) << "what stays in its place is dirty still";
    EXPECT_EQ(mapping.at(300 * kB), model[301 * kB]);
    ASSERT_EQ(file->sync(), 0);
    std::string after = model;
    after[7 * kB] = 'd';
    after.erase(300 * kB, kB);
    EXPECT_TRUE(contents_after_crash(durable) == after);
}

// Nodes full of extents: the tree is built anew in one record, or not at all.
TEST_F(FileShift, APowerCutShowsOneFileOrTheOther)
{
    std::string before;
    for (u64 i = 0; i < 300; i++)
        before += pattern(kB, static_cast<char>('A' + i % 20)) + zeroes(kB);
    for (u64 i = 0; i < 300; i++)
        file->write(2 * i * kB, before.substr(2 * i * kB, kB));
    ASSERT_EQ(file->truncate(before.size()), 0);
    std::string after = before;
    after.erase(101 * kB, 57 * kB);
    cut([&] { ASSERT_EQ(file->collapse(101 * kB, 57 * kB), 0); },
        [&](const std::string& found) { return either(found, before, after); });
    settled(after);
    before = after;
    after.insert(33 * kB, zeroes(9 * kB));
    cut([&] { ASSERT_EQ(file->insert(33 * kB, 9 * kB), 0); },
        [&](const std::string& found) { return either(found, before, after); });
    settled(after);
}

TEST_F(FileShift, APowerCutLosesNoStore)
{
    std::string before = pattern(10 * kB + 77);
    file->write(0, before);
    FakeMapping mapping(mm, *file);
    ASSERT_EQ(mapping.store(6 * kB, 's'), 0);
    std::string stored = before;
    stored[6 * kB] = 's';
    std::string after = stored;
    after.erase(2 * kB, 3 * kB);
    cut([&] { ASSERT_EQ(file->collapse(2 * kB, 3 * kB), 0); },
        [&](const std::string& found) { return either(found, before, stored) || found == after; });
    settled(after);
    for (const std::string& promised : promised_in([&] { ASSERT_EQ(file->insert(kB, kB), 0); }))
        EXPECT_EQ(promised.find('s') != std::string::npos, true);
}

// A range in more pieces than one record frees is punched first: old bytes or zeroes in it, nothing else
// moves.
TEST_F(FileShift, ARangeInManyPieces)
{
    constexpr u64 kPieces = 1500;
    std::string before = zeroes(2 * kPieces * kB);
    for (u64 i = 0; i < kPieces; i++) {
        before[2 * i * kB] = 'p';
        file->write(2 * i * kB, "p");
    }
    ASSERT_EQ(file->truncate(before.size()), 0);
    std::string after = before;
    after.erase(2 * kB, (2 * kPieces - 10) * kB);
    EXPECT_EQ(
        file->fallocate(TARN_FALLOCATE_COLLAPSE, FakeFile::KeepSize::kNo, 2 * kB, (2 * kPieces - 10) * kB, 1),
        1);
    const std::string half = file->contents();
    ASSERT_EQ(half.size(), before.size());
    EXPECT_EQ(half.substr(0, 2 * kB), before.substr(0, 2 * kB));
    EXPECT_EQ(half.substr(half.size() - 8 * kB), before.substr(before.size() - 8 * kB));
    for (u64 i = 0; i < half.size(); i += kB)
        ASSERT_TRUE(half[i] == before[i] || half[i] == '\0');
    ASSERT_EQ(file->collapse(2 * kB, (2 * kPieces - 10) * kB), 0);
    EXPECT_TRUE(file->contents() == after);
}

TEST_F(FileShift, NoMemoryNoSpaceOrNothing)
{
    for (auto kind : {TARN_FALLOCATE_COLLAPSE, TARN_FALLOCATE_INSERT}) {
        std::string model;
        int failures = 0;
        for (long countdown = 0;; countdown++) {
            file->truncate(0);
            model = make_mixture(120);
            FakeMapping mapping(mm, *file);
            ASSERT_EQ(mapping.store(60 * kB, model[60 * kB]), 0);
            const u64 free = fs->free_blocks();
            LogCapture log;
            host::fail_allocation_after(countdown);
            const int error = file->fallocate(kind, FakeFile::KeepSize::kNo, 3 * kB, 5 * kB);
            host::fail_allocation_after(-1);
            if (!error)
                break;
            failures++;
            ASSERT_EQ(error, -ENOMEM);
            ASSERT_EQ(file->contents(), model);
            ASSERT_EQ(fs->free_blocks(), free);
        }
        EXPECT_GT(failures, 1);
        if (kind == TARN_FALLOCATE_COLLAPSE)
            model.erase(3 * kB, 5 * kB);
        else
            model.insert(3 * kB, 5 * kB, '\0');
        EXPECT_EQ(file->contents(), model);
    }
}

// What one record holds is what a map may need at most: beyond, nothing has changed.
TEST_F(FileShift, OnAFullDeviceNothingHasChanged)
{
    std::string model = make_mixture(300);
    auto hog = fs->create(mm, "hog");
    while (hog->write(hog->size(), std::string(64 * kB, 'h')) > 0) {
    }
    while (hog->write(hog->size(), std::string(kB, 'h')) > 0) {
    }
    EXPECT_EQ(file->insert(3 * kB, kB), -ENOSPC) << "a tree of nodes, of which new ones are needed first";
    EXPECT_EQ(file->contents(), model);
    ASSERT_EQ(hog->truncate(hog->size() - 20 * kB), 0);
    ASSERT_EQ(file->insert(3 * kB, kB), 0);
    model.insert(3 * kB, kB, '\0');
    EXPECT_EQ(file->contents(), model);
}
