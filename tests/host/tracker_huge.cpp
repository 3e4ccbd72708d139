// SPDX-License-Identifier: GPL-2.0
// DirtyTracker with entries of 4 KiB and 2 MiB side by side, against a map.
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "cxxrt/host/host.hpp"
#include "tests/host/tracker_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

class TrackerHuge : public TrackerTest {
  protected:
    bool install_huge(u64 block, tarn_protection protection)
    {
        std::optional<LockedEntry> entry = lock_huge(block);
        if (!entry)
            return false;
        EXPECT_TRUE(protection == TARN_MAP_WRITE ? entry->install_writable(&fault, pages(block, kHugeEntry))
                                                 : entry->install_readable(&fault, pages(block, kHugeEntry)));
        return true;
    }
    bool is_dirty(u64 block) { return has(block, Tag::kDirty); }
};

class TrackerHugeRandom : public TrackerHuge, public testing::WithParamInterface<unsigned> {};

}  // namespace

TEST_F(TrackerHuge, OneEntryForAll512)
{
    ASSERT_TRUE(install_huge(1024, TARN_MAP_READ));
    EXPECT_EQ(tracker.numbers().entries, 1u);
    EXPECT_FALSE(is_dirty(1024));
    ASSERT_TRUE(install_huge(1024, TARN_MAP_WRITE));
    EXPECT_TRUE(is_dirty(1024));
    EXPECT_TRUE(is_dirty(1535));
    EXPECT_FALSE(is_dirty(1536));
    EXPECT_EQ(tracker.numbers().dirty, 1u);
    EXPECT_EQ(mm.owner(1535)->block, 1535u);
    LockedEntry entry = lock(1300);
    EXPECT_TRUE(entry.is_huge());
    EXPECT_EQ(entry.first(), FileBlock(1024));
    EXPECT_EQ(entry.pfn(FileBlock(1300)), Pfn(1300));
    EXPECT_TRUE(entry.install_writable(&fault, pages(1300, 3)));
    EXPECT_EQ(entry.install_readable(&fault, {FileBlock(1300), 1, Pfn(1301)}).error(), Error::kBadEntry);
    EXPECT_EQ(entry.install_zero(&fault, FileBlock(1024), 512).error(), Error::kBadEntry);
}

TEST_F(TrackerHuge, SmallEntriesAreInTheWay)
{
    ASSERT_TRUE(lock(511).install_readable(&fault, pages(511, 1)));
    ASSERT_TRUE(lock(1024).install_readable(&fault, pages(1024, 1)));
    EXPECT_FALSE(lock_huge(0));
    EXPECT_TRUE(lock_huge(512));
    EXPECT_FALSE(lock_huge(1024));
    LockedEntry held = lock(1536);
    EXPECT_FALSE(lock_huge(1536)) << "a placeholder too, without waiting for it";
}

TEST_F(TrackerHuge, ARangeEndsWhereAnEntryOf2MiBBegins)
{
    ASSERT_TRUE(install_huge(512, TARN_MAP_WRITE));
    {
        LockedRange range = tracker.lock_range(FileBlock(500), 64).take();
        EXPECT_EQ(range.first(), FileBlock(500));
        EXPECT_EQ(range.end(), FileBlock(512));
        EXPECT_TRUE(lock_huge(512)) << "and is not left locked";
    }
    LockedRange range = tracker.lock_range(FileBlock(600), 3).take();
    EXPECT_TRUE(range.is_huge());
    EXPECT_EQ(range.first(), FileBlock(512));
    EXPECT_EQ(range.end(), FileBlock(1024));
}

TEST_F(TrackerHuge, APinOfAnyPageKeepsAllOfItDirty)
{
    ASSERT_TRUE(install_huge(512, TARN_MAP_WRITE));
    mm.pin(900);
    start_write_back(0, kLast);
    end_write_back(0, kLast);
    EXPECT_TRUE(is_dirty(512));
    EXPECT_TRUE(tracker.find_pinned(FileBlock(0), kLast));
    mm.unpin(900);
    EXPECT_FALSE(tracker.find_pinned(FileBlock(0), kLast));
    start_write_back(700, FileBlock(700));
    end_write_back(700, FileBlock(700));
    EXPECT_TRUE(tracker.empty());
}

