// SPDX-License-Identifier: GPL-2.0
// Only a fence makes a converted run durable.
// expect-error: private within this context
#include "fs/file/block_map.hpp"

using namespace tarn;

Status test(BlockMap& map, Transaction& txn, Run run, Converted<InFlight>&& stored, Media& media)
{
    static_cast<void>(run);
    static_cast<void>(stored);
    static_cast<void>(media);
#ifdef FIXED
    auto token = std::move(stored).fence(media);
    return map.publish(txn, FileBlock(0), token.take());
#else
    Converted<Durable> token(run);
    return map.publish(txn, FileBlock(0), std::move(token));
#endif
}
