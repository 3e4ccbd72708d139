// SPDX-License-Identifier: GPL-2.0
// Media: write-back and fence, with their counters.
#include "fs/media/media.hpp"

namespace tarn {

void Media::write_back(const void* target, usize length)
{
    if (length == 0)
        return;
    usize first = reinterpret_cast<usize>(target) / kLineSize;
    usize last = (reinterpret_cast<usize>(target) + length - 1) / kLineSize;
    counters_.lines.fetch_add(last - first + 1);
    tarn_persist_write_back(&device_, target, length);
}

Status Media::fence()
{
    if (is_sync())
        return fence_once();
    MutexGuard guard(flush_lock_);
    return fence_once();
}

Status Media::fence_once()
{
    if (failed_.load_acquire())
        return Error::kDeviceFlush;
    counters_.fences.fetch_add(1);
    if (tarn_persist_fence(&device_) == 0)
        return Ok{};
    failed_.store_release(1);
    return Error::kDeviceFlush;
}

}  // namespace tarn
