// SPDX-License-Identifier: GPL-2.0
// The runtime's host backend: what other tests rely on it to catch.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "cxxrt/lock.hpp"
#include "tests/host/support/device.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

TEST(RuntimeHost, MemoryIsZeroedAndAligned)
{
    for (usize size : {usize{0}, usize{1}, usize{4095}, usize{4096}, usize{100000}}) {
        auto* memory = static_cast<unsigned char*>(tarn_memory_alloc(size));
        ASSERT_NE(memory, nullptr);
        EXPECT_EQ(reinterpret_cast<usize>(memory) % (size >= kBlockSize ? kBlockSize : 8), 0u);
        for (usize i = 0; i < size; i++)
            ASSERT_EQ(memory[i], 0);
        tarn_memory_free(memory);
    }
    tarn_memory_free(nullptr);
}

TEST(RuntimeHost, AChosenAllocationFails)
{
    host::fail_allocation_after(1);
    void* first = tarn_memory_alloc(8);
    void* second = tarn_memory_alloc(8);
    void* third = tarn_memory_alloc(8);
    EXPECT_NE(first, nullptr);
    EXPECT_EQ(second, nullptr);
    EXPECT_NE(third, nullptr);
    tarn_memory_free(first);
    tarn_memory_free(third);
}

TEST(RuntimeHost, Crc32cIsTheOneOfRfc3720)
{
    unsigned char bytes[32] = {};
    EXPECT_EQ(~tarn_crc32c(~0u, bytes, sizeof bytes), 0x8a9136aau);
    std::memset(bytes, 0xff, sizeof bytes);
    EXPECT_EQ(~tarn_crc32c(~0u, bytes, sizeof bytes), 0x62a8ab43u);
    for (unsigned char i = 0; i < 32; i++)
        bytes[i] = i;
    EXPECT_EQ(~tarn_crc32c(~0u, bytes, sizeof bytes), 0x46dd794eu);
    // In two pieces of odd length.
    EXPECT_EQ(~tarn_crc32c(tarn_crc32c(~0u, bytes, 13), bytes + 13, 19), 0x46dd794eu);
}

TEST(RuntimeHost, LocksExclude)
{
    Mutex mutex(Rank::kJournal, "test");
    SpinLock spin(Rank::kLeaf, "test");
    RwLock rwlock(Rank::kInode, "test");
    u64 count = 0;
    auto work = [&] {
        for (int i = 0; i < 2000; i++) {
            ExclusiveGuard exclusive(rwlock);
            MutexGuard guard(mutex);
            SpinGuard spinning(spin);
            count++;
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back(work);
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(count, 8000u);
    EXPECT_EQ(host::held_locks(), 0u);
}

TEST(RuntimeHost, AWakeBetweenLookingAndSleepingIsNotLost)
{
    Atomic<u64> turn{0};
    auto play = [&](u64 mine) {
        struct Wanted {
            Atomic<u64>* turn;
            u64 parity;
        } wanted{&turn, mine};
        for (int i = 0; i < 3000; i++) {
            tarn_wait_on(
                &turn,
                [](void* argument) {
                    auto* w = static_cast<Wanted*>(argument);
                    return static_cast<int>(w->turn->load_acquire() % 2 == w->parity);
                },
                &wanted);
            turn.fetch_add(1);
            tarn_wait_wake(&turn);
        }
    };
    std::thread other(play, 1);
    play(0);
    other.join();
    EXPECT_EQ(turn.load_relaxed(), 6000u);
}

#ifdef TARN_DEBUG

class RuntimeHostDeathTest : public ::testing::Test {
  protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(RuntimeHostDeathTest, LocksOutOfOrder)
{
    Mutex journal(Rank::kJournal, "j");
    Mutex retire(Rank::kRetire, "r");
    EXPECT_DEATH(
        {
            MutexGuard first(journal);
            MutexGuard second(retire);
        },
        "lock order: wants rank");
}

TEST_F(RuntimeHostDeathTest, TwoOfOneRankWithoutNesting)
{
    RwLock one(Rank::kInode, "1"), two(Rank::kInode, "2");
    {
        ExclusiveGuard first(one);
        SharedGuard second(two, 1);  // said so: allowed
    }
    EXPECT_DEATH(
        {
            ExclusiveGuard first(one);
            ExclusiveGuard second(two);
        },
        "locks of one rank without nesting");
}

TEST_F(RuntimeHostDeathTest, SleepingUnderASpinLock)
{
    SpinLock spin(Rank::kGroup, "g");
    EXPECT_DEATH(
        {
            SpinGuard guard(spin);
            tarn_memory_alloc(8);
        },
        "tarn_memory_alloc");
}

TEST_F(RuntimeHostDeathTest, StoresOutsideOfTheDevice)
{
    TestDevice device(4);
    EXPECT_DEATH(tarn_persist_zero(&device.device(), device.bytes() + 4 * kBlockSize - 8, 16),
                 "outside of the device");
    device.set_read_only(1);
    EXPECT_DEATH(tarn_persist_zero(&device.device(), device.bytes(), 16), "read-only device");
}

#endif

TEST(RuntimeHost, PersistCallsAreCountedAndShown)
{
    TestDevice device(4);
    std::vector<host::Event> seen;
    device.set_observer({&seen, [](void* context, const host::Event& event) {
                             static_cast<std::vector<host::Event>*>(context)->push_back(event);
                             return 0;
                         }});
    const tarn_device& d = device.device();
    tarn_persist_copy(&d, device.bytes() + 60, "12345678", 8);
    tarn_persist_zero(&d, device.bytes() + 4096, 4096);
    tarn_persist_write_back(&d, device.bytes() + 63, 2);
    EXPECT_EQ(tarn_persist_fence(&d), 0);
    ASSERT_EQ(seen.size(), 4u);
    EXPECT_EQ(seen[0].kind, host::Event::Kind::kCopy);
    EXPECT_EQ(seen[0].offset, 60u);
    EXPECT_EQ(seen[0].length, 8u);
    EXPECT_EQ(seen[3].kind, host::Event::Kind::kFence);
    EXPECT_EQ(device.counters().written_back_lines.load_relaxed(), 2u);
    EXPECT_EQ(device.counters().zeroed_bytes.load_relaxed(), 4096u);
    device.fail_fences_from(2);
    EXPECT_EQ(tarn_persist_fence(&d), 0);
    EXPECT_LT(tarn_persist_fence(&d), 0);
    EXPECT_LT(tarn_persist_fence(&d), 0);
    device.fail_fences_from(0);
    EXPECT_EQ(tarn_persist_fence(&d), 0);
}

TEST(RuntimeHost, LogLinesCanBeCaptured)
{
    LogCapture log;
    tarn_log(TARN_LOG_WARNING, "block %u", 7u);
    EXPECT_EQ(log.text(), "block 7\n");
}

}  // namespace tarn::test
