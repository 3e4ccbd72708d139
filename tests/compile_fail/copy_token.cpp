// SPDX-License-Identifier: GPL-2.0
// Tokens are move-only: two owners of one run cannot exist.
// expect-error: deleted function
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Reserved& reserved)
{
#ifdef FIXED
    Reserved other(std::move(reserved));
#else
    Reserved other(reserved);
#endif
    static_cast<void>(other);
}
