// SPDX-License-Identifier: GPL-2.0
// Numbers of different things do not compare.
// expect-error: no match for
#include "fs/file/block_map.hpp"

using namespace tarn;

int test(InodeNumber inode, FileBlock file, FileBlock other)
{
    static_cast<void>(inode);
    static_cast<void>(other);
#ifdef FIXED
    return file == other ? 1 : 0;
#else
    return file == inode ? 1 : 0;
#endif
}
