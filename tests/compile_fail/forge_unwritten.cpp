// SPDX-License-Identifier: GPL-2.0
// That a run is unwritten and that nothing maps it, the block map says.
// expect-error: private within this context
#include "fs/dax/tracker.hpp"
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(const BlockMap& map, const LockedRange& locked, Run run)
{
    static_cast<void>(map);
    static_cast<void>(locked);
    static_cast<void>(run);
#ifdef FIXED
    Result<Unwritten> token = map.unwritten(locked, FileBlock(0), 1);
#else
    Unwritten token(run);
#endif
    static_cast<void>(token);
}
