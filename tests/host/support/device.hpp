// SPDX-License-Identifier: GPL-2.0
// TestDevice: anonymous memory that plays persistent memory in host tests.
#pragma once
#include <cstddef>
#include <mutex>
#include <set>
#include <vector>

#include "cxxrt/host/host.hpp"
#include "cxxrt/types.hpp"

namespace tarn::test {

class TestDevice {
  public:
    // `blocks` blocks of zeroes. Memory is only taken where something is stored: large devices are cheap.
    explicit TestDevice(u64 blocks, tarn_device_class device_class = TARN_DEVICE_SYNC);
    // A copy of `image`, whose size is a multiple of the block size.
    explicit TestDevice(const std::vector<std::byte>& image);
    ~TestDevice();
    TestDevice(const TestDevice&) = delete;
    TestDevice& operator=(const TestDevice&) = delete;

    // Given to Media, Volume or FileSystem, which copy it; the TestDevice outlives them.
    const tarn_device& device() const { return device_; }
    u64 blocks() const { return device_.blocks; }
    // Whoever opens the device from now on may not store.
    void set_read_only(int value) { device_.read_only = value; }

    std::byte* bytes() { return reinterpret_cast<std::byte*>(device_.base); }
    std::byte* block(u64 index) { return bytes() + index * kBlockSize; }
    template <class T>
    T& at(u64 block_index, u64 offset = 0)
    {
        return *reinterpret_cast<T*>(block(block_index) + offset);
    }

    // All contents as they are now, stores of running operations included: what a reboot would find on a
    // device that loses nothing.
    std::vector<std::byte> image() const;
    void restore(const std::vector<std::byte>& image);

    host::Backing& backing() { return backing_; }
    host::Counters& counters() { return backing_.counters; }
    // Sees every persist call from now on, before a failing fence is decided; null callback: nobody does.
    void set_observer(const host::Observer& observer) { observer_ = observer; }
    // References to a block's page beside the driver's: as of DMA, or a page in a pipe.
    void pin(u64 block);
    void unpin(u64 block);
    bool is_pinned(u64 block) const;
    // The `nth` fence from now (1 is the next) and all later ones fail with -EIO; 0: none does any more.
    void fail_fences_from(u64 nth) { fences_until_failure_.store_relaxed(nth); }

  private:
    static int on_event(void* context, const host::Event& event);

    host::Backing backing_;
    host::Observer observer_;
    mutable std::mutex pins_lock_;
    std::multiset<u64> pins_;
    Atomic<u64> fences_until_failure_{0};
    tarn_device device_ = {};
};

}  // namespace tarn::test
