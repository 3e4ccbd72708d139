// SPDX-License-Identifier: GPL-2.0
// Only a fence makes a token durable.
// expect-error: private within this context
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Space& space, Run run, DurableBatch& batch)
{
    static_cast<void>(space);
    static_cast<void>(run);
#ifdef FIXED
    Initialised<Durable> token = batch.take(0);
#else
    static_cast<void>(batch);
    Initialised<Durable> token(space, run);
#endif
    static_cast<void>(token);
}
