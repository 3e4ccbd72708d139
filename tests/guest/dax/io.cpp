// SPDX-License-Identifier: GPL-2.0
// read, write and their relatives.
#include <csignal>
#include <cstdlib>
#include <memory>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "harness.hpp"

CASE("io", "pread and pwrite at every alignment")
{
    File file("f");
    std::string model;
    for (long offset : {0L, 1L, 511L, 4095L, 4096L, 4097L, 70000L, 262143L})
        for (long length : {1L, 7L, 64L, 4096L, 5000L, 270000L}) {
            std::string text = pattern(length, static_cast<unsigned>(offset + length));
            file.write(offset, text);
            if (model.size() < static_cast<size_t>(offset + length))
                model.resize(static_cast<size_t>(offset + length));
            model.replace(static_cast<size_t>(offset), text.size(), text);
        }
    expect(file.read(0, 1 << 20) == model);
    file.shut();
    remount();
    file.reopen();
    expect(file.read(0, 1 << 20) == model);
}

CASE("io", "O_APPEND by several processes: every record whole")
{
    File file("f");
    constexpr int kWriters = 3, kRecords = 200;
    {
        std::vector<std::unique_ptr<Child>> writers;
        for (int w = 0; w < kWriters; w++)
            writers.push_back(std::make_unique<Child>([&, w] {
                int fd = must(open(file.path.c_str(), O_WRONLY | O_APPEND));
                for (int i = 0; i < kRecords; i++) {
                    std::string record(static_cast<size_t>(100 + w * 37), static_cast<char>('a' + w));
                    record.back() = '\n';
                    expect(must(write(fd, record.data(), record.size())) == long(record.size()));
                }
            }));
        for (auto& writer : writers)
            writer->wait();
    }
    std::string all = file.read(0, 1 << 20);
    int counts[kWriters] = {};
    for (size_t at = 0; at < all.size();) {
        int w = all[at] - 'a';
        expect(w >= 0 && w < kWriters);
        size_t length = static_cast<size_t>(100 + w * 37);
        expect(all.substr(at, length) == std::string(length - 1, all[at]) + "\n");
        counts[w]++;
        at += length;
    }
    for (int count : counts)
        expect(count == kRecords);
}

CASE("io", "O_TRUNC, and growing by truncate and by a write far behind the end")
{
    File file("f");
    file.write(0, pattern(10000, 1));
    close(must(open(file.path.c_str(), O_WRONLY | O_TRUNC)));
    expect(file.status().st_size == 0 && file.status().st_blocks == 0);
    file.write(100, "x");
    file.size(20000);
    file.write(1 << 30, "end");
    expect(file.read(0, 20000) == repeated(100, '\0') + "x" + repeated(19899, '\0'));
    expect(file.status().st_size == (1 << 30) + 3);
    expect(file.status().st_blocks <= 3 * 8);
    expect_errno(ftruncate(file.fd, -1), EINVAL);
}

CASE("io", "up to the largest offset, and not further")
{
    File file("f");
    const long last = 0x7ffffffffffff000;
    expect(must(pwrite(file.fd, "x", 1, last - 1)) == 1);
    expect(file.status().st_size == last);
    expect_errno(pwrite(file.fd, "x", 1, last), EFBIG);
    expect(must(pwrite(file.fd, "xy", 2, last - 1)) == 1);
    expect_errno(ftruncate(file.fd, 0x7fffffffffffffff), EFBIG);
    expect(file.read(last - 2, 10) == std::string("\0x", 2));
    expect(must(lseek(file.fd, 0, SEEK_DATA)) == last - kPage);
    file.size(0);
}

CASE("io", "RLIMIT_FSIZE")
{
    File file("f");
    signal(SIGXFSZ, SIG_IGN);
    rlimit old, low{10000, RLIM_INFINITY};
    must(getrlimit(RLIMIT_FSIZE, &old));
    must(setrlimit(RLIMIT_FSIZE, &low));
    std::string text = pattern(20000, 2);
    long wrote = pwrite(file.fd, text.data(), text.size(), 0);
    long again = pwrite(file.fd, "x", 1, 10000);
    int error = errno;
    must(setrlimit(RLIMIT_FSIZE, &old));
    expect(wrote == 10000 && again == -1 && error == EFBIG);
}

