// SPDX-License-Identifier: GPL-2.0
// A lock has one holder: an entry moves, it is not copied.
// expect-error: deleted function|implicitly deleted
#include "fs/dax/tracker.hpp"

using namespace tarn;

void test(LockedEntry& locked)
{
#ifdef FIXED
    LockedEntry entry(std::move(locked));
#else
    LockedEntry entry(locked);
#endif
    static_cast<void>(entry);
}
