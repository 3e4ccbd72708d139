// SPDX-License-Identifier: GPL-2.0
// Only Space hands out free blocks.
// expect-error: private within this context
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Space& space, Run run)
{
    static_cast<void>(run);
#ifdef FIXED
    auto reserved = space.reserve(1, DeviceBlock(0), Use::kOrdinary);
#else
    Reserved reserved(space, run);
#endif
    static_cast<void>(reserved);
}