TEST_F(TrackerHuge, DirtiedAgainBeforeTheFenceByAPteStaysDirty)
{
    ASSERT_TRUE(install_huge(512, TARN_MAP_WRITE));
    start_write_back(0, kLast);
    ASSERT_TRUE(lock(515).install_writable(&fault, pages(515, 1)));
    end_write_back(0, kLast);
    EXPECT_TRUE(is_dirty(512));
}

TEST_F(TrackerHuge, SplittingHandsDirtyAndToWriteDown)
{
    ASSERT_TRUE(install_huge(512, TARN_MAP_WRITE));
    tracker.tag_for_write_back(FileBlock(0), kLast);
    {
        LockedRange range = *tracker.lock_next(FileBlock(600), FileBlock(600));
        range.zap();
        ASSERT_TRUE(range.split());
        EXPECT_FALSE(range.is_huge());
        EXPECT_EQ(range.count(), 512u);
    }
    EXPECT_EQ(tracker.numbers().entries, 512u);
    EXPECT_EQ(tracker.numbers().dirty, 512u);
    for (u64 block = 512; block < 1024; block++) {
        ASSERT_TRUE(is_dirty(block));
        ASSERT_TRUE(tracker.has_tag(FileBlock(block), Tag::kToWrite));
    }
    start_write_back(600, FileBlock(699));
    end_write_back(600, FileBlock(699));
    EXPECT_EQ(tracker.numbers().entries, 412u);
    EXPECT_FALSE(mm.owner(650).has_value());
    EXPECT_TRUE(mm.owner(700).has_value());
}

TEST_F(TrackerHuge, SplittingACleanOneKeepsWhatIsPinned)
{
    ASSERT_TRUE(install_huge(512, TARN_MAP_READ));
    mm.pin(700);
    {
        LockedRange range = *tracker.lock_next(FileBlock(512), FileBlock(512));
        range.zap();
        ASSERT_TRUE(range.split());
    }
    EXPECT_EQ(tracker.numbers().entries, 1u);
    EXPECT_EQ(tracker.find_pinned(FileBlock(512), FileBlock(1023)), Pfn(700));
    EXPECT_FALSE(mm.owner(701).has_value());
    mm.unpin(700);
}

TEST_F(TrackerHuge, SplittingWithoutMemoryChangesNothing)
{
    ASSERT_TRUE(install_huge(512, TARN_MAP_WRITE));
    for (long countdown = 0; countdown < 8; countdown++) {
        LockedRange range = *tracker.lock_next(FileBlock(512), FileBlock(512));
        range.zap();
        host::fail_allocation_after(countdown);
        Status split = range.split();
        host::fail_allocation_after(-1);
        ASSERT_EQ(split.error(), Error::kNoMemory) << countdown;
        ASSERT_TRUE(range.is_huge());
    }
    EXPECT_EQ(tracker.numbers().entries, 1u);
    EXPECT_EQ(tracker.numbers().nodes, 1u);
    EXPECT_TRUE(is_dirty(1000));
}

