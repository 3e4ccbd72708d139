// SPDX-License-Identifier: GPL-2.0
// What the kernel's interface offers beside read, write and mmap, as far as it concerns contents: where
// blocks are (FIEMAP, FIBMAP, swapon, lseek), what statx says, RWF flags and io_uring, splice and copies,
// times.
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <csignal>

#include "harness.hpp"

namespace {

constexpr long kMostBytes = 0x7ffffffffffff000L;
constexpr int kKeep = FALLOC_FL_KEEP_SIZE;

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_ATOMIC
#define RWF_ATOMIC 0x40
#endif
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif

struct Extents {
    unsigned mapped;
    std::vector<fiemap_extent> list;
};

// `room`: of the array; 0: only the number is wanted.
Extents extents(int fd, unsigned room = 64, long start = 0, unsigned long length = ~0ul,
                unsigned flags = FIEMAP_FLAG_SYNC)
{
    std::vector<char> memory(sizeof(fiemap) + room * sizeof(fiemap_extent));
    auto* request = reinterpret_cast<fiemap*>(memory.data());
    request->fm_start = static_cast<unsigned long>(start);
    request->fm_length = length;
    request->fm_flags = flags;
    request->fm_extent_count = room;
    must(ioctl(fd, FS_IOC_FIEMAP, request));
    const unsigned got = room ? request->fm_mapped_extents : 0;
    return {request->fm_mapped_extents, {request->fm_extents, request->fm_extents + got}};
}

bool is(const fiemap_extent& extent, long page, long count, unsigned flags)
{
    return extent.fe_logical == static_cast<unsigned long>(page * kPage) &&
           extent.fe_length == static_cast<unsigned long>(count * kPage) && extent.fe_flags == flags &&
           extent.fe_physical % kPage == 0 && extent.fe_physical != 0;
}

long preadv2_of(int fd, std::string& bytes, long offset, int flags)
{
    iovec piece{bytes.data(), bytes.size()};
    return preadv2(fd, &piece, 1, offset, flags);
}

long pwritev2_of(int fd, const std::string& bytes, long offset, int flags)
{
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    return pwritev2(fd, &piece, 1, offset, flags);
}

}  // namespace

CASE("surface", "FIEMAP: written, unwritten, holes, behind the end")
{
    File file("f");
    expect(extents(file.fd).list.empty());
    file.write(0, pattern(3 * kPage, 1));
    file.size(20 * kPage);
    must(fallocate(file.fd, 0, 10 * kPage, 2 * kPage));
    must(fallocate(file.fd, kKeep, 30 * kPage, kPage));
    const Extents all = extents(file.fd);
    expect(all.list.size() == 3);
    expect(is(all.list[0], 0, 3, 0));
    expect(is(all.list[1], 10, 2, FIEMAP_EXTENT_UNWRITTEN));
    expect(is(all.list[2], 30, 1, FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_LAST));
    expect(extents(file.fd, 0).mapped == 3);
    expect(extents(file.fd, 2).list.size() == 2 &&
           !(extents(file.fd, 2).list[1].fe_flags & FIEMAP_EXTENT_LAST));
    expect(extents(file.fd, 64, 3 * kPage, 7 * kPage).list.empty());
    expect(is(extents(file.fd, 64, kPage, kPage).list.at(0), 1, 2, 0));
    Mapping mapping(file.fd, 20 * kPage);
    mapping.v(10 * kPage) = 'x';  // a store makes its page written
    expect(is(extents(file.fd).list.at(1), 10, 1, 0) && extents(file.fd).list.size() == 4);
    fiemap request = {};
    request.fm_length = ~0ul;
    request.fm_flags = FIEMAP_FLAG_XATTR;
    expect_errno(ioctl(file.fd, FS_IOC_FIEMAP, &request), EBADR);
    expect(request.fm_flags == FIEMAP_FLAG_XATTR);
}

CASE("surface", "FIEMAP shows where on the device the bytes are")
{
    File file("f");
    const std::string bytes = pattern(5 * kPage, 9);
    file.write(0, bytes);
    must(fsync(file.fd));
    const Extents all = extents(file.fd);
    const int device = must(open("/dev/pmem0", O_RDONLY | O_DIRECT));
    for (const fiemap_extent& extent : all.list) {
        void* memory = nullptr;
        expect(posix_memalign(&memory, kPage, extent.fe_length) == 0);
        expect(must(pread(device, memory, extent.fe_length, static_cast<long>(extent.fe_physical))) ==
               static_cast<long>(extent.fe_length));
        expect(memcmp(memory, bytes.data() + extent.fe_logical, extent.fe_length) == 0);
        free(memory);
    }
    close(device);
}

