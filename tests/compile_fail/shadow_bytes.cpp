// SPDX-License-Identifier: GPL-2.0
// A shadow changes only through methods that mark what changed.
// expect-error: invalid conversion|read-only|discards
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Shadow& shadow)
{
#ifdef FIXED
    shadow.zero(0, 8);
#else
    byte* bytes = shadow.bytes();
    *bytes = byte{0};
#endif
}
