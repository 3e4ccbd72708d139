// SPDX-License-Identifier: GPL-2.0
// Host backend: persistence. The mapping is ordinary memory; what a real device would do with cache lines is
// left to the observer (host.hpp), which is told of every call. A fence on a mapped file writes the file out.
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "cxxrt/host/debug.hpp"
#include "cxxrt/host/host.hpp"

using namespace tarn;
using namespace tarn::host;

namespace {

Backing* backing(const tarn_device* device) { return static_cast<Backing*>(device->handle); }

// The offset of a range in its device; traps when it does not lie in it or nothing may be stored.
u64 offset_in(const tarn_device* device, const void* target, u64 length, bool stores)
{
    u64 bytes = device->blocks * kBlockSize;
    u64 offset = static_cast<u64>(static_cast<const unsigned char*>(target) - device->base);
    if (offset > bytes || length > bytes - offset)
        tarn_bug(__FILE__, __LINE__, "persist call outside of the device");
    if (stores && device->read_only)
        tarn_bug(__FILE__, __LINE__, "store to a read-only device");
    return offset;
}

int tell(const tarn_device* device, Event::Kind kind, u64 offset, u64 length)
{
    const Observer& observer = backing(device)->observer;
    if (!observer.event)
        return 0;
    return observer.event(observer.context, Event{kind, offset, length, device, tarn_task_id()});
}

u64 lines(u64 offset, u64 length)
{
    return length ? (offset + length - 1) / kLineSize - offset / kLineSize + 1 : 0;
}

}  // namespace

extern "C" {

void tarn_persist_copy(const struct tarn_device* device, void* target, const void* source, tarn_size_t length)
{
    u64 offset = offset_in(device, target, length, true);
    std::memcpy(target, source, length);
    if (!device->handle)
        return;
    backing(device)->counters.copies.fetch_add(1);
    backing(device)->counters.copied_bytes.fetch_add(length);
    tell(device, Event::Kind::kCopy, offset, length);
}

void tarn_persist_log(const struct tarn_device* device, void* target, const void* source, tarn_size_t length)
{
    tarn_persist_copy(device, target, source, length);
    if (device->handle)
        backing(device)->counters.journal_bytes.fetch_add(length);
}

void tarn_persist_zero(const struct tarn_device* device, void* target, tarn_size_t length)
{
    u64 offset = offset_in(device, target, length, true);
    std::memset(target, 0, length);
    if (!device->handle)
        return;
    backing(device)->counters.zeroes.fetch_add(1);
    backing(device)->counters.zeroed_bytes.fetch_add(length);
    tell(device, Event::Kind::kZero, offset, length);
}

void tarn_persist_write_back(const struct tarn_device* device, const void* target, tarn_size_t length)
{
    u64 offset = offset_in(device, target, length, false);
    if (!device->handle)
        return;
    backing(device)->counters.write_backs.fetch_add(1);
    backing(device)->counters.written_back_lines.fetch_add(lines(offset, length));
    tell(device, Event::Kind::kWriteBack, offset, length);
}

int tarn_persist_fence(const struct tarn_device* device)
{
    if (device->class_ == TARN_DEVICE_FLUSH)
        may_sleep("fence on a device that must be flushed");
    Backing* host = backing(device);
    if (!host)
        return 0;
    host->counters.fences.fetch_add(1);
    if (int error = tell(device, Event::Kind::kFence, 0, 0))
        return error;
    if (host->fd >= 0 && fdatasync(host->fd) != 0)
        return -errno;
    return 0;
}

int tarn_device_is_pinned(const struct tarn_device* device, unsigned long long block)
{
    Backing* host = backing(device);
    return host && host->observer.is_pinned && host->observer.is_pinned(host->observer.context, block);
}

}  // extern "C"
