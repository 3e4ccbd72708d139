// SPDX-License-Identifier: GPL-2.0
// A locked entry comes from the tracker that locked it.
// expect-error: private within this context|is private
#include "fs/dax/tracker.hpp"

using namespace tarn;

void test(DirtyTracker& tracker, LockedEntry& locked)
{
    static_cast<void>(tracker);
#ifdef FIXED
    LockedEntry& entry = locked;
#else
    static_cast<void>(locked);
    LockedEntry entry(tracker, EntrySize::kBlock, FileBlock(0));
#endif
    static_cast<void>(entry);
}
