// SPDX-License-Identifier: GPL-2.0
// An entry is locked for a fault only by somebody who shows that invalidate_lock is held.
// expect-error: no matching function|too few arguments
#include "fs/dax/tracker.hpp"

using namespace tarn;

Status test(DirtyTracker& tracker, const InvalidateHeld& held)
{
    static_cast<void>(held);
#ifdef FIXED
    auto entry = tracker.lock(FileBlock(0), held);
#else
    auto entry = tracker.lock(FileBlock(0));
#endif
    return entry.is_ok() ? Status(Ok{}) : Status(entry.error());
}
