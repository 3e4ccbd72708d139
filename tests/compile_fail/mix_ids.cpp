// SPDX-License-Identifier: GPL-2.0
// A file's block number is not a device's.
// expect-error: no match for|cannot convert|could not convert|no matching function
#include "fs/file/block_map.hpp"

using namespace tarn;

const byte* test(const Media& media, FileBlock file, DeviceBlock device)
{
    static_cast<void>(file);
    static_cast<void>(device);
#ifdef FIXED
    return media.at(device);
#else
    return media.at(file);
#endif
}
