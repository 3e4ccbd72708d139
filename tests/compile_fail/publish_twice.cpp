// SPDX-License-Identifier: GPL-2.0
// A token is evidence once: publishing takes it by move, never by copy.
// expect-error: cannot bind rvalue reference|deleted function
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Initialised<Durable>& token)
{
#ifdef FIXED
    return map.publish(txn, FileBlock(0), std::move(token));
#else
    return map.publish(txn, FileBlock(0), token);
#endif
}
