// SPDX-License-Identifier: GPL-2.0
// InodeObject: the C++ part of an inode in memory, built inside the kernel's inode container (struct tarn_inode).
//
// The inode and the tracker of what of it is mapped: one allocation, one lifetime. It is built when the VFS reads or
// creates the inode and destroyed in evict; RCU readers that come later see raw memory and must not look inside.
#pragma once
#include "fs/core.h"
#include "fs/dax/tracker.hpp"
#include "fs/filesystem.hpp"
#include "fs/inode/inode.hpp"

namespace tarn {

struct InodeObject {
    // In `storage`; `record` has been checked (InodeTable::find).
    InodeObject(tarn_inode* storage, FileSystem& fs, InodeNumber number, u32 generation, MediaAddress record)
        : inode(fs, number, generation, record), tracker(storage, fs.trackers())
    {
    }

    static InodeObject& create(tarn_inode* storage, FileSystem& fs, InodeNumber number, u32 generation,
                               MediaAddress record)
    {
        return *new (storage->storage) InodeObject(storage, fs, number, generation, record);
    }
    static InodeObject& of(tarn_inode* storage)
    {
        return *std::launder(reinterpret_cast<InodeObject*>(storage->storage));
    }
    // The tracker must be empty: tarn_file_evict.
    void destroy() { this->~InodeObject(); }

    Inode inode;
    DirtyTracker tracker;
    Atomic<u32> end_is_clean{0};  // 1: no truncation is left to be finished (truncate.cpp)
    Atomic<u32> changing{0};      // calls that may be storing to its contents in place (version.cpp)
    Atomic<u32> unfenced{0};      // 1: a write(2) under way has done so
};

static_assert(sizeof(InodeObject) <= TARN_INODE_STORAGE);
static_assert(alignof(InodeObject) <= 8);

}  // namespace tarn