// Both sizes want the same 2 MiB, and nodes of the trees come and go with each of them.
TEST_F(TrackerHuge, WhoGivesWayLeavesNothingBehind)
{
    std::atomic<int> inside{0};  // 1000: one holds all of it
    std::vector<std::thread> threads;
    for (u64 t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(t));
            for (int i = 0; i < 3000; i++) {
                if (random() % 2) {
                    std::optional<LockedEntry> entry = lock_huge(512);
                    if (!entry)
                        continue;
                    EXPECT_EQ(inside.fetch_add(1000), 0);
                    inside.fetch_sub(1000);
                } else {
                    const u64 block = 512 + random() % 512;
                    LockedRange range = tracker.lock_range(FileBlock(block), 1 + random() % 3).take();
                    EXPECT_LT(inside.fetch_add(1), 1000);
                    inside.fetch_sub(1);
                }
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_TRUE(tracker.empty());
    EXPECT_EQ(tracker.numbers().nodes, 0u);
}

// Three regions of 2 MiB; the model says for each block whether it has an entry, of which size, and whether
// it is dirty.
TEST_P(TrackerHugeRandom, DoesWhatAMapDoes)
{
    struct Item {
        bool huge, dirty;
    };
    constexpr u64 kBlocks = 3 * kHugeEntry;
    std::map<u64, Item> model;  // by first block
    std::mt19937 random(GetParam());
    auto covering = [&](u64 block) {
        auto found = model.find(round_down(block, kHugeEntry));
        return found != model.end() && found->second.huge ? found : model.find(block);
    };
    auto erase = [&](u64 from, u64 last) {  // whole entries that meet [from, last]
        std::erase_if(model, [&](auto& item) {
            return item.first <= last && item.first + (item.second.huge ? kHugeEntry : 1) > from;
        });
    };
    for (int step = 0; step < 1500; step++) {
        const u64 block = random() % 4 ? random() % kBlocks : random() % 3 * kHugeEntry;
        const u64 last = min(block + random() % 700, kBlocks - 1);
        const bool writable = random() % 2;
        switch (random() % 8) {
            case 0:
            case 1: {  // a fault of 4 KiB
                LockedEntry entry = lock(block);
                ASSERT_TRUE(writable ? entry.install_writable(&fault, pages(block, 1))
                                     : entry.install_readable(&fault, pages(block, 1)));
                auto there = covering(block);
                if (there == model.end())
                    there = model.emplace(block, Item{false, false}).first;
                there->second.dirty |= writable;
                break;
            }
            case 2:
            case 3: {  // of 2 MiB
                const u64 first = round_down(block, kHugeEntry);
                auto there = model.lower_bound(first);
                const bool taken =
                    there != model.end() && there->first < first + kHugeEntry && !there->second.huge;
                ASSERT_EQ(install_huge(first, writable ? TARN_MAP_WRITE : TARN_MAP_READ), !taken);
                if (!taken)
                    model.emplace(first, Item{true, false}).first->second.dirty |= writable;
                break;
            }
            case 4:  // fsync of a range
                start_write_back(block, FileBlock(last));
                end_write_back(block, FileBlock(last));
                std::erase_if(model, [&](auto& item) {
                    return item.second.dirty && item.first <= last &&
                           item.first + (item.second.huge ? kHugeEntry : 1) > block;
                });
                break;
            case 5:  // as a truncation or a hole does it: whole blocks of [block, last] leave
                for (u64 at : {block, last + 1})
                    if (at % kHugeEntry)
                        tracker.each(FileBlock(at), FileBlock(at), [&](LockedRange& range) {
                            if (!range.is_huge())
                                return;
                            range.zap();
                            ASSERT_TRUE(range.split());
                            Item whole = model[range.first().value];
                            model.erase(range.first().value);
                            for (u64 i = range.first().value; whole.dirty && i < range.end().value; i++)
                                model[i] = Item{false, true};
                        });
                tracker.each(FileBlock(block), FileBlock(last), [](LockedRange& range) {
                    range.zap();
                    range.drop();
                });
                erase(block, last);
                break;
            case 6:  // the last mapping goes
                tracker.each(FileBlock(0), kLast, [](LockedRange& range) {
                    range.zap();
                    range.trim();
                });
                std::erase_if(model, [](auto& item) { return !item.second.dirty; });
                break;
            default: {
                auto there = covering(block);
                ASSERT_EQ(is_dirty(block), there != model.end() && there->second.dirty);
            }
        }
        ASSERT_EQ(tracker.numbers().entries, model.size()) << step;
        auto expected = model.begin();
        tracker.each(FileBlock(0), kLast, [&](LockedRange& range) {
            for (u64 at = range.first().value; at < range.end().value; ++expected) {
                ASSERT_NE(expected, model.end());
                ASSERT_EQ(expected->first, at);
                ASSERT_EQ(expected->second.huge, range.is_huge());
                ASSERT_EQ(is_dirty(at), expected->second.dirty);
                at += range.is_huge() ? kHugeEntry : 1;
            }
        });
        ASSERT_EQ(expected, model.end());
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TrackerHugeRandom, testing::Range(1u, 9u));
