// SPDX-License-Identifier: GPL-2.0
//
// System calls for operations, and the comparison of a directory with a model: see disk.hpp.

#include "disk.hpp"

#include <dirent.h>
#include <sys/mman.h>
#include <cerrno>
#include <cstring>
#include <set>

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
        case Action::Write:
        case Action::Append: return write(op);
        case Action::Map: return map(op);
        case Action::Allocate: return allocate(op, 0);
        case Action::Punch: return allocate(op, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
        case Action::Zero: return allocate(op, FALLOC_FL_ZERO_RANGE);
        case Action::Truncate: return truncate(path.c_str(), static_cast<off_t>(op.length)) == 0;
        case Action::Open: return Fd(path, O_WRONLY | O_TRUNC).get() >= 0;
        case Action::Chmod: return chmod(path.c_str(), op.mode) == 0;
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

bool Hands::map(const Operation& op)
{
    Fd fd(root_ + op.path, O_RDWR);
    uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    uint64_t from = op.offset / page * page;
    size_t length = op.offset + op.length - from;
    void* at = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), static_cast<off_t>(from));
    if (fd.get() < 0 || at == MAP_FAILED)
        return false;
    Bytes bytes = new_bytes(op);
    memcpy(static_cast<uint8_t*>(at) + (op.offset - from), bytes.data(), bytes.size());
    bool synced = msync(at, length, MS_SYNC) == 0;
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

bool Hands::sync()
{
    Fd fd(root_, O_RDONLY | O_DIRECTORY);
    return fd.get() >= 0 && fsync(fd.get()) == 0;
}

void Comparison::compare_directory(NodeId id, const std::string& path)
{
    std::set<std::string> wanted, found;
    for (const Entry* entry : model_.children(id))
        wanted.insert(entry->name);
    DIR* directory = opendir((root_ + path).c_str());
    if (!directory)
        return differ(path, std::string("cannot be opened: ") + strerror(errno));
    errno = 0;
    while (dirent* entry = readdir(directory)) {
        std::string name = entry->d_name;
        if (name != "." && name != ".." && !found.insert(name).second)
            differ(path, "lists '" + name + "' twice");
    }
    if (errno != 0)
        differ(path, std::string("cannot be read: ") + strerror(errno));
    closedir(directory);
    for (const std::string& name : wanted) {
        if (!found.contains(name))
            differ(path, "lacks '" + name + "'");
    }
    for (const std::string& name : found) {
        if (!wanted.contains(name))
            differ(path, "has '" + name + "', which should not be there");
    }
}

void Comparison::compare_node(NodeId id, const std::string& path)
{
    const Node& node = model_.node(id);
    struct stat status;
    if (lstat((root_ + path).c_str(), &status) != 0)
        return differ(path, std::string("cannot be looked up: ") + strerror(errno));
    mode_t type = node.kind == Kind::File ? S_IFREG : node.kind == Kind::Directory ? S_IFDIR : S_IFLNK;
    if ((status.st_mode & S_IFMT) != type)
        return differ(path, "is of another type");
    if ((status.st_mode & 07777) != node.mode)
        differ(path,
               "has mode " + std::to_string(status.st_mode & 07777) + ", not " + std::to_string(node.mode));
    if (status.st_nlink != model_.link_count(id))
        differ(path, "has " + std::to_string(status.st_nlink) + " links, not " +
                         std::to_string(model_.link_count(id)));
    if (node.kind == Kind::File)
        compare_data(id, path, static_cast<uint64_t>(status.st_size));
    else if (node.kind == Kind::Symlink)
        compare_symlink(node, path);
}

void Comparison::compare_data(NodeId id, const std::string& path, uint64_t size)
{
    const Bytes& old = model_.node(id).data;
    uint64_t most =
        is_partial(id) ? std::max<uint64_t>(old.size(), partial_->offset + partial_->length) : old.size();
    if (size < old.size() || size > most)
        return differ(path, "has " + std::to_string(size) + " bytes, not " + std::to_string(old.size()));
    Bytes bytes(size + 1);
    Fd fd(root_ + path, O_RDONLY);
    ssize_t n = fd.get() < 0 ? -1 : pread(fd.get(), bytes.data(), bytes.size(), 0);
    if (n != static_cast<ssize_t>(size))
        return differ(path, n < 0 ? std::string("cannot be read: ") + strerror(errno) : "reads short");
    for (uint64_t i = 0; i < size; i++) {
        uint8_t before = i < old.size() ? old[i] : 0;
        bool may_be_new = is_partial(id) && i >= partial_->offset && i < partial_->offset + partial_->length;
        if (bytes[i] != before && !(may_be_new && bytes[i] == new_byte(*partial_, i)))
            return differ(path, "byte " + std::to_string(i) + " of " + std::to_string(size) + " is " +
                                    std::to_string(bytes[i]) + ", not " + std::to_string(before));
    }
}

void Comparison::compare_symlink(const Node& node, const std::string& path)
{
    Bytes target(4096);
    ssize_t n = readlink((root_ + path).c_str(), reinterpret_cast<char*>(target.data()), target.size());
    target.resize(n < 0 ? 0 : static_cast<size_t>(n));
    if (target != node.data)
        differ(path, "points elsewhere");
}

}  // namespace powercut
