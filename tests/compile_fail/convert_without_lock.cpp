// SPDX-License-Identifier: GPL-2.0
// A run is made written only under the locks of its entries: nothing can map it meanwhile.
// expect-error: no matching function|invalid initialization|cannot convert|could not convert
#include "fs/dax/tracker.hpp"
#include "fs/file/block_map.hpp"

using namespace tarn;

Result<Unwritten> test(const BlockMap& map, const LockedRange& locked, const Mapping& found)
{
    static_cast<void>(locked);
    static_cast<void>(found);
#ifdef FIXED
    return map.unwritten(locked, FileBlock(0), 1);
#else
    return map.unwritten(found, FileBlock(0), 1);
#endif
}
