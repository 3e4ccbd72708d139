// SPDX-License-Identifier: GPL-2.0
// Pages that somebody has pinned while their file, or the mount, goes: whoever pinned them may store to them
// for as long as they like, so they are given to nobody, and come back when the pins go.
#include <cstring>

#include "tests/host/file_fixture.hpp"

namespace tarn::test {

namespace {

class FilePins : public FileTest {
  protected:
    // A file whose second page is pinned; nothing maps it any more.
    std::unique_ptr<FakeFile> make_victim()
    {
        auto victim = fs->create(mm, "victim");
        victim->write(0, pattern(3 * kBlockSize));
        FakeMapping mapping(mm, *victim);
        EXPECT_EQ(mapping.pin(1, TARN_FAULT_WRITE, &pinned), 0);
        return victim;
    }
    void mount_again(std::unique_ptr<FakeFile>& victim)
    {
        victim.reset();
        remount();
        victim = fs->open(mm, "victim");
    }
    std::string pinned_page() { return std::string(reinterpret_cast<char*>(mm.page(pinned)), kBlockSize); }
    // Returns what fits.
    u64 fill_up()
    {
        const std::string piece(64 * kBlockSize, 'h');
        long long wrote = 1;
        for (u64 at = 0; wrote > 0; at += static_cast<u64>(wrote > 0 ? wrote : 0))
            wrote = file->write(at, piece);
        EXPECT_EQ(wrote, -ENOSPC);
        return file->size();
    }
    // The pinned block is free as far as the media knows. `more` is what else has become used since `free`
    // was read.
    void expect_untouched_until_unpinned(u64 free, u64 more)
    {
        EXPECT_EQ(fs->free_blocks() + more, free);
        const u64 fits = fill_up();
        EXPECT_EQ(pinned_page(), pattern(3 * kBlockSize).substr(kBlockSize, kBlockSize));
        memset(mm.page(pinned), 'D', kBlockSize);  // the DMA goes on
        EXPECT_EQ(file->contents().find('D'), std::string::npos);
        mm.unpin(pinned);
        ASSERT_EQ(file->truncate(0), 0);
        EXPECT_EQ(fill_up(), fits + kBlockSize);
        ASSERT_EQ(file->truncate(0), 0);
        EXPECT_EQ(fs->free_blocks() + more, free);
    }

    u64 pinned = 0;
};

}  // namespace

TEST_F(FilePins, OfARemovedFile)
{
    const u64 free = fs->free_blocks();
    auto victim = make_victim();
    fs->unlink("victim", *victim);
    victim.reset();
    EXPECT_FALSE(mm.owner(pinned).has_value());
    expect_untouched_until_unpinned(free, 0);
}

TEST_F(FilePins, OfAFileRemovedInTheNextMount)
{
    const u64 free = fs->free_blocks();
    auto victim = make_victim();
    mount_again(victim);
    fs->unlink("victim", *victim);
    victim.reset();
    expect_untouched_until_unpinned(free, 0);
}

TEST_F(FilePins, OfAFileCutInTheNextMount)
{
    const u64 free = fs->free_blocks();
    auto victim = make_victim();
    mount_again(victim);
    ASSERT_EQ(victim->truncate(1), 0);
    expect_untouched_until_unpinned(free, 1);
}

TEST_F(FilePins, TruncationWaitsForThoseOfThisMount)
{
    auto victim = make_victim();
    EXPECT_EQ(victim->truncate(1), -EBUSY);
    EXPECT_EQ(victim->size(), 3 * kBlockSize);
    mm.unpin(pinned);
    EXPECT_EQ(victim->truncate(1), 0);
}

}  // namespace tarn::test
