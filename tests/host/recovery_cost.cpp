// SPDX-License-Identifier: GPL-2.0
// Recovery costs what is in the journals: the same work, cut short on devices of 1 and of 64 GiB with 10 and
// with many files, has the same number of records replayed, and mounting touches the same pages of the media,
// but for one of each block group and two of each inode group (their counters).
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "tests/host/support/populated.hpp"

namespace tarn::test {

namespace {

constexpr u64 kGiB = 262144;  // in blocks
constexpr u64 kFewFiles = 10;
constexpr int kFilesOfADirectory = 1000;

// Counts the pages of a device that are touched while it lives, by taking all of them away. One at a time.
class TouchedPages {
  public:
    explicit TouchedPages(TestDevice& device) : begin_(reinterpret_cast<std::uintptr_t>(device.bytes()))
    {
        end_ = begin_ + device.blocks() * kBlockSize;
        one_ = this;
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, &before_);
        mprotect(device.bytes(), end_ - begin_, PROT_NONE);
    }
    ~TouchedPages()
    {
        mprotect(reinterpret_cast<void*>(begin_), end_ - begin_, PROT_READ | PROT_WRITE);
        sigaction(SIGSEGV, &before_, nullptr);
        one_ = nullptr;
    }
    TouchedPages(const TouchedPages&) = delete;
    TouchedPages& operator=(const TouchedPages&) = delete;
    u64 count() const { return count_; }

  private:
    static void on_fault(int, siginfo_t* info, void*)
    {
        const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
        if (at < one_->begin_ || at >= one_->end_) {
            sigaction(SIGSEGV, &one_->before_, nullptr);  // somebody else's: happens again
            return;
        }
        one_->count_ = one_->count_ + 1;
        mprotect(reinterpret_cast<void*>(at / kBlockSize * kBlockSize), kBlockSize, PROT_READ | PROT_WRITE);
    }

    static inline TouchedPages* one_ = nullptr;
    std::uintptr_t begin_, end_;
    volatile u64 count_ = 0;
    struct sigaction before_ = {};
};

struct Cost {
    u64 records;
    u64 pages;
    u64 groups;  // of blocks and, twice, of inodes
};

void make_files(TestFileSystem& world, u64 count)
{
    InodeNumber dir;
    for (u64 i = 0; i < count; i++) {
        if (i % kFilesOfADirectory == 0)
            dir = world.mkdir(kRoot, "old" + std::to_string(i / kFilesOfADirectory));
        world.file(dir, "file" + std::to_string(i));
    }
}

void work(TestFileSystem& world)
{
    const InodeNumber dir = world.mkdir(kRoot, "new");
    for (int i = 0; i < 300; i++) {
        const std::string name = "file" + std::to_string(i);
        const InodeNumber file = world.file(dir, name);
        world.fill(file, 0, 3);
        world.rename(dir, name, dir, "renamed" + std::to_string(i));
        if (i % 3 == 0) {
            world.unlink(dir, "renamed" + std::to_string(i));
            world.free(file);
        }
    }
}

Cost cost_of_recovery(u64 blocks, u64 files)
{
    TestFileSystem world(blocks);
    make_files(world, files);
    world.unmount();
    world.mount();
    work(world);
    LogCapture log;                                      // what recovery says
    world.fs().volume().shut_down(Error::kDeviceFlush);  // nothing reaches the media any more
    world.unmount();
    TouchedPages touched(world.device());
    world.mount();
    const u64 pages = touched.count();
    return {world.fs().volume().replayed_records(), pages,
            world.fs().volume().layout().groups + files / TARNFS_BITMAP_BITS * 2};
}

}  // namespace

TEST(RecoveryCost, GrowsWithTheJournalsOnly)
{
    const u64 many = std::getenv("TARN_SOAK") ? 200'000 : 40'000;
    const Cost small = cost_of_recovery(kGiB, kFewFiles);
    EXPECT_GT(small.records, 1200u);
    for (auto [blocks, files] :
         {std::pair{kGiB, many}, std::pair{64 * kGiB, kFewFiles}, std::pair{64 * kGiB, many}}) {
        SCOPED_TRACE(std::to_string(blocks) + " blocks, " + std::to_string(files) + " files");
        const Cost cost = cost_of_recovery(blocks, files);
        // Inodes come in chunks of 64, and directories in nodes: where these begin differs a little.
        EXPECT_NEAR(static_cast<double>(cost.records), static_cast<double>(small.records), 4);
        EXPECT_NEAR(static_cast<double>(cost.pages - cost.groups),
                    static_cast<double>(small.pages - small.groups), 16);
    }
}

}  // namespace tarn::test
