// SPDX-License-Identifier: GPL-2.0
// Power cuts in fallocate(2), and in what makes unwritten blocks written. Free blocks hold junk, so that a
// block that becomes readable before its contents are durable shows.
#include "tests/host/file_powercut.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

constexpr u64 kB = kBlockSize;

class FallocatePowerCut : public FilePowerCut {
  protected:
    FallocatePowerCut()
    {
        auto spoiled = fs->create(mm, "spoiled");
        spoiled->write(0, std::string((fs->free_blocks() - 600) * kB, 'S'));
        fs->unlink("spoiled", *spoiled);
    }
    // Sizes of the two only; every word is of one or the other. Where it has grown, all below is as after.
    static bool between(std::string found, std::string before, const std::string& after)
    {
        if (found.size() == after.size())
            before.resize(after.size());
        return found.size() == before.size() && words_of(found, before, after.substr(0, found.size()));
    }
};

}  // namespace

TEST_F(FallocatePowerCut, Allocate)
{
    const std::string before = pattern(5000), after = before + zeroes(55000);
    file->write(0, before);
    FakeMapping mapping(mm, *file);
    ASSERT_EQ(mapping.store(5000, std::string(3000, 'G').data(), 3000), 0);
    ASSERT_EQ(file->sync(), 0);  // what is behind the end is durable
    cut([&] { ASSERT_EQ(file->allocate(9000, 51000), 0); },
        [&](const std::string& found) { return either(found, before, after); });
    settled(after);
}

TEST_F(FallocatePowerCut, AllocateBehindTheEndAndGrow)
{
    const std::string before = pattern(5000);
    file->write(0, before);
    cut([&] { ASSERT_EQ(file->allocate_keeping_size(0, 60000), 0); },
        [&](const std::string& found) { return found == before; });
    const std::string grown = before + zeroes(35000);
    cut([&] { ASSERT_EQ(file->truncate(40000), 0); },
        [&](const std::string& found) { return either(found, before, grown); });
    const std::string after = grown + zeroes(5000) + pattern(3000, 'A');
    cut([&] { file->write(45000, pattern(3000, 'A')); },
        [&](const std::string& found) { return either(found, grown, after); });
    settled(after);
}

TEST_F(FallocatePowerCut, ConvertByWrite)
{
    const std::string before = zeroes(40 * kB);
    ASSERT_EQ(file->allocate(0, 40 * kB), 0);
    std::string after = before;
    after.replace(5001, 20000, pattern(20000));
    cut([&] { file->write(5001, pattern(20000)); },
        [&](const std::string& found) { return either(found, before, after); });
    settled(after);
}

TEST_F(FallocatePowerCut, ConvertByFault)
{
    const std::string before = zeroes(10 * kB);
    ASSERT_EQ(file->allocate(0, 10 * kB), 0);
    FakeMapping mapping(mm, *file);
    std::string after = before;
    after.replace(3 * kB, 6, "stored");
    cut(
        [&] {
            ASSERT_EQ(mapping.store(3 * kB, "stored", 6), 0);
            ASSERT_EQ(file->sync(), 0);
        },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}

TEST_F(FallocatePowerCut, Punch)
{
    const std::string before = pattern(60000);
    file->write(0, before);
    std::string after = before;
    after.replace(5001, 40001, zeroes(40001));
    cut([&] { ASSERT_EQ(file->punch(5001, 40001), 0); },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}

TEST_F(FallocatePowerCut, PunchPartOfABlock)
{
    const std::string before = pattern(8192);
    file->write(0, before);
    std::string after = before;
    after.replace(5000, 80, zeroes(80));
    cut([&] { ASSERT_EQ(file->punch(5000, 80), 0); },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}

TEST_F(FallocatePowerCut, Zero)
{
    const std::string before = pattern(60000);
    file->write(0, before);
    std::string after = before;
    after.replace(5001, 40001, zeroes(40001));
    cut([&] { ASSERT_EQ(file->zero(5001, 40001), 0); },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
    // Written again: what was there before never comes back.
    std::string again = after;
    again.replace(10 * kB + 3, 100, pattern(100, 'A'));
    cut([&] { file->write(10 * kB + 3, pattern(100, 'A')); },
        [&](const std::string& found) { return words_of(found, after, again); });
    settled(again);
}

TEST_F(FallocatePowerCut, ZeroOverTheEnd)
{
    const std::string before = pattern(13000), after = before.substr(0, 5001) + zeroes(40001);
    file->write(0, before);
    cut([&] { ASSERT_EQ(file->zero(5001, 40001), 0); },
        [&](const std::string& found) {
            return found.size() == after.size() ? found == after : between(found, before, after);
        });
    settled(after);
}

// The punched blocks go to another file at once.
TEST_F(FallocatePowerCut, PunchedBlocksShowNobodysBytes)
{
    const std::string before = std::string(40000, 'o');
    file->write(0, before);
    auto other = fs->create(mm, "other");
    other->write(0, std::string(fs->free_blocks() * kB - 400000, 'f'));
    std::string after = before;
    after.replace(5000, 30000, zeroes(30000));
    cut(
        [&] {
            ASSERT_EQ(file->punch(5000, 30000), 0);
            other->write(0, std::string(other->size() + 1000000, 'S'));
        },
        [&](const std::string& found) { return words_of(found, before, after); });
}

// Zeroed, and stored through a mapping that was there before: the store waits for the block to be written
// again.
TEST_F(FallocatePowerCut, StoresAfterZeroing)
{
    std::string before = pattern(10 * kB);
    file->write(0, before);
    FakeMapping mapping(mm, *file);
    ASSERT_EQ(mapping.store(3 * kB, before.data() + 3 * kB, 1), 0);
    ASSERT_EQ(file->zero(2 * kB, 4 * kB), 0);
    before.replace(2 * kB, 4 * kB, zeroes(4 * kB));
    std::string after = before;
    after.replace(3 * kB + 100, 6, "stored");
    cut(
        [&] {
            ASSERT_EQ(mapping.store(3 * kB + 100, "stored", 6), 0);
            ASSERT_EQ(file->sync(), 0);
        },
        [&](const std::string& found) { return words_of(found, before, after); });
    settled(after);
}
