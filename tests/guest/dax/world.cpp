// SPDX-License-Identifier: GPL-2.0
// The rest of the kernel against mappings: debuggers, core dumps, userfaultfd, long-term pins, the page
// cache, the largest offsets, a remount to read-only.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <algorithm>
#include <csignal>

#include "harness.hpp"

namespace {

constexpr long kHuge = 512 * kPage;
constexpr long kLast = 0x7ffffffffffff000;  // the end of the largest file

// A child that runs `what` under ptrace, stopped behind it.
struct Traced {
    explicit Traced(const std::function<void()>& what)
    {
        pid = must(fork());
        if (pid == 0) {
            ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            what();
            raise(SIGSTOP);
            pause();
        }
        int status = 0;
        must(waitpid(pid, &status, 0));
        expect(WIFSTOPPED(status));
    }
    ~Traced()
    {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
    long peek(void* at) { return must(ptrace(PTRACE_PEEKDATA, pid, at, nullptr)); }
    long poke(void* at, long word) { return ptrace(PTRACE_POKEDATA, pid, at, word); }
    pid_t pid;
};

long word_of(const std::string& bytes)
{
    long word = 0;
    memcpy(&word, bytes.data(), sizeof word);
    return word;
}

bool store_faults(Mapping& mapping, long at)
{
    const long before = faults();
    mapping.v(at) = 's';
    return faults() > before;
}

}  // namespace

CASE("world", "a debugger's store reaches the file through a shared mapping, and is tracked as dirty")
{
    for (const long size : {kPage, kHuge}) {
        File file("f");
        file.size(2 * size);
        Mapping mapping(file.fd, 2 * size);
        file.write(0, "original");
        Traced child([&] { mapping.load(0); });
        expect(child.peek(mapping.data) == word_of("original"));
        expect(child.poke(mapping.data, word_of("poked at")) == 0);
        expect(child.poke(mapping.data + size, word_of("a hole's")) == 0);
        expect(file.read(0, 8) == "poked at" && file.read(size, 8) == "a hole's");
        must(fsync(file.fd));
        expect(child.poke(mapping.data, word_of("once more")) == 0);
        expect(!memcmp(mapping.data, "once mor", 8));
        must(fsync(file.fd));
        expect(store_faults(mapping, 0));
    }
}

CASE("world", "a debugger's store stays in a private mapping, and does not get through a read-only one")
{
    File file("f");
    file.write(0, "original");
    Mapping own(file.fd, kPage, PROT_READ, MAP_PRIVATE), shared(file.fd, kPage, PROT_READ, MAP_SHARED);
    Traced child([&] { shared.load(0); });  // not of its own: see the README's limits
    expect(child.poke(own.data, word_of("poked at")) == 0);
    expect(child.peek(own.data) == word_of("poked at"));
    expect(own.v(0) == 'o');
    expect_errno(child.poke(shared.data, word_of("poked at")), EIO);
    expect(file.read(0, 8) == "original");
}

CASE("world", "a core dump holds what is mapped, when it is asked to")
{
    File file("f");
    const std::string text = "in the core";
    file.size(2 * kHuge);
    shell("cat /proc/sys/kernel/core_pattern >pattern; echo $PWD/core >/proc/sys/kernel/core_pattern");
    for (const bool wanted : {true, false}) {
        const pid_t child = must(fork());
        if (child == 0) {
            const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
            setrlimit(RLIMIT_CORE, &all);
            // Shared DAX mappings and nothing else, or private ones.
            shell(std::string("echo ") + (wanted ? "0x100" : "0x80") + " >/proc/" + std::to_string(getpid()) +
                  "/coredump_filter");
            Mapping mapping(file.fd, 2 * kHuge);
            memcpy(mapping.data, text.data(), text.size());
            signal(SIGABRT, SIG_DFL);
            abort();
        }
        int status = 0;
        must(waitpid(child, &status, 0));
        expect(WIFSIGNALED(status) && WCOREDUMP(status));
        const std::string found = "grep -qa 'in the core' core*";
        shell(wanted ? found : "! " + found);
        shell("rm -f core*");
    }
    shell("cat pattern >/proc/sys/kernel/core_pattern");
}

CASE("world", "userfaultfd is refused, for missing pages and for write protection")
{
    File file("f");
    file.size(4 * kPage);
    Mapping mapping(file.fd, 4 * kPage);
    const int fd = static_cast<int>(must(syscall(SYS_userfaultfd, O_CLOEXEC)));
    uffdio_api api = {};
    api.api = UFFD_API;
    must(ioctl(fd, UFFDIO_API, &api));
    for (const auto mode :
         {UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MINOR}) {
        uffdio_register wanted = {};
        wanted.range = {reinterpret_cast<unsigned long>(mapping.data), mapping.length};
        wanted.mode = mode;
        expect_errno(ioctl(fd, UFFDIO_REGISTER, &wanted), EINVAL);
    }
    close(fd);
    mapping.v(0) = 'x';
}

CASE("world", "long-term pins are refused: buffers registered with io_uring")
{
    FILE* disabled = fopen("/proc/sys/kernel/io_uring_disabled", "w");
    if (disabled) {
        fputs("0", disabled);
        fclose(disabled);
    }
    io_uring_params parameters = {};
    const int ring = static_cast<int>(must(syscall(SYS_io_uring_setup, 4, &parameters)));
    for (const bool is_hole : {true, false}) {
        File file("f");
        file.size(2 * kHuge);
        if (!is_hole)
            file.write(0, repeated(2 * kHuge, 'w'));
        Mapping mapping(file.fd, 2 * kHuge);
        const iovec buffer{mapping.data, 4 * kPage};
        errno = 0;
        expect(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1) == -1);
        expect(errno == EOPNOTSUPP || errno == EFAULT);
        // Nothing is left pinned by it.
        alarm(20);
        file.size(0);
        alarm(0);
        // Other memory is taken.
        Mapping other(-1, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        const iovec good{other.data, 4 * kPage};
        must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &good, 1));
        must(syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, nullptr, 0));
    }
    close(ring);
}

