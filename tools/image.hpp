// SPDX-License-Identifier: GPL-2.0
// Image: a file system to be looked at, mounted or not, damaged or not. Nothing here changes it.
#pragma once
#include <string>

#include "fs/dir/directory.hpp"
#include "fs/txn/volume.hpp"
#include "tools/target.hpp"

namespace tarn::tools {

inline constexpr int kLookFailed = 1;

// What to look at: the media as it is, or as it would be after the journals have been replayed (in memory).
enum class Journaled { kAsIs, kReplayed };

// Says that a mounted file system may be seen in the middle of a change.
void warn_if_mounted(const Target& target);

class Image {
  public:
    // Fails with a message when there is no superblock that makes sense.
    Image(const std::string& path, Journaled journaled);

    const Target& target() const { return target_; }
    const Layout& layout() const { return layout_; }
    Volume& volume() { return volume_; }
    const Media& media() { return volume_.media(); }

    // A record, found through the inode table; its own contents are not checked. Fails when the number has no
    // place.
    const tarnfs_inode& record(u64 number);
    // The tree that hangs from it. Fails for inodes without one.
    TreeRoot tree(u64 number);
    // That of its extended attributes.
    TreeRoot xattr_tree(u64 number);
    // The inode that a path names, from the root directory on; "#N" stands for inode N.
    u64 resolve(const std::string& path);

    const tarnfs_bitmap& bitmap(DeviceBlock block)
    {
        return *reinterpret_cast<const tarnfs_bitmap*>(media().at(block));
    }

  private:
    u64 find(u64 directory, const std::string& name);
    MediaAddress address(const tarnfs_inode& record);

    Target target_;
    Layout layout_;
    Volume volume_;
};

// "directory", "file" ...
const char* type_name(u32 mode);
u64 parse_number(const char* what, const std::string& text);

}  // namespace tarn::tools
