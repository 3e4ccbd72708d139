// SPDX-License-Identifier: GPL-2.0
#include "tools/target.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/console.hpp"

namespace tarn::tools {

namespace {

constexpr u64 kLeastBytes = 8 << 20;

// "\040" and the like, as mountinfo writes spaces.
std::string unescape(const std::string& text)
{
    std::string plain;
    for (usize i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

// Where the block device is mounted, or nothing.
std::string find_mount(unsigned device_major, unsigned device_minor)
{
    const std::string wanted = std::to_string(device_major) + ":" + std::to_string(device_minor);
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string id, parent, numbers, root, where;
        if (words >> id >> parent >> numbers >> root >> where && numbers == wanted)
            return unescape(where);
    }
    return {};
}

// The loop device that a file is behind, or nothing.
std::string find_loop(const struct stat& file)
{
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block", error)) {
        std::ifstream backing(entry.path() / "loop" / "backing_file");
        std::string name;
        struct stat other;
        if (std::getline(backing, name) && stat(name.c_str(), &other) == 0 && other.st_dev == file.st_dev &&
            other.st_ino == file.st_ino)
            return "/dev/" + entry.path().filename().string();
    }
    return {};
}

}  // namespace

Target::Target(std::string path, Access access, int status)
    : path_(std::move(path)), access_(access), status_(status)
{
    try {
        open_it();
        measure();
        drop_cache();
        map();
    } catch (...) {
        if (fd_ >= 0)
            close(fd_);
        throw;
    }
}

Target::~Target()
{
    if (device_.base)
        munmap(device_.base, device_.blocks * kBlockSize);
    if (fd_ >= 0) {
        drop_cache();
        close(fd_);
    }
}

void Target::open_it()
{
    const int mode = access_ == Access::kChange ? O_RDWR : O_RDONLY;
    struct stat about;
    if (stat(path_.c_str(), &about) != 0)
        fail(status_, "%s: %s", path_.c_str(), std::strerror(errno));
    block_device_ = S_ISBLK(about.st_mode);
    if (!block_device_ && !S_ISREG(about.st_mode))
        fail(status_, "%s: neither a block device nor a regular file", path_.c_str());
    device_major_ = major(about.st_rdev);
    device_minor_ = minor(about.st_rdev);
    refuse_if_in_use();
    // O_EXCL on a block device: nobody else has it so, and no mount can begin.
    const int exclusive = block_device_ && access_ != Access::kLook ? O_EXCL : 0;
    fd_ = open(path_.c_str(), mode | exclusive | O_CLOEXEC);
    if (fd_ < 0 && errno == EBUSY)
        fail(status_, "%s: in use (mounted elsewhere, or held by another program)", path_.c_str());
    if (fd_ < 0)
        fail(status_, "%s: %s", path_.c_str(), std::strerror(errno));
}

void Target::refuse_if_in_use()
{
    if (block_device_) {
        mounted_on_ = find_mount(device_major_, device_minor_);
        if (!mounted_on_.empty() && access_ != Access::kLook)
            fail(status_, "%s: mounted on %s; unmount it first", path_.c_str(), mounted_on_.c_str());
        return;
    }
    struct stat about;
    if (access_ == Access::kLook || stat(path_.c_str(), &about) != 0)
        return;
    const std::string loop = find_loop(about);
    if (!loop.empty())
        fail(status_, "%s: in use by %s; detach it first", path_.c_str(), loop.c_str());
}

void Target::measure()
{
    unsigned long long size = 0;
    if (block_device_) {
        if (ioctl(fd_, BLKGETSIZE64, &size) != 0)
            fail(status_, "%s: cannot find out its size: %s", path_.c_str(), std::strerror(errno));
    } else {
        struct stat about;
        if (fstat(fd_, &about) != 0)
            fail(status_, "%s: %s", path_.c_str(), std::strerror(errno));
        size = static_cast<unsigned long long>(about.st_size);
    }
    bytes_ = size;
    if (bytes_ < kLeastBytes)
        fail(status_, "%s: too small for tarnfs: %s; at least %s are needed", path_.c_str(),
             size_text(bytes_).c_str(), size_text(kLeastBytes).c_str());
    int read_only = 0;
    if (block_device_ && access_ == Access::kChange && ioctl(fd_, BLKROGET, &read_only) == 0 && read_only)
        fail(status_, "%s: the device is read-only", path_.c_str());
}

void Target::map()
{
    const u64 blocks = bytes_ / kBlockSize;
    const int share = access_ == Access::kChange ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
    void* base = mmap(nullptr, blocks * kBlockSize, PROT_READ | PROT_WRITE, share, fd_, 0);
    if (base == MAP_FAILED)
        fail(status_, "%s: cannot map %s: %s", path_.c_str(), size_text(bytes_).c_str(),
             std::strerror(errno));
    madvise(base, blocks * kBlockSize,
            MADV_RANDOM);  // metadata is scattered: no read-ahead of data in between
    backing_.fd = access_ == Access::kChange ? fd_ : -1;
    device_.base = static_cast<unsigned char*>(base);
    device_.blocks = blocks;
    device_.class_ = TARN_DEVICE_SYNC;
    device_.handle = &backing_;
}

// Without the privilege for it (an image readable to a user) there is nothing to be done; kernel messages say
// nothing.
void Target::drop_cache()
{
    if (block_device_)
        ioctl(fd_, BLKFLSBUF, 0);
}

void Target::finish()
{
    if (access_ == Access::kChange && fsync(fd_) != 0)
        fail(status_, "%s: writing failed: %s", path_.c_str(), std::strerror(errno));
}

bool Target::can_dax() const
{
    if (!block_device_)
        return true;
    const std::string base =
        "/sys/dev/block/" + std::to_string(device_major_) + ":" + std::to_string(device_minor_);
    for (const char* queue : {"/queue/dax", "/../queue/dax"}) {
        std::ifstream file(base + queue);
        int dax = 0;
        if (file >> dax)
            return dax != 0;
    }
    return true;
}

}  // namespace tarn::tools
