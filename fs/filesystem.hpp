// SPDX-License-Identifier: GPL-2.0
// FileSystem: a mounted file system: the block level (Volume), the inode table, and whether changes are
// wanted.
//
// Read-only for three reasons, which remount tells apart: asked for; damage found (the volume became
// read-only by itself); shut down. Only the first can be undone without a new mount.
#pragma once
#include "fs/dax/trackers.hpp"
#include "fs/inode/table.hpp"
#include "fs/txn/volume.hpp"

namespace tarn {

using Access = Volume::Access;

class FileSystem {
  public:
    // Reads and checks the superblock, replays the journals, loads counters and inode table; read-write also
    // frees the orphans. May sleep. Errors: those of read_layout and Volume::open, kBadInode, kBadBitmap,
    // kReadOnly (the device cannot be written and access is read-write, or there is something to replay),
    // kUnknownFeature (ro_compat bits on a read-write mount). As it is: without replay, and with whatever of the inode
    // table can be read.
    static Result<Box<FileSystem>> open(const tarn_device& device, Access access);
    FileSystem(const tarn_device& device, const Layout& layout);
    // No inode is open any more. Leaves the media so that the next mount has nothing to replay, where it can.
    ~FileSystem();

    Volume& volume() { return volume_; }
    const Volume& volume() const { return volume_; }
    Media& media() { return volume_.media(); }
    InodeTable& inodes() { return inodes_; }
    Trackers& trackers() { return trackers_; }

    // Remount. Errors: kReadOnly (the device cannot be written, damage was found since the mount, or opened as it is),
    // kShutDown, kUnknownFeature. May sleep.
    Status set_access(Access access);
    // Changes are refused: mounted so, damaged, or shut down.
    bool is_read_only() const { return !volume_.may_change().is_ok(); }

    // Whatever has returned is durable; with settle also in place, so that nothing needs replay. May sleep.
    // Errors: kShutDown, of settle also kDeviceFlush.
    Status sync();
    Status settle();

  private:
    Status start(Access access);
    Status may_write();
    Status allow_changes(InodeTable::Orphans orphans);

    Volume volume_;
    InodeTable inodes_;
    Trackers trackers_;
};

}  // namespace tarn
