// SPDX-License-Identifier: GPL-2.0
// Nothing re-types a token: in flight does not become durable without a fence.
// expect-error: no matching function|private within this context|cannot convert
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Initialised<InFlight>&& stored, DurableBatch& batch)
{
    static_cast<void>(stored);
#ifdef FIXED
    Initialised<Durable> token = batch.take(0);
#else
    static_cast<void>(batch);
    Initialised<Durable> token(std::move(stored));
#endif
    static_cast<void>(token);
}
