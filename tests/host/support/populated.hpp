// SPDX-License-Identifier: GPL-2.0
// A mounted file system on a test device, and what one does with it, by inode number. Failures throw.
#pragma once
#include <random>
#include <stdexcept>
#include <string>

#include "fs/check/check.hpp"
#include "fs/dir/namespace.hpp"
#include "fs/filesystem.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

inline constexpr InodeNumber kRoot{TARNFS_INO_ROOT};

class TestFileSystem {
  public:
    explicit TestFileSystem(u64 blocks = kTestBlocks);
    // Mounts a copy of an image.
    explicit TestFileSystem(const std::vector<std::byte>& image, Access access = Access::kReadWrite);

    TestDevice& device() { return device_; }
    FileSystem& fs() { return *fs_; }
    void unmount() { fs_.reset(); }
    // Forgets everything in memory without a word to the media: a power cut on a device that loses nothing.
    void cut_power();
    void mount(Access access = Access::kReadWrite);

    InodeNumber create(InodeNumber dir, const std::string& name, u32 mode, const std::string& target = {});
    InodeNumber mkdir(InodeNumber dir, const std::string& name)
    {
        return create(dir, name, kTypeDirectory | 0755);
    }
    InodeNumber file(InodeNumber dir, const std::string& name)
    {
        return create(dir, name, kTypeRegular | 0644);
    }
    void link(InodeNumber dir, const std::string& name, InodeNumber inode);
    // Takes the name away; with the last one the inode becomes an orphan.
    void unlink(InodeNumber dir, const std::string& name);
    // Frees an orphan.
    void free(InodeNumber inode);
    void rename(InodeNumber from, const std::string& name, InodeNumber to, const std::string& new_name);
    // Fills a hole of a file with zeroed blocks, extent by extent, and makes the size cover it.
    void fill(InodeNumber file, u64 first_block, u64 count);
    // An extended attribute; `space` is TARN_XATTR_*.
    void set_xattr(InodeNumber inode, u8 space, const std::string& name, const std::string& value);
    InodeNumber find(InodeNumber dir, const std::string& name);

    // The record as it is on the media, to look at or to damage.
    tarnfs_inode& record(InodeNumber number);
    // After a change of a record by hand: makes its checksum right.
    static void seal(tarnfs_inode& record);

  private:
    Box<Inode> open_inode(InodeNumber number);

    TestDevice device_;
    Box<FileSystem> fs_;
    tarn_time now_{1700000001, 0};
};

// A bit of everything: directories with many entries and with few, fragmented and long files, holes, links of
// all kinds, long names, special files, several chunks of inodes, extended attributes, an orphan that has
// some, too. The same for equal seeds.
void populate(TestFileSystem& fs, u64 seed = 1);
// A populated file system of kTestBlocks blocks, unmounted; the orphan is still there. Made once.
const std::vector<std::byte>& populated_image();

// Runs check() over what is on the device now and collects the problems as text.
struct Checked {
    CheckSummary summary;
    std::vector<std::string> problems;

    std::string text() const;
    bool mentions(const std::string& words) const { return text().find(words) != std::string::npos; }
};
// `device` is not mounted (or nobody changes it); journals are replayed first, on the device.
Checked check_device(TestDevice& device);
// The same, without a word about the journals: what is on the media as it is.
Checked check_as_is(TestDevice& device);

}  // namespace tarn::test
