// SPDX-License-Identifier: GPL-2.0
// Target: the block device or image file a program works on, mapped into memory.
//
// The core works through pointers, so the target is mapped, not read and written. For a block device that
// means its page cache, and a mounted tarnfs goes past that cache. So nothing may linger in it: it is written
// out and dropped before the mapping is made and after it has gone, and while the mapping lives no mount can
// begin, because the device is open exclusively. (Only `tarnfs inspect` looks at a mounted device. It may see
// old and new contents mixed, and says so.) O_DIRECT in place of a mapping would need a buffer as large as
// the device, or another core.
//
// With Access::kChange a fence of the core is an fdatasync: the order in which recovery and mkfs make things
// durable holds here too. With Access::kPrivate changes stay in this process: fsck -n replays the journals
// that way.
#pragma once
#include <string>
#include <vector>

#include "cxxrt/host/host.hpp"

namespace tarn::tools {

enum class Access {
    kChange,   // shared and writable; exclusive
    kPrivate,  // writable copy; exclusive
    kLook,     // writable copy of what may be mounted
};

class Target {
  public:
    // Opens and maps. Fails (with `status`) with a message that says why: no such file, mounted, in use, too
    // small ...
    Target(std::string path, Access access, int status);
    ~Target();
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const std::string& path() const { return path_; }
    int fd() const { return fd_; }
    u64 bytes() const { return bytes_; }
    bool is_block_device() const { return block_device_; }
    // The mount point while something is mounted from it (Access::kLook), else empty.
    const std::string& mounted_on() const { return mounted_on_; }
    // False for a block device without direct access: it can hold a tarnfs, but not mount it.
    bool can_dax() const;
    const tarn_device& device() const { return device_; }

    // Makes everything stored durable; fails when that did not work.
    void finish();

  private:
    void open_it();
    void refuse_if_in_use();
    void measure();
    void map();
    void drop_cache();

    std::string path_;
    Access access_;
    int status_;
    int fd_ = -1;
    bool block_device_ = false;
    u64 bytes_ = 0;
    unsigned device_major_ = 0, device_minor_ = 0;
    std::string mounted_on_;
    host::Backing backing_;
    tarn_device device_ = {};
};

}  // namespace tarn::tools
