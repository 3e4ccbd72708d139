// SPDX-License-Identifier: GPL-2.0
// What keeping track of a GiB that is mapped costs in memory, and that it shrinks back: to nothing after
// fsync, and for pages that were only loaded, or not un-mapped since, when memory is wanted.
#include <bit>
#include <cstdio>

#include "tests/host/tracker_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u64 kGiB = u64{1} << (30 - kBlockShift);  // blocks

class CostMemory : public TrackerTest {
  protected:
    static void SetUpTestSuite()
    {
        std::printf("| %-44s | %7s | %10s | %11s | %14s |\n", "a mapping of 1 GiB", "entries", "bytes",
                    "after fsync", "memory wanted");
        std::printf("|:%s|-%s:|-%s:|-%s:|-%s:|\n", std::string(45, '-').c_str(), std::string(7, '-').c_str(),
                    std::string(10, '-').c_str(), std::string(11, '-').c_str(), std::string(14, '-').c_str());
    }

    // The kernel rounds a node up to a power of two.
    u64 bytes() const { return tracker.numbers().nodes * std::bit_ceil(RadixTree::node_bytes()); }

    void map(u64 first, u64 count, tarn_protection protection)
    {
        const PageRun run = pages(first, count);
        LockedEntry entry = count == kHugeEntry ? std::move(*lock_huge(first)) : lock(first);
        ASSERT_TRUE(protection == TARN_MAP_WRITE ? entry.install_writable(&fault, run)
                                                 : entry.install_readable(&fault, run));
    }
    void sync()
    {
        start_write_back();
        end_write_back();
    }
    // One run of `count` blocks in each `stride`.
    void measure(const char* what, u64 count, u64 stride, tarn_protection protection)
    {
        for (u64 first = 0; first < kGiB; first += stride)
            map(first, count, protection);
        const u64 entries = tracker.numbers().entries, full = bytes();
        sync();
        const u64 synced = bytes();
        EXPECT_EQ(synced, protection == TARN_MAP_WRITE ? 0 : full);
        trackers.reclaim(kGiB);
        EXPECT_EQ(bytes(), 0u);
        std::printf("| %-44s | %7llu | %10llu | %11llu | %14llu |\n", what,
                    static_cast<unsigned long long>(entries), static_cast<unsigned long long>(full),
                    static_cast<unsigned long long>(synced), static_cast<unsigned long long>(bytes()));
    }
};

}  // namespace

TEST_F(CostMemory, Dense)
{
    measure("every 4 KiB dirty", 1, 1, TARN_MAP_WRITE);
    measure("every 2 MiB dirty, mapped at once", kHugeEntry, kHugeEntry, TARN_MAP_WRITE);
    measure("every 4 KiB loaded", 1, 1, TARN_MAP_READ);
    measure("every 2 MiB loaded, mapped at once", kHugeEntry, kHugeEntry, TARN_MAP_READ);
}

TEST_F(CostMemory, Sparse)
{
    measure("4 KiB dirty in each 64 KiB", 1, 16, TARN_MAP_WRITE);
    measure("4 KiB dirty in each 256 KiB", 1, 64, TARN_MAP_WRITE);
    measure("4 KiB dirty in each 2 MiB", 1, 512, TARN_MAP_WRITE);
}

}  // namespace tarn::test
