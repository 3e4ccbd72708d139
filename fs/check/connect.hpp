// SPDX-License-Identifier: GPL-2.0
// Connecting: inodes that nothing names get a name in /lost+found. Private to fs/check.
#pragma once
#include "fs/check/checker.hpp"

namespace tarn {

// Wants a file system that is consistent but for the detached inodes. Frees the orphans, as a mount does, on
// the way. Each inode is one transaction: a crash leaves the others to the next repair. May sleep. Errors:
// kNoSpace, kNoMemory, kDeviceFlush, the kBad* codes.
Status connect(const tarn_device& device, const Vector<RepairState::Detached, 8>& detached);

}  // namespace tarn
