// SPDX-License-Identifier: GPL-2.0
// format(): makes an empty file system. mkfs, the host tests and the KUnit suites call it.
#pragma once
#include "fs/media/layout.hpp"

namespace tarn {

// Told of progress now and then; `step` may be null. Both numbers are blocks of metadata to write.
struct FormatProgress {
    void* context = nullptr;
    void (*step)(void* context, u64 done, u64 total) = nullptr;
};

// Inode numbers and blocks a fresh file system begins with: inode group 0's two bitmaps and its first chunk,
// at layout.first_data, file blocks 0.. of the inode table.
inline constexpr u64 kFirstTableBlocks =
    TARNFS_INODE_GROUP_HEADER + TARNFS_INODE_CHUNK / TARNFS_INODES_PER_BLOCK;

// Writes an empty file system over the device, or the beginning of it that the options say: journals,
// bitmaps, inode table, root directory, and the superblocks last. Everything is durable when it returns.
// Nothing of the device may be in use. May sleep. Errors: kInvalid (see plan_layout), kNoMemory,
// kDeviceFlush.
Result<Layout> format(Media& media, const FormatOptions& options, const FormatProgress& progress);

}  // namespace tarn
