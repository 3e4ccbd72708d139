// SPDX-License-Identifier: GPL-2.0
//
// System calls for operations and views: see disk.hpp.

#include "disk.hpp"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace powercut {

bool Hands::execute(const Operation& op)
{
    std::string path = root_ + op.path, other = root_ + op.other;
    switch (op.action) {
        case Action::Create: return Fd(path, O_CREAT | O_EXCL | O_WRONLY).get() >= 0;
        case Action::Mkdir: return mkdir(path.c_str(), 0755) == 0;
        case Action::Symlink: return symlink(op.other.c_str(), path.c_str()) == 0;
        case Action::Link: return link(path.c_str(), other.c_str()) == 0;
        case Action::Unlink: return unlink(path.c_str()) == 0;
        case Action::UnlinkOpen: return unlink_open(op);
        case Action::Rmdir: return rmdir(path.c_str()) == 0;
        case Action::Rename: return ::rename(path.c_str(), other.c_str()) == 0;
        case Action::Exchange:
            return renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
        case Action::Nameless: return make_nameless(op);
        case Action::Write:
        case Action::Append: return write(op);
        case Action::Map: return map(op);
        case Action::Allocate: return allocate(op, 0);
        case Action::Keep: return allocate(op, FALLOC_FL_KEEP_SIZE);
        case Action::Punch: return allocate(op, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
        case Action::Zero: return allocate(op, FALLOC_FL_ZERO_RANGE);
        case Action::Collapse: return allocate(op, FALLOC_FL_COLLAPSE_RANGE);
        case Action::Insert: return allocate(op, FALLOC_FL_INSERT_RANGE);
        case Action::Truncate: return truncate(path.c_str(), static_cast<off_t>(op.length)) == 0;
        case Action::Open: return Fd(path, O_WRONLY | O_TRUNC).get() >= 0;
        case Action::Chmod: return chmod(path.c_str(), op.mode) == 0;
        case Action::SetXattr: return set_xattr(op);
        case Action::RemoveXattr: return lremovexattr(path.c_str(), op.other.c_str()) == 0;
        case Action::Sync: return sync();
    }
    return false;
}

bool Hands::write(const Operation& op)
{
    // Done again, an append must not append twice: only a whole one starts at the file's end.
    Fd fd(root_ + op.path, O_WRONLY);
    struct stat status;
    if (fd.get() < 0 || fstat(fd.get(), &status) != 0)
        return false;
    Bytes bytes = new_bytes(op);
    bool appends = op.action == Action::Append && static_cast<uint64_t>(status.st_size) == op.offset;
    if (appends && fcntl(fd.get(), F_SETFL, O_APPEND) != 0)
        return false;
    for (size_t done = 0; done < bytes.size();) {
        ssize_t n = appends ? ::write(fd.get(), &bytes[done], bytes.size() - done)
                            : pwrite(fd.get(), &bytes[done], bytes.size() - done,
                                     static_cast<off_t>(op.offset + done));
        if (n <= 0)
            return false;
        done += static_cast<size_t>(n);
    }
    return true;
}

// All of the file is mapped, so that a large one gets pages of 2 MiB.
bool Hands::map(const Operation& op)
{
    Fd fd(root_ + op.path, O_RDWR);
    struct stat status;
    if (fd.get() < 0 || fstat(fd.get(), &status) != 0)
        return false;
    const size_t length = static_cast<size_t>(status.st_size);
    void* at = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED)
        return false;
    Bytes bytes = new_bytes(op);
    memcpy(static_cast<uint8_t*>(at) + op.offset, bytes.data(), bytes.size());
    bool synced = (op.pattern % 2 ? fsync(fd.get()) : msync(at, length, MS_SYNC)) == 0;
    return munmap(at, length) == 0 && synced;
}

bool Hands::allocate(const Operation& op, int mode)
{
    Fd fd(root_ + op.path, O_WRONLY);
    return fd.get() >= 0 &&
           fallocate(fd.get(), mode, static_cast<off_t>(op.offset), static_cast<off_t>(op.length)) == 0;
}

bool Hands::unlink_open(const Operation& op)
{
    Fd fd(root_ + op.path, O_RDWR);
    if (fd.get() < 0 || unlink((root_ + op.path).c_str()) != 0)
        return false;
    struct stat status;
    bool orphan = fstat(fd.get(), &status) == 0 && status.st_nlink == 0;
    if (orphan && pwrite(fd.get(), "written while unlinked", 22, 5000) != 22)
        return false;
    keep_open(fd.release());
    return true;
}

bool Hands::make_nameless(const Operation& op)
{
    Fd fd(root_ + op.path.substr(0, op.path.rfind('/')), O_TMPFILE | O_WRONLY);
    const Bytes bytes = new_bytes(op);
    if (fd.get() < 0 || pwrite(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return false;
    const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
    return linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (root_ + op.path).c_str(), AT_SYMLINK_FOLLOW) == 0;
}

bool Hands::set_xattr(const Operation& op)
{
    const Bytes value = new_bytes(op);
    return lsetxattr((root_ + op.path).c_str(), op.other.c_str(), value.data(), value.size(), 0) == 0;
}

bool Hands::sync()
{
    Fd fd(root_, O_RDONLY | O_DIRECTORY);
    return fd.get() >= 0 && fsync(fd.get()) == 0;
}

std::vector<std::string> DiskView::list(const std::string& path)
{
    std::vector<std::string> names;
    DIR* directory = opendir((root_ + path).c_str());
    if (!directory)
        cannot(path, "be opened");
    errno = 0;
    while (dirent* entry = readdir(directory)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
    }
    int error = errno;
    closedir(directory);
    errno = error;
    if (error != 0)
        cannot(path, "be read");
    return names;
}

View::Status DiskView::status(const std::string& path)
{
    struct stat status;
    if (lstat((root_ + path).c_str(), &status) != 0)
        cannot(path, "be looked up");
    return {status.st_mode, status.st_nlink, static_cast<uint64_t>(status.st_size)};
}

Bytes DiskView::contents(const std::string& path)
{
    Bytes bytes(status(path).size + 1);
    Fd fd(root_ + path, O_RDONLY);
    ssize_t n = fd.get() < 0 ? -1 : pread(fd.get(), bytes.data(), bytes.size(), 0);
    if (n < 0)
        cannot(path, "be read");
    bytes.resize(static_cast<size_t>(n));
    return bytes;
}

Bytes DiskView::target(const std::string& path)
{
    Bytes target(4096);
    ssize_t n = readlink((root_ + path).c_str(), reinterpret_cast<char*>(target.data()), target.size());
    target.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return target;
}

std::optional<Bytes> DiskView::xattr(const std::string& path, const std::string& name)
{
    Bytes value(65536);
    const ssize_t n = lgetxattr((root_ + path).c_str(), name.c_str(), value.data(), value.size());
    if (n < 0 && errno == ENODATA)
        return std::nullopt;
    if (n < 0)
        cannot(path, "tell " + name);
    value.resize(static_cast<size_t>(n));
    return value;
}

void DiskView::cannot(const std::string& path, const std::string& what) const
{
    throw std::runtime_error(path + ": cannot " + what + ": " + strerror(errno));
}

}  // namespace powercut