CASE("surface", "nobody stores to the device below a file: FIBMAP and swapon are refused")
{
    File file("f");
    file.write(0, pattern(64 * kPage, 1));
    int block = 0;
    expect_errno(ioctl(file.fd, FIBMAP, &block), EINVAL);
    shell("mkswap -q " + file.path + " >/dev/null 2>&1 || mkswap " + file.path + " >/dev/null");
    expect_errno(swapon(file.path.c_str(), 0), EINVAL);
    file.write(0, pattern(kPage, 2));
}

CASE("surface", "lseek: data stored through a mapping is found before any sync")
{
    File file("f");
    file.size(100 * kPage);
    must(fallocate(file.fd, 0, 40 * kPage, 20 * kPage));
    Mapping mapping(file.fd, 100 * kPage);
    mapping.v(50 * kPage + 5) = 'x';
    mapping.v(70 * kPage) = 'y';
    expect(mapping.load(80 * kPage) == 0);
    expect(must(lseek(file.fd, 0, SEEK_DATA)) == 50 * kPage);
    expect(must(lseek(file.fd, 50 * kPage + 9, SEEK_DATA)) == 50 * kPage + 9);
    expect(must(lseek(file.fd, 50 * kPage + 9, SEEK_HOLE)) == 51 * kPage);
    expect(must(lseek(file.fd, 51 * kPage, SEEK_DATA)) == 70 * kPage);
    expect_errno(lseek(file.fd, 71 * kPage, SEEK_DATA), ENXIO);
    expect(must(lseek(file.fd, 100 * kPage - 1, SEEK_HOLE)) == 100 * kPage - 1);
    expect_errno(lseek(file.fd, 100 * kPage, SEEK_HOLE), ENXIO);
    expect_errno(lseek(file.fd, -1, SEEK_DATA), ENXIO);
    file.size(kMostBytes);
    expect(must(lseek(file.fd, 71 * kPage, SEEK_HOLE)) == 71 * kPage);
    file.write(kMostBytes - 1, "z");
    expect(must(lseek(file.fd, 71 * kPage, SEEK_DATA)) == kMostBytes - kPage);
    expect(must(lseek(file.fd, kMostBytes - 1, SEEK_HOLE)) == kMostBytes);
}

CASE("surface", "statx: DAX, the time of birth, direct I/O to the byte, the mount")
{
    File file("f");
    struct statx status;
    must(statx(file.fd, "", AT_EMPTY_PATH, STATX_ALL | STATX_DIOALIGN | STATX_MNT_ID, &status));
    expect(status.stx_attributes & STATX_ATTR_DAX && status.stx_attributes_mask & STATX_ATTR_DAX);
    expect(status.stx_mask & STATX_BTIME && status.stx_btime.tv_sec > 1000000000);
    expect(status.stx_mask & STATX_MNT_ID && status.stx_mnt_id != 0);
    expect(status.stx_mask & STATX_DIOALIGN);
    const auto* align = reinterpret_cast<const uint32_t*>(&status.stx_mnt_id + 1);
    for (int i = 0; i < 2; i++) {  // programs take it for an alignment of memory
        void* buffer = nullptr;
        expect(align[i] == 8 && posix_memalign(&buffer, align[i], 4096) == 0);
        free(buffer);
    }
    const int direct = must(open(file.path.c_str(), O_RDWR | O_DIRECT));
    expect(must(pwrite(direct, "direct", 6, 4093)) == 6);
    char bytes[8] = {};
    expect(must(pread(direct, bytes + 1, 6, 4093)) == 6 && memcmp(bytes + 1, "direct", 6) == 0);
    close(direct);
}

CASE("surface", "times far from today survive a remount to the nanosecond")
{
    File file("f");
    for (long seconds : {-1L, 0x7fffffffL + 1, 0xffffffffL + 1, -0x80000001L, 1L << 60, -(1L << 60)}) {
        const timespec wanted[2] = {{seconds, 999999999}, {seconds + 1, 1}};
        must(futimens(file.fd, wanted));
        file.shut();
        remount();
        file.reopen();
        const struct stat status = file.status();
        expect(status.st_atim.tv_sec == seconds && status.st_atim.tv_nsec == 999999999);
        expect(status.st_mtim.tv_sec == seconds + 1 && status.st_mtim.tv_nsec == 1);
    }
}

