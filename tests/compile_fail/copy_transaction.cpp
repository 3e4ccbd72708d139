// SPDX-License-Identifier: GPL-2.0
// A transaction is one: it cannot be copied.
// expect-error: deleted function
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Transaction& txn)
{
#ifdef FIXED
    Transaction& same = txn;
#else
    Transaction same(txn);
#endif
    static_cast<void>(same);
}
