// SPDX-License-Identifier: GPL-2.0
// A converted run is evidence once.
// expect-error: cannot bind rvalue reference|deleted function
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Converted<Durable>& token)
{
#ifdef FIXED
    return map.publish(txn, FileBlock(0), std::move(token));
#else
    return map.publish(txn, FileBlock(0), token);
#endif
}
