// SPDX-License-Identifier: GPL-2.0
// zero() consumes the reservation; afterwards only the initialised token is left.
// expect-error: discards qualifiers|passing .* as 'this'|passing .Reserved. as .this.
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Media& media, Reserved& reserved)
{
#ifdef FIXED
    auto stored = std::move(reserved).zero(media);
#else
    auto stored = reserved.zero(media);
#endif
    static_cast<void>(stored);
}