CASE("surface", "flags of preadv2 and pwritev2")
{
    File file("f");
    file.write(0, pattern(8 * kPage, 1));
    std::string bytes(100, '?');
    for (int flags : {RWF_HIPRI, RWF_NOWAIT, RWF_NOWAIT | RWF_HIPRI})
        expect(must(preadv2_of(file.fd, bytes, 3, flags)) == 100 &&
               bytes == pattern(8 * kPage, 1).substr(3, 100));
    for (int flags : {RWF_DSYNC, RWF_SYNC, RWF_HIPRI, RWF_NOWAIT, RWF_NOWAIT | RWF_DSYNC}) {
        const std::string text = pattern(5000, static_cast<unsigned>(flags));
        expect(must(pwritev2_of(file.fd, text, 77, flags)) == 5000);
        expect(file.read(77, 5000) == text);
    }
    // Without a wait nothing is allocated and nothing grows.
    expect_errno(pwritev2_of(file.fd, bytes, 8 * kPage - 50, RWF_NOWAIT), EAGAIN);
    file.size(20 * kPage);
    must(fallocate(file.fd, 0, 12 * kPage, kPage));
    for (long page : {10L, 12L, 20L})
        expect_errno(pwritev2_of(file.fd, bytes, page * kPage, RWF_NOWAIT), EAGAIN);
    expect(must(preadv2_of(file.fd, bytes, 10 * kPage, RWF_NOWAIT)) == 100 && bytes == repeated(100, '\0'));
    expect(must(pwritev2_of(file.fd, "end", 0, RWF_APPEND)) == 3);
    expect(file.read(20 * kPage, 9) == "end");
    expect_errno(pwritev2_of(file.fd, bytes, 0, RWF_ATOMIC), EOPNOTSUPP);
    expect_errno(preadv2_of(file.fd, bytes, 0, 0x4000), EOPNOTSUPP);
    const int appending = must(open(file.path.c_str(), O_WRONLY | O_APPEND));
    const long wrote = pwritev2_of(appending, "first", 0, RWF_NOAPPEND);
    expect(wrote == 5 ? file.read(0, 5) == "first" : errno == EOPNOTSUPP);  // 6.9 and later
    close(appending);
}

CASE("surface", "a file that is in use makes who may not wait come again")
{
    File file("f");
    file.write(0, pattern(4 * kPage, 1));
    Mapping mapping(file.fd, 4 * kPage);
    PinnedByPipe pin(&mapping[2 * kPage], 100);
    std::thread puncher([&] { must(fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | kKeep, 2 * kPage, kPage)); });
    usleep(200000);  // it waits for the pin, and has the file to itself
    std::string bytes(100, '?');
    expect_errno(preadv2_of(file.fd, bytes, 0, RWF_NOWAIT), EAGAIN);
    expect_errno(pwritev2_of(file.fd, bytes, 0, RWF_NOWAIT), EAGAIN);
    expect(must(read(pin.ends[0], bytes.data(), 100)) == 100);
    puncher.join();
    expect(must(preadv2_of(file.fd, bytes, 0, RWF_NOWAIT)) == 100);
}

CASE("surface", "splice, sendfile, copy_file_range, readahead, fadvise")
{
    File from("from"), to("to");
    const std::string text = pattern(300000, 5);
    from.write(0, text);
    from.size(400000);
    off_t at = 0;
    while (at < 400000)
        expect(must(sendfile(to.fd, from.fd, &at, 400000)) > 0);
    expect(to.read(0, 500000) == text + repeated(100000, '\0'));
    to.size(0);
    loff_t in = 100, out = 5000;
    while (in < 200000) {
        int ends[2];
        must(pipe(ends));
        const long got = must(splice(from.fd, &in, ends[1], nullptr, 60000, 0));
        expect(got > 0 && must(splice(ends[0], nullptr, to.fd, &out, static_cast<size_t>(got), 0)) == got);
        close(ends[0]);
        close(ends[1]);
    }
    expect(to.read(5000, in - 100) == text.substr(100, static_cast<size_t>(in - 100)));
    loff_t source = 7, target = 3;
    expect(must(copy_file_range(from.fd, &source, to.fd, &target, 250000, 0)) > 0);
    expect(to.read(3, target - 3) == text.substr(7, static_cast<size_t>(target - 3)));
    must(readahead(from.fd, 0, 100000));
    for (int advice : {POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_SEQUENTIAL})
        expect(posix_fadvise(from.fd, 0, 0, advice) == 0);
    expect(from.read(0, 300000) == text);
}

// A spliced page is a copy: what is stored to the file afterwards does not show in the pipe.
CASE("surface", "what is in a pipe does not change with the file")
{
    File file("f");
    file.write(0, repeated(kPage, 'a'));
    int ends[2];
    must(pipe(ends));
    loff_t in = 0;
    expect(must(splice(file.fd, &in, ends[1], nullptr, kPage, 0)) == kPage);
    must(fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | kKeep, 0, kPage));
    std::string bytes(kPage, '?');
    expect(must(read(ends[0], bytes.data(), kPage)) == kPage && bytes == repeated(kPage, 'a'));
    close(ends[0]);
    close(ends[1]);
}

