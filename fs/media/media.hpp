// SPDX-License-Identifier: GPL-2.0
// Media: the mapped device, the only way to read and store persistent memory.
//
// Reading is through const pointers; everything read is untrusted. Storing is copy/zero (non-temporal, durable after
// a fence) or store-then-write_back. fence() is what makes stores durable, on both device classes; it can fail.
#pragma once
#include "cxxrt/atomic.hpp"
#include "cxxrt/lock.hpp"
#include "cxxrt/result.hpp"
#include "cxxrt/span.hpp"

namespace tarn {

// A byte of the device, by offset from its start.
using MediaAddress = StrongId<struct MediaAddressTag>;

constexpr MediaAddress address_of(DeviceBlock block) { return MediaAddress(block.value << kBlockShift); }
constexpr DeviceBlock block_of(MediaAddress address) { return DeviceBlock(address.value >> kBlockShift); }

// Contiguous blocks of the device.
struct Run {
    DeviceBlock start;
    u64 count = 0;

    DeviceBlock end() const { return start + count; }
    bool empty() const { return count == 0; }
};

class Media {
  public:
    // `device` is copied; the mapping must outlive the Media.
    explicit Media(const tarn_device& device) : device_(device), flush_lock_(Rank::kFlush, "tarnfs_flush") {}
    Media(const Media&) = delete;
    Media& operator=(const Media&) = delete;

    u64 blocks() const { return device_.blocks; }
    bool is_read_only() const { return device_.read_only != 0; }
    bool is_sync() const { return device_.class_ == TARN_DEVICE_SYNC; }
    bool contains(Run run) const
    {
        return run.start.value < blocks() && run.count <= blocks() - run.start.value;
    }

    // Pointers into the mapping; the caller has checked the range with contains() or knows it from the layout.
    const byte* at(MediaAddress address) const { return base() + address.value; }
    const byte* at(DeviceBlock block) const { return at(address_of(block)); }
    byte* writable(MediaAddress address) { return base() + address.value; }
    byte* writable(DeviceBlock block) { return writable(address_of(block)); }

    Pfn pfn_of(DeviceBlock block) const { return Pfn(device_.first_pfn + block.value); }
    DeviceBlock block_of_pfn(Pfn pfn) const { return DeviceBlock(pfn.value - device_.first_pfn); }

    // Non-temporal stores; durable after the next fence of this thread.
    void copy(void* target, const void* source, usize length)
    {
        tarn_persist_copy(&device_, target, source, length);
    }
    // The same into a journal.
    void log(void* target, const void* source, usize length)
    {
        tarn_persist_log(&device_, target, source, length);
    }
    void zero(void* target, usize length) { tarn_persist_zero(&device_, target, length); }
    // Writes back every line that overlaps the range; durable after the next fence of this thread.
    void write_back(const void* target, usize length)
    {
        if (length)
            tarn_persist_write_back(&device_, target, length);
    }

    // Makes everything this thread wrote back or stored non-temporally durable. On a Flush device it may
    // sleep. After an error nothing since the last good fence is known durable, what other threads stored
    // included: a device that failed to flush once may have dropped it, and a later flush that succeeds says
    // nothing about it. So every further fence fails as well, no record becomes durable any more, and the
    // next mount recovers. For the same reason a Flush device is flushed by one thread at a time: what two
    // flushes cover at once, one of them may lose while the other reports success, and that one must not
    // return before the failure is known.
    Status fence();

    const tarn_device& device() const { return device_; }

  private:
    Status fence_once();
    byte* base() const { return reinterpret_cast<byte*>(device_.base); }

    tarn_device device_;
    Mutex flush_lock_;
    Atomic<u32> failed_{0};  // a fence has
};

}  // namespace tarn
