// SPDX-License-Identifier: GPL-2.0
// A converted run cannot be forgotten by accident.
// expect-error: ignoring return|nodiscard
#include "fs/file/block_map.hpp"

using namespace tarn;

void test(Media& media, Unwritten&& unwritten)
{
#ifdef FIXED
    auto stored = std::move(unwritten).zero(media);
    static_cast<void>(stored);
#else
    std::move(unwritten).zero(media);
#endif
}
