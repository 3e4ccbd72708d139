// SPDX-License-Identifier: GPL-2.0
// check(): is everything on the media consistent? fsck and the tests call it.
//
// Reads only. Wants a file system that nobody changes, its journals replayed. Trusts the Layout and nothing
// else: memory is bounded by what the device can hold, time by that and the number of problems, whatever the
// media says.
#pragma once
#include "fs/txn/volume.hpp"

namespace tarn {

// Who is told. `problem` gets one line per problem, printf-like, without newline; names from the media are in
// it as they are (the receiver escapes them). `progress` is called now and then, both numbers in units of
// work; may be null.
struct CheckReporter {
    void* context = nullptr;
    void (*problem)(void* context, const char* format, __builtin_va_list arguments) = nullptr;
    void (*progress)(void* context, u64 done, u64 total) = nullptr;
};

// What was found. Blocks are 4 KiB.
struct CheckSummary {
    u64 problems = 0;
    u64 inodes = 0;  // in use, all types and orphans included
    u64 files = 0;
    u64 directories = 0;
    u64 symlinks = 0;
    u64 others = 0;
    u64 orphans = 0;  // to be freed or truncated by the next mount: no problem
    u64 entries = 0;
    u64 extents = 0;
    u64 xattrs = 0;            // extended attributes
    u64 data_blocks = 0;       // of files, symlinks and values of extended attributes
    u64 unwritten_blocks = 0;  // those of them that nobody has written yet
    u64 node_blocks = 0;       // of trees
    u64 table_blocks = 0;      // of the inode table: bitmaps and inodes
    u64 free_blocks = 0;       // as the block bitmaps say
    u64 inode_slots = 0;       // inodes that exist or could without another chunk
};

// Checks superblocks, journals, bitmaps, inode table, trees, ownership of blocks, directories, link counts.
// `volume` need not be open. May sleep. Error: kNoMemory only; damage is in the summary.
Result<CheckSummary> check(Volume& volume, const CheckReporter& reporter);

}  // namespace tarn