namespace {

// One request at a time through a ring of the kernel's.
class Ring {
  public:
    Ring()
    {
        io_uring_params p = {};
        fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 4, &p));
        if (fd_ < 0)
            return;
        const size_t bytes = p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe);
        ring_ = static_cast<char*>(
            must(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, IORING_OFF_SQ_RING)));
        entries_ =
            static_cast<io_uring_sqe*>(must(mmap(nullptr, p.sq_entries * sizeof(io_uring_sqe),
                                                 PROT_READ | PROT_WRITE, MAP_SHARED, fd_, IORING_OFF_SQES)));
        params_ = p;
    }
    ~Ring() { close(fd_); }
    bool is_there() const { return fd_ >= 0; }
    long run(unsigned char what, int file, void* bytes, unsigned length, long offset)
    {
        auto* tail = reinterpret_cast<volatile unsigned*>(ring_ + params_.sq_off.tail);
        auto* head = reinterpret_cast<volatile unsigned*>(ring_ + params_.cq_off.head);
        const unsigned mask = *reinterpret_cast<unsigned*>(ring_ + params_.sq_off.ring_mask);
        const unsigned slot = *tail & mask;
        entries_[slot] = {};
        entries_[slot].opcode = what;
        entries_[slot].fd = file;
        entries_[slot].addr = reinterpret_cast<unsigned long>(bytes);
        entries_[slot].len = length;
        entries_[slot].off = static_cast<unsigned long>(offset);
        reinterpret_cast<unsigned*>(ring_ + params_.sq_off.array)[slot] = slot;
        __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
        must(static_cast<int>(syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0)));
        const auto* done = reinterpret_cast<io_uring_cqe*>(ring_ + params_.cq_off.cqes) +
                           (*head & *reinterpret_cast<unsigned*>(ring_ + params_.cq_off.ring_mask));
        const long result = done->res;
        __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
        return result;
    }

  private:
    int fd_ = -1;
    char* ring_ = nullptr;
    io_uring_sqe* entries_ = nullptr;
    io_uring_params params_ = {};
};

}  // namespace

CASE("surface", "io_uring reads and writes: in place, growing, over holes")
{
    Ring ring;
    if (!ring.is_there())
        return;
    File file("f");
    std::string text = pattern(200000, 3), back(200000, '?');
    for (int pass = 0; pass < 2; pass++) {  // the first has to wait for space, the second does not
        expect(ring.run(IORING_OP_WRITE, file.fd, text.data(), 200000, 5000) == 200000);
        expect(ring.run(IORING_OP_READ, file.fd, back.data(), 200000, 5000) == 200000);
        expect(back == text);
        text[7]++;
    }
    expect(ring.run(IORING_OP_FSYNC, file.fd, nullptr, 0, 0) == 0);
    expect(ring.run(IORING_OP_READ, file.fd, back.data(), 100, 205000) == 0);
}

CASE("surface", "sizes: the largest file, and the limit of the process with its signal")
{
    File file("f");
    expect_errno(ftruncate(file.fd, kMostBytes + 1), EFBIG);
    expect_errno(ftruncate(file.fd, -1), EINVAL);
    must(ftruncate(file.fd, kMostBytes));
    expect(file.status().st_size == kMostBytes && file.status().st_blocks == 0);
    expect_errno(pwrite(file.fd, "x", 1, kMostBytes), EFBIG);
    expect(must(pwrite(file.fd, "xyz", 3, kMostBytes - 2)) == 2);  // what fits
    expect(file.read(kMostBytes - 2, 9) == "xy");
    expect_errno(pwrite(file.fd, "x", 1, -1), EINVAL);
    file.size(0);
    Child limited([&] {
        const rlimit limit{2 * kPage, 2 * kPage};
        must(setrlimit(RLIMIT_FSIZE, &limit));
        expect(gets_signal(SIGXFSZ, [&] { (void)!pwrite(file.fd, "x", 1, 2 * kPage); }));
        expect(gets_signal(SIGXFSZ, [&] { (void)!ftruncate(file.fd, 2 * kPage + 1); }));
        signal(SIGXFSZ, SIG_IGN);
        expect_errno(pwrite(file.fd, "x", 1, 2 * kPage), EFBIG);
        expect(must(pwrite(file.fd, "xyz", 3, 2 * kPage - 1)) == 1);
    });
    limited.wait();
    expect(file.status().st_size == 2 * kPage);
}
