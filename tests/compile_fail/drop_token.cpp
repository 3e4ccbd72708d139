// SPDX-License-Identifier: GPL-2.0
// A token in flight cannot be dropped by accident.
// expect-error: ignoring return|nodiscard
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Media& media, Reserved&& reserved)
{
#ifdef FIXED
    auto stored = std::move(reserved).zero(media);
    static_cast<void>(stored);
#else
    std::move(reserved).zero(media);
#endif
}