CASE("world", "nothing of a file is in the page cache, whatever read and wrote it")
{
    constexpr long kPages = 600;
    File file("f"), copy("g");
    file.write(0, pattern(kPages * kPage, 8));
    {
        Mapping mapping(file.fd, kPages * kPage);
        for (long page = 0; page < kPages; page++)
            mapping.v(page * kPage) = 'x';
        expect(file.read(0, kPages * kPage).size() == kPages * kPage);
        loff_t in = 0, out = 0;
        must(copy_file_range(file.fd, &in, copy.fd, &out, kPages * kPage, 0));
        must(readahead(file.fd, 0, kPages * kPage));
        posix_fadvise(file.fd, 0, kPages * kPage, POSIX_FADV_WILLNEED);
        must(madvise(mapping.data, mapping.length, MADV_WILLNEED));
    }
    for (File* one : {&file, &copy}) {
        // No page table yet, so what is said to be in memory would be in the cache.
        Mapping mapping(one->fd, kPages * kPage);
        std::vector<unsigned char> present(kPages);
        must(mincore(mapping.data, mapping.length, present.data()));
        expect(std::count_if(present.begin(), present.end(), [](unsigned char byte) { return byte & 1; }) ==
               0);
    }
}

CASE("world", "the last page of the largest file: loads, stores and fsync; no mapping reaches behind it")
{
    File file("f");
    expect_errno(mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, file.fd, kLast - kPage), EOVERFLOW);
    file.size(kLast - kPage);
    {
        Mapping mapping(file.fd, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, kLast - 4 * kPage);
        expect(gets_signal(SIGBUS, [&] { mapping.load(3 * kPage); }));
        expect(gets_signal(SIGBUS, [&] { mapping.v(3 * kPage) = 'x'; }));
        file.size(kLast);
        expect(mapping.v(3 * kPage) == 0);
        mapping.v(4 * kPage - 1) = 'l';
        must(msync(mapping.data, mapping.length, MS_SYNC));
        expect(store_faults(mapping, 3 * kPage));
        expect(must(pwrite(file.fd, &mapping[3 * kPage], kPage, kLast - kPage)) == kPage);  // onto itself
        expect(must(pwrite(file.fd, &mapping[3 * kPage], kPage, kLast - 2 * kPage)) == kPage);
        expect(mapping.v(3 * kPage - 1) == 'l');
    }
    must(fsync(file.fd));
    file.shut();
    remount();
    file.reopen();
    expect(file.read(kLast - 1, 2) == "l" && file.read(kLast - kPage - 1, 1) == "l");
    must(fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kLast - kPage, kPage));
    expect(file.read(kLast - 1, 2) == std::string(1, '\0'));
    file.size(0);
}

