// SPDX-License-Identifier: GPL-2.0
//
// Fills a file system in an image with many files or with a file of many extents, by the core, which is much
// quicker than an emulated guest. For tests/guest/recovery and tests/guest/chains.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "fs/dir/namespace.hpp"
#include "fs/file/block_map.hpp"

using namespace tarn;

namespace {

constexpr u64 kFilesOfADirectory = 10000;

template <class T>
auto must(Result<T>&& result, const char* what)
{
    if (!result)
        throw std::runtime_error(std::string(what) + ": " + describe(result.error()));
    return result.take();
}

tarn_device map_image(const char* path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status = {};
    if (fd < 0 || fstat(fd, &status) != 0)
        throw std::runtime_error(std::string("cannot open ") + path);
    const auto size = static_cast<size_t>(status.st_size);
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED)
        throw std::runtime_error(std::string("cannot map ") + path);
    tarn_device device = {};
    device.base = static_cast<unsigned char*>(at);
    device.blocks = size / kBlockSize;
    return device;
}

class Filler {
  public:
    explicit Filler(const tarn_device& device)
        : fs_(must(FileSystem::open(device, Access::kReadWrite), "mount"))
    {
    }

    // In the root directory.
    void files(u64 count)
    {
        Box<Inode> root = open(InodeNumber(TARNFS_INO_ROOT)), dir;
        for (u64 i = 0; i < count; i++) {
            if (i % kFilesOfADirectory == 0)
                dir =
                    open(create(*root, "d" + std::to_string(i / kFilesOfADirectory), kTypeDirectory | 0755));
            create(*dir, "f" + std::to_string(i), kTypeRegular | 0644);
        }
    }
    // Every second block of a file, unwritten: no two extents can be one.
    void extents(u64 count)
    {
        Box<Inode> root = open(InodeNumber(TARNFS_INO_ROOT));
        Box<Inode> file = open(create(*root, "extents", kTypeRegular | 0644));
        Volume& volume = fs_->volume();
        BlockMap map(volume, file->tree());
        for (u64 i = 0; i < count; i++) {
            ExclusiveGuard guard(file->lock);
            Transaction txn(volume);
            Reserved block = must(volume.reserve(1, volume.layout().first_data), "reserve");
            must(map.allocate(txn, FileBlock(i * 2), std::move(block)), "allocate");
            must(txn.commit(), "commit");
        }
    }

  private:
    Box<Inode> open(InodeNumber number)
    {
        const InodeTable::Found found = must(fs_->inodes().find(number), "find inode");
        return must(Box<Inode>::create(*fs_, number, found.generation, found.record), "open inode");
    }
    InodeNumber create(Inode& dir, const std::string& name, u32 mode)
    {
        NewInode what;
        what.mode = mode;
        what.now = {1700000000, 0};
        const Bytes bytes(reinterpret_cast<const byte*>(name.data()), name.size());
        return must(Namespace(*fs_).create(dir, bytes, what), "create").number;
    }
    Box<FileSystem> fs_;
};

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 4) {
        fputs(
            "usage: populate IMAGE FILES EXTENTS\n"
            "So many empty files, and a file of so many extents (0: none), for an image that mkfs.tarnfs has "
            "made.\n",
            stderr);
        return 2;
    }
    try {
        Filler filler(map_image(argv[1]));
        filler.files(strtoull(argv[2], nullptr, 10));
        if (const u64 extents = strtoull(argv[3], nullptr, 10))
            filler.extents(extents);
    } catch (const std::exception& problem) {
        fprintf(stderr, "populate: %s\n", problem.what());
        return 1;
    }
    return 0;
}
