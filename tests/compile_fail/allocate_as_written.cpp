// SPDX-License-Identifier: GPL-2.0
// Blocks of unknown contents come into a file as unwritten ones only: Transaction takes no Reserved as
// evidence.
// expect-error: cannot bind|could not convert|no matching function|cannot convert
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Reserved&& reserved)
{
    static_cast<void>(map);
#ifdef FIXED
    return map.allocate(txn, FileBlock(0), std::move(reserved));
#else
    return txn.own(std::move(reserved));
#endif
}
