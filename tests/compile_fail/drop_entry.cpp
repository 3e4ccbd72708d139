// SPDX-License-Identifier: GPL-2.0
// A locked entry that nobody keeps would be unlocked at once.
// expect-error: ignoring return|nodiscard
#include "fs/dax/tracker.hpp"

using namespace tarn;

void test(DirtyTracker& tracker, const InvalidateHeld& held)
{
#ifdef FIXED
    auto entry = tracker.lock(FileBlock(0), held);
    static_cast<void>(entry);
#else
    tracker.lock(FileBlock(0), held);
#endif
}