CASE("world", "a 2 MiB that the largest offset cuts through is mapped by 4 KiB")
{
    File file("f");
    file.size(kLast);
    const long from = kLast / kHuge * kHuge;
    Mapping mapping(file.fd, kLast - from, PROT_READ | PROT_WRITE, MAP_SHARED, from);
    expect(mapping.v(0) == 0);
    mapping.v(kPage) = 'x';
    mapping.v(kLast - from - 1) = 'y';
    must(fsync(file.fd));
    expect(file.status().st_blocks <= 16 * 8);
    expect(file.read(from + kPage, 1) == "x" && file.read(kLast - 1, 1) == "y");
    file.size(0);
}

CASE("world", "dirty pages that MADV_DONTNEED has un-mapped are synced all the same, small and large")
{
    File file("f");
    file.size(2 * kHuge);
    {
        Mapping mapping(file.fd, 2 * kHuge);
        mapping.v(kPage) = 'l';
        Mapping small(file.fd, 2 * kHuge);
        must(madvise(small.data, small.length, MADV_NOHUGEPAGE));
        small.v(kHuge + 5 * kPage) = 's';
        must(madvise(mapping.data, mapping.length, MADV_DONTNEED));
        must(madvise(small.data, small.length, MADV_DONTNEED));
        expect(mapping.v(kPage) == 'l' && mapping.v(kHuge + 5 * kPage) == 's');
        must(fsync(file.fd));
        expect(store_faults(mapping, kPage) && store_faults(mapping, kHuge + 5 * kPage));
    }
    file.shut();
    remount();
    file.reopen();
    expect(file.read(kPage, 1) == "s" && file.read(kHuge + 5 * kPage, 1) == "s");
}

CASE("world",
     "a write whose source, a mapping of the same file, ends: short, and the rest of the hole shows zeroes")
{
    File file("f");
    file.write(7 * kPage, repeated(kPage, 'o'));
    Mapping mapping(file.fd, 12 * kPage);
    expect(must(pwrite(file.fd, &mapping[8 * kPage - 100], 2 * kPage, 0)) ==
           100);  // then comes the end of the file
    expect(file.read(0, 2 * kPage) == repeated(100, 'o') + repeated(2 * kPage - 100, '\0'));
    expect_errno(pwrite(file.fd, &mapping[8 * kPage], kPage, 2 * kPage), EFAULT);
    must(munmap(&mapping[kPage], kPage));
    expect(must(pwrite(file.fd, &mapping[kPage - 10], 2 * kPage, 4 * kPage)) == 10);  // then comes nothing
    expect(file.read(4 * kPage, kPage) == repeated(kPage, '\0'));
    expect_errno(pwrite(file.fd, &mapping[kPage], kPage, 4 * kPage), EFAULT);
    expect(file.status().st_size == 8 * kPage);
}

CASE("world", "a write takes the source to its last byte, wherever that lies in a line, and wherever it goes")
{
    File source("f"), file("g");
    const std::string text = pattern(kPage, 7);
    source.write(0, text);
    Mapping mapping(source.fd, 2 * kPage);
    for (long tail = 1; tail <= 200; tail += tail < 80 ? 1 : 7)
        for (const long at : {0L, 1L, 4L, 60L, kPage - 3}) {
            expect(must(pwrite(file.fd, &mapping[kPage - tail], kPage, at)) == tail);
            expect(file.read(at, kPage) == text.substr(static_cast<size_t>(kPage - tail)));
            file.size(0);
        }
}

CASE("world",
     "a remount to read-only is refused while a file is mapped for stores; afterwards all of them are kept")
{
    File file("f");
    file.write(0, repeated(2 * kPage, 'a'));
    const std::string mount = "mount -o remount,";
    {
        Mapping mapping(file.fd, 2 * kPage);
        mapping.v(0) = 'd';
        file.shut();
        shell("! " + mount + "ro " + dir() + " 2>/dev/null");
        mapping.v(kPage) = 'e';
    }
    shell(mount + "ro " + dir());
    {
        const int fd = must(open(file.path.c_str(), O_RDONLY));
        Mapping mapping(fd, 2 * kPage, PROT_READ);
        close(fd);
        expect(mapping.v(0) == 'd' && mapping.v(kPage) == 'e');
        expect_errno(open(file.path.c_str(), O_RDWR), EROFS);
        shell(mount + "rw " + dir());
        expect(mapping.v(0) == 'd');
    }
    file.reopen();
    file.shut();
    remount();
    file.reopen();
    expect(file.read(0, 1) == "d" && file.read(kPage, 1) == "e");
}
