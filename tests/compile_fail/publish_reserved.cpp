// SPDX-License-Identifier: GPL-2.0
// A block whose contents are unknown cannot be published.
// expect-error: cannot bind|could not convert|no matching function|cannot convert
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Reserved&& reserved, DurableBatch& batch)
{
    static_cast<void>(reserved);
#ifdef FIXED
    return map.publish(txn, FileBlock(0), batch.take(0));
#else
    static_cast<void>(batch);
    return map.publish(txn, FileBlock(0), std::move(reserved));
#endif
}
