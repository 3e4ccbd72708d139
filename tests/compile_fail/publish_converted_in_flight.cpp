// SPDX-License-Identifier: GPL-2.0
// An unwritten run does not become written before its contents have been fenced.
// expect-error: cannot bind|could not convert|no matching function|cannot convert
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Converted<InFlight>&& stored, Media& media)
{
    static_cast<void>(media);
#ifdef FIXED
    auto durable = std::move(stored).fence(media);
    return map.publish(txn, FileBlock(0), durable.take());
#else
    return map.publish(txn, FileBlock(0), std::move(stored));
#endif
}