CASE("io", "SEEK_DATA and SEEK_HOLE")
{
    File file("f");
    expect_errno(lseek(file.fd, 0, SEEK_DATA), ENXIO);
    file.write(5 * kPage, repeated(2 * kPage, 'x'));
    file.size(20 * kPage);
    expect(must(lseek(file.fd, 0, SEEK_DATA)) == 5 * kPage);
    expect(must(lseek(file.fd, 0, SEEK_HOLE)) == 0);
    expect(must(lseek(file.fd, 5 * kPage + 1, SEEK_DATA)) == 5 * kPage + 1);
    expect(must(lseek(file.fd, 5 * kPage, SEEK_HOLE)) == 7 * kPage);
    expect_errno(lseek(file.fd, 7 * kPage, SEEK_DATA), ENXIO);
    expect_errno(lseek(file.fd, 20 * kPage, SEEK_HOLE), ENXIO);
    expect_errno(lseek(file.fd, -1, SEEK_HOLE), ENXIO);
    expect(must(lseek(file.fd, -1, SEEK_END)) == 20 * kPage - 1);
}

CASE("io", "vectors, also with a piece that cannot be read")
{
    File file("f");
    std::string a = pattern(5000, 1), b = pattern(3000, 2);
    iovec pieces[] = {{a.data(), a.size()}, {nullptr, 0}, {b.data(), b.size()}};
    expect(must(pwritev(file.fd, pieces, 3, 100)) == 8000);
    std::string x(4000, ' '), y(4000, ' ');
    iovec into[] = {{x.data(), x.size()}, {y.data(), y.size()}};
    expect(must(preadv(file.fd, into, 2, 100)) == 8000);
    expect(x + y == a + b);
    // 2000 readable bytes at the end of a page, then nothing.
    auto* area = static_cast<char*>(must(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    must(mprotect(area + kPage, kPage, PROT_NONE));
    memset(area, 'z', kPage);
    expect(pwrite(file.fd, area + kPage - 2000, 5000, 20000) == 2000);
    expect(file.status().st_size == 22000);
    expect_errno(pwrite(file.fd, area + kPage, 100, 50000), EFAULT);
    expect_errno(pwrite(file.fd, area + kPage, 100, 0), EFAULT);
    expect(file.status().st_size == 22000);
    expect(file.read(20000, 3000) == repeated(2000, 'z'));
    expect(pread(file.fd, area + kPage - 500, 1000, 100) == 500);
    expect_errno(pread(file.fd, area + kPage, 100, 100), EFAULT);
    must(munmap(area, 2 * kPage));
}

CASE("io", "O_DIRECT is accepted, with any alignment")
{
    File file("f", O_DIRECT);
    std::string text = pattern(9999, 3);
    file.write(333, text);
    expect(file.read(333, 9999) == text);
    alignas(4096) static char block[kPage];
    memset(block, 'd', kPage);
    expect(must(pwrite(file.fd, block, kPage, kPage)) == kPage);
    expect(file.read(kPage, kPage) == repeated(kPage, 'd'));
}

CASE("io", "O_SYNC and O_DSYNC")
{
    for (int flag : {O_SYNC, O_DSYNC}) {
        File file("f", flag);
        std::string text = pattern(30000, 4);
        file.write(0, text);
        file.write(10000, "in place");
        text.replace(10000, 8, "in place");
        file.shut();
        remount();
        file.reopen();
        expect(file.read(0, 40000) == text);
    }
}

CASE("io", "splice, sendfile, copy_file_range")
{
    File from("f"), to("g");
    std::string text = pattern(300000, 5);
    from.write(0, text);
    from.size(350000);
    text.resize(350000);
    loff_t in = 0, out = 0;
    while (in < 350000)
        expect(must(copy_file_range(from.fd, &in, to.fd, &out, 350000 - static_cast<size_t>(in), 0)) > 0);
    expect(to.read(0, 400000) == text);
    to.size(0);
    off_t at = 0;
    must(lseek(to.fd, 0, SEEK_SET));
    while (at < 350000)
        expect(must(sendfile(to.fd, from.fd, &at, 350000 - static_cast<size_t>(at))) > 0);
    expect(to.read(0, 400000) == text);
    to.size(0);
    int ends[2];
    must(pipe(ends));
    for (in = out = 0; in < 350000;) {
        long moved = must(splice(from.fd, &in, ends[1], nullptr, 65536, 0));
        expect(moved > 0);
        while (moved > 0)
            moved -= must(splice(ends[0], nullptr, to.fd, &out, static_cast<size_t>(moved), 0));
    }
    close(ends[0]);
    close(ends[1]);
    expect(to.read(0, 400000) == text);
}

CASE("io", "write from a mapping of the same file: into holes, in place, overlapping")
{
    File file("f");
    constexpr long kSize = 3 << 20;
    file.size(kSize);
    Mapping mapping(file.fd, kSize);
    std::string text = pattern(1 << 20, 6);
    file.write(0, text);
    volatile bool stop = false;
    std::thread syncer([&] {  // keeps un-mapping the source
        while (!stop)
            fsync(file.fd);
    });
    alarm(100);
    for (long from : {0L, 5L, 4096L, 100000L})
        for (long to : {1L << 20, (1L << 20) + 777, 1500000L}) {
            expect(must(pwrite(file.fd, &mapping[from], 500000, to)) == 500000);
            expect(file.read(to, 500000) == text.substr(static_cast<size_t>(from), 500000));
        }
    expect(must(pwrite(file.fd, &mapping[2800000], 100000, 2900000)) == 100000);  // hole to hole
    expect(file.read(2900000, 100000) == repeated(100000, '\0'));
    expect(must(pwrite(file.fd, &mapping[100], 400000, 100)) == 400000);  // onto itself
    expect(file.read(0, 500000) == text.substr(0, 500000));
    expect(must(pwrite(file.fd, &mapping[1000], 400000, 0)) == 400000);   // overlapping: only that it ends
    expect(must(pread(file.fd, &mapping[2000000], 500000, 1 << 20)) == 500000);  // and read into one
    expect(must(pread(file.fd, &mapping[10], 500000, 0)) == 500000);
    alarm(0);
    stop = true;
    syncer.join();
}

CASE("io", "set-id bits go with a write by somebody else")
{
    File file("f");
    file.write(0, "x");
    must(fchmod(file.fd, 06777));
    Child child([&] {
        must(setgid(1000));
        must(setuid(1000));
        int fd = must(open(file.path.c_str(), O_WRONLY));
        expect(must(write(fd, "y", 1)) == 1);
    });
    must(chmod(dir().c_str(), 0755));
    child.wait();
    expect((file.status().st_mode & 07777) == 0777);
}

// Needs another file system at $OTHER, not DAX, on a block device.
CASE("direct", "O_DIRECT of another file system from and to a mapping here")
{
    const char* other = getenv("OTHER");
    expect(other != nullptr);
    const std::string path = std::string(other) + "/file";
    int fd = must(open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0644));
    File file("f");
    constexpr long kSize = 1 << 20;
    file.size(kSize);
    std::string text = pattern(kSize, 7);
    {
        Mapping mapping(file.fd, kSize);
        memcpy(mapping.data, text.data(), kSize);
        expect(must(pwrite(fd, mapping.data, kSize, 0)) == kSize);
        memset(mapping.data, 0, kSize);
        must(fsync(file.fd));
        expect(must(pread(fd, mapping.data, kSize, 0)) == kSize);
        expect(memcmp(mapping.data, text.data(), kSize) == 0);
        // Into a hole, and from one.
        file.size(0);
        file.size(kSize);
        expect(must(pread(fd, &mapping[kPage], kSize / 2, 0)) == kSize / 2);
        expect(memcmp(&mapping[kPage], text.data(), kSize / 2) == 0);
        expect(must(pwrite(fd, &mapping[kSize / 2 + kPage], kPage, 0)) == kPage);
    }
    must(fsync(file.fd));
    file.shut();
    remount();
    file.reopen();
    expect(file.read(kPage, kSize / 2) == text.substr(0, kSize / 2));
    expect(must(lseek(fd, 0, SEEK_SET)) == 0);
    alignas(4096) static char page[kPage];
    expect(must(read(fd, page, kPage)) == kPage);
    expect(std::string(page, kPage) == repeated(kPage, '\0'));
    close(fd);
}

CASE("direct", "syncs while O_DIRECT reads into the mapping: nothing is lost")
{
    const char* other = getenv("OTHER");
    expect(other != nullptr);
    const std::string path = std::string(other) + "/file2";
    int fd = must(open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0644));
    constexpr long kSize = 256 * 1024;
    alignas(4096) static char block[kSize];
    File file("f");
    file.size(kSize);
    Mapping mapping(file.fd, kSize);
    volatile bool stop = false;
    std::thread syncer([&] {
        while (!stop)
            fsync(file.fd);
    });
    for (int round = 0; round < 60; round++) {
        memset(block, 'a' + round % 26, kSize);
        expect(must(pwrite(fd, block, kSize, 0)) == kSize);
        expect(must(pread(fd, mapping.data, kSize, 0)) == kSize);
        expect(file.read(0, kSize) == repeated(kSize, static_cast<char>('a' + round % 26)));
    }
    stop = true;
    syncer.join();
    close(fd);
}
