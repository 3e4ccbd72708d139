// SPDX-License-Identifier: GPL-2.0
// A small harness for programs that run in the guest: cases register themselves in a group, `dax GROUP` runs the group's
// and prints one TAP line for each. What a case wants goes through expect(); a system call that must work through must().
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

constexpr long kPage = 4096;

// How many times longer than usual what is random goes on: `make soak`.
inline long soak()
{
    const char* times = getenv("TARN_SOAK");
    return times ? atol(times) : 1;
}

struct Case {
    const char* group;
    const char* name;
    void (*run)();
};
std::vector<Case>& cases();
struct Register {
    Register(const char* group, const char* name, void (*run)()) { cases().push_back({group, name, run}); }
};
#define CASE_JOIN(a, b) a##b
#define CASE_NAME(a, b) CASE_JOIN(a, b)
#define CASE(group, name)                                                                        \
    static void CASE_NAME(case_, __LINE__)();                                                    \
    static Register CASE_NAME(register_, __LINE__)(group, name, CASE_NAME(case_, __LINE__));     \
    static void CASE_NAME(case_, __LINE__)()

[[noreturn]] void fail(const char* file, int line, const std::string& what);
#define expect(condition)                                \
    do {                                                 \
        if (!(condition))                                \
            fail(__FILE__, __LINE__, #condition);        \
    } while (0)
#define expect_errno(call, wanted)                                                                                \
    do {                                                                                                          \
        errno = 0;                                                                                                \
        auto result_ = (call);                                                                                    \
        if ((long)(result_) != -1 || errno != (wanted))                                                \
            fail(__FILE__, __LINE__,                                                                              \
                 std::string(#call " should fail with " #wanted ", but: ") +                                      \
                     ((long)(result_) == -1 ? strerror(errno) : "it worked"));                         \
    } while (0)
// The result of a system call that must work.
#define must(call)                                                                        \
    ({                                                                                    \
        auto result_ = (call);                                                            \
        if ((long)(result_) == -1)                                             \
            fail(__FILE__, __LINE__, std::string(#call ": ") + strerror(errno));          \
        result_;                                                                          \
    })

// Where the cases work: a mounted, empty tarnfs at $DIR (/mnt), on $DEVICE (/dev/pmem0).
const std::string& dir();
void remount();
void shell(const std::string& command);
// What the mount has counted by that name.
long count(const std::string& name);

// A file of the test, open for reading and writing, removed at the end.
class File {
  public:
    explicit File(const std::string& name, int flags = 0) : path(dir() + "/" + name)
    {
        fd = must(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | flags, 0644));
    }
    ~File()
    {
        if (fd >= 0)
            close(fd);
        unlink(path.c_str());
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    void write(long offset, const std::string& bytes) { expect(must(pwrite(fd, bytes.data(), bytes.size(), offset)) == long(bytes.size())); }
    std::string read(long offset, long length)
    {
        std::string bytes(static_cast<size_t>(length), '?');
        long got = must(pread(fd, bytes.data(), bytes.size(), offset));
        bytes.resize(static_cast<size_t>(got));
        return bytes;
    }
    void size(long bytes) { must(ftruncate(fd, bytes)); }
    struct stat status()
    {
        struct stat status;
        must(fstat(fd, &status));
        return status;
    }
    void reopen()
    {
        fd = must(open(path.c_str(), O_RDWR));
    }
    void shut()
    {
        must(close(fd));
        fd = -1;
    }

    const std::string path;
    int fd = -1;
};

class Mapping {
  public:
    Mapping(int fd, long bytes, int protection = PROT_READ | PROT_WRITE, int flags = MAP_SHARED, long offset = 0)
        : length(static_cast<size_t>(bytes))
    {
        data = static_cast<char*>(must(mmap(nullptr, length, protection, flags, fd, offset)));
    }
    ~Mapping() { munmap(data, length); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    char& operator[](long at) { return data[at]; }
    volatile char& v(long at) { return data[at]; }  // each access is one load or store
    char load(long at) { return v(at); }

    char* data;
    size_t length;
};

// Puts a page of a mapping into a pipe: the kernel keeps a reference to the page itself.
struct PinnedByPipe {
    PinnedByPipe(char* at, size_t length)
    {
        must(pipe(ends));
        iovec piece{at, length};
        expect(must(vmsplice(ends[1], &piece, 1, 0)) == static_cast<long>(length));
    }
    ~PinnedByPipe()
    {
        close(ends[0]);
        close(ends[1]);
    }
    int ends[2];
};

// Runs `what`; true if it got that signal (SIGBUS, SIGSEGV) instead of getting to its end. One thread at a time.
bool gets_signal(int signal, const std::function<void()>& what);
// Faults that this thread has had so far: shows whether a store found its PTE writable.
long faults();
// How many faults of 2 MiB have been served as such.
long huge_faults();
// Runs `what` in a child process; fails here if it failed there.
class Child {
  public:
    explicit Child(const std::function<void()>& what);
    ~Child();
    void wait();
    pid_t pid;
};

double seconds();
inline std::string repeated(long count, char value) { return std::string(static_cast<size_t>(count), value); }
std::string pattern(long count, unsigned seed);
