// SPDX-License-Identifier: GPL-2.0
#include "tools/online.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tarnfs/ioctl.h"
#include "tarnfs/superblock.h"
#include "tools/console.hpp"
#include "tools/image.hpp"

namespace tarn::tools {

namespace {

// A directory or file of a mounted tarnfs.
class Mounted {
  public:
    explicit Mounted(const std::string& path) : path_(path), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC))
    {
        struct statfs about;
        if (fd_ < 0 || fstatfs(fd_, &about) != 0)
            fail(kLookFailed, "%s: %s", path.c_str(), std::strerror(errno));
        if (about.f_type != TARNFS_STATFS_MAGIC)
            fail(kLookFailed, "%s: not on a mounted tarnfs", path.c_str());
    }
    ~Mounted()
    {
        if (fd_ >= 0)
            close(fd_);
    }
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;

    void call(unsigned long number, void* argument, const char* what)
    {
        if (ioctl(fd_, number, argument) != 0)
            fail(kLookFailed, "%s: %s: %s", path_.c_str(), what, reason(number, errno));
    }

  private:
    static const char* reason(unsigned long number, int error)
    {
        if (number == TARNFS_IOC_GROW && error == EINVAL)
            return "a file system cannot be made smaller";
        if (number == TARNFS_IOC_GROW && error == ENOSPC)
            return "larger than the device was when it was mounted";
        if (number == TARNFS_IOC_GROW && error == EFBIG)
            return "larger than mkfs.tarnfs has left room for (-g)";
        return std::strerror(error);
    }

    std::string path_;
    int fd_;
};

}  // namespace

void label(const std::string& mount_point, const std::string* wanted)
{
    Mounted mounted(mount_point);
    char text[FSLABEL_MAX] = "";
    if (!wanted) {
        mounted.call(FS_IOC_GETFSLABEL, text, "the label");
        std::printf("%s\n", escape(text).c_str());
        return;
    }
    if (wanted->size() >= TARNFS_LABEL_BYTES)
        fail(kLookFailed, "the label is %zu bytes long; at most %d fit", wanted->size(),
             TARNFS_LABEL_BYTES - 1);
    std::memcpy(text, wanted->c_str(), wanted->size());
    mounted.call(FS_IOC_SETFSLABEL, text, "the label");
}

void grow(const std::string& mount_point, const std::string* wanted)
{
    const u64 bytes = wanted ? parse_size(*wanted) : 0;
    if (wanted && bytes < kBlockSize)
        fail(kLookFailed, "'%s' is no size (bytes, or with a suffix K, M, G or T)", escape(*wanted).c_str());
    Mounted mounted(mount_point);
    __u64 blocks = bytes / kBlockSize;
    mounted.call(TARNFS_IOC_GROW, &blocks, "growing");
    std::printf("%s: %s\n", mount_point.c_str(), size_text(blocks * kBlockSize).c_str());
}

}  // namespace tarn::tools
