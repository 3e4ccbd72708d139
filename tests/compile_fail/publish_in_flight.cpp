// SPDX-License-Identifier: GPL-2.0
// A block whose contents have not been fenced cannot be published.
// expect-error: cannot bind|could not convert|no matching function|cannot convert
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Initialised<InFlight>&& stored, Initialised<Durable>&& fenced)
{
    static_cast<void>(stored);
#ifdef FIXED
    return map.publish(txn, FileBlock(0), std::move(fenced));
#else
    static_cast<void>(fenced);
    return map.publish(txn, FileBlock(0), std::move(stored));
#endif
}
