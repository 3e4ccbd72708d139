// SPDX-License-Identifier: GPL-2.0
// Media: the fence.
#include "fs/media/media.hpp"

namespace tarn {

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
    if (tarn_persist_fence(&device_) == 0)
        return Ok{};
    failed_.store_release(1);
    return Error::kDeviceFlush;
}

}  // namespace tarn
