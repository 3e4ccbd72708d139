// SPDX-License-Identifier: GPL-2.0
// An unwritten run does not become written before its contents have been stored.
// expect-error: cannot bind|could not convert|no matching function|cannot convert
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Unwritten&& unwritten, Media& media)
{
    static_cast<void>(media);
#ifdef FIXED
    auto durable = std::move(unwritten).zero(media).fence(media);
    return map.publish(txn, FileBlock(0), durable.take());
#else
    return map.publish(txn, FileBlock(0), std::move(unwritten));
#endif
}
