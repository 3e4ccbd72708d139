// SPDX-License-Identifier: GPL-2.0
// Only the entry points that the glue calls can say that invalidate_lock is held.
// expect-error: private within this context|is private
#include "fs/dax/tracker.hpp"

using namespace tarn;

Status test(DirtyTracker& tracker, const InvalidateHeld& shown)
{
    static_cast<void>(shown);
#ifdef FIXED
    const InvalidateHeld& held = shown;
#else
    const InvalidateHeld held{};
#endif
    auto entry = tracker.lock(FileBlock(0), held);
    return entry.is_ok() ? Status(Ok{}) : Status(entry.error());
}
