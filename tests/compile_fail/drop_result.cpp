// SPDX-License-Identifier: GPL-2.0
// A failure cannot be overlooked.
// expect-error: ignoring return|nodiscard
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Transaction& txn)
{
#ifdef FIXED
    txn.commit().ignore();
#else
    txn.commit();
#endif
}
