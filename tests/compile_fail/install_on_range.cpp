// SPDX-License-Identifier: GPL-2.0
// Locking a range does not give the right to map: only the one entry a fault has locked does.
// expect-error: no member named .install_writable.
#include "fs/dax/tracker.hpp"

using namespace tarn;

Status test(LockedRange& range, LockedEntry& entry, tarn_fault* fault, const PageRun& run)
{
    static_cast<void>(range);
#ifdef FIXED
    return entry.install_writable(fault, run);
#else
    static_cast<void>(entry);
    return range.install_writable(fault, run);
#endif
}
