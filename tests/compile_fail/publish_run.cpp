// SPDX-License-Identifier: GPL-2.0
// A bare run of blocks is no evidence of anything.
// expect-error: cannot bind|could not convert|no matching function|cannot convert|invalid initialization
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Initialised<Durable>&& token)
{
#ifdef FIXED
    return map.publish(txn, FileBlock(0), std::move(token));
#else
    const Run run = token.run();
    return map.publish(txn, FileBlock(0), run);
#endif
}
