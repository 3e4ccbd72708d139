// SPDX-License-Identifier: GPL-2.0
// Mappings: what loads and stores see, in one process and in several.
#include <atomic>
#include <csignal>
#include <pthread.h>
#include <sys/uio.h>

#include "harness.hpp"

CASE("mapping", "a store is seen by read, by another mapping, and after a remount")
{
    File file("f");
    file.size(3 * kPage);
    {
        Mapping one(file.fd, 3 * kPage), two(file.fd, 3 * kPage);
        memcpy(&one[kPage - 3], "across", 6);
        expect(file.read(kPage - 3, 6) == "across");
        expect(memcmp(&two[kPage - 3], "across", 6) == 0);
        file.write(2 * kPage, "written");
        expect(memcmp(&one[2 * kPage], "written", 7) == 0);
    }
    file.shut();
    remount();
    file.reopen();
    expect(file.read(kPage - 3, 6) == "across");
    expect(file.read(2 * kPage, 7) == "written");
}

CASE("mapping", "a hole: loads see zeroes and allocate nothing; the first store un-maps the zero page everywhere")
{
    File file("f");
    file.size(64 * kPage);
    Mapping one(file.fd, 64 * kPage), two(file.fd, 64 * kPage);
    for (long page = 0; page < 64; page++)
        expect(one.v(page * kPage) == 0 && two.v(page * kPage + 5) == 0);
    expect(file.status().st_blocks == 0);
    for (long page = 0; page < 64; page += 2) {
        one.v(page * kPage + 5) = 'x';
        expect(two.v(page * kPage + 5) == 'x');
        expect(two.v(page * kPage + 6) == 0);
    }
    expect(file.status().st_blocks >= 32 * 8 && file.status().st_blocks <= 34 * 8);  // and the tree's nodes
    file.write(kPage, "write fills a hole too");
    expect(one.v(kPage) == 'w' && two.v(kPage) == 'w');
}

CASE("mapping", "the zero page of another process goes too")
{
    File file("f");
    file.size(kPage);
    Mapping mine(file.fd, kPage), flag(-1, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    Child child([&] {
        expect(mine.v(0) == 0);
        flag.v(0) = 1;
        while (mine.v(0) == 0)
            usleep(1000);
        expect(mine.v(0) == 'p');
    });
    while (flag.v(0) == 0)
        usleep(1000);
    mine.v(0) = 'p';
    child.wait();
}

CASE("mapping", "first stores by several threads to one page: all are kept, one block is allocated")
{
    constexpr long kPages = 200, kThreads = 4;
    File file("f");
    file.size(kPages * kPage);
    Mapping mapping(file.fd, kPages * kPage);
    std::atomic<long> at[kPages] = {};
    std::vector<std::thread> threads;
    for (long t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            for (long page = 0; page < kPages; page++) {
                at[page]++;
                for (int spin = 0; at[page] < kThreads && spin < 2000; spin++)
                    sched_yield();
                mapping.v(page * kPage + t * 64) = static_cast<char>('a' + t);
            }
        });
    for (auto& thread : threads)
        thread.join();
    for (long page = 0; page < kPages; page++)
        for (long t = 0; t < kThreads; t++)
            expect(mapping[page * kPage + t * 64] == static_cast<char>('a' + t));
    expect(file.status().st_blocks == kPages * 8);
}

CASE("mapping", "a private mapping keeps its stores to itself")
{
    File file("f");
    file.write(0, pattern(2 * kPage, 1));
    file.size(4 * kPage);
    Mapping own(file.fd, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    own.v(0) = 'P';                                  // store first
    expect(own.v(kPage) == pattern(2 * kPage, 1)[kPage]);  // load, then store
    own.v(kPage) = 'P';
    own.v(2 * kPage) = 'P';                          // a hole
    expect(own.v(3 * kPage) == 0);
    own.v(3 * kPage) = 'P';                          // the zero page
    expect(own.v(1) == pattern(2, 1)[1] && own.v(2 * kPage + 1) == 0);
    expect(file.read(0, 4 * kPage) == pattern(2 * kPage, 1) + repeated(2 * kPage, '\0'));
    expect(file.status().st_blocks == 2 * 8);
    file.write(10, "seen");
    expect(own.v(0) == 'P');
    expect(own.v(kPage + 1) == pattern(2 * kPage, 1)[kPage + 1]);
}

CASE("mapping", "a private mapping sees what is stored later, where it has no copy")
{
    File file("f");
    file.size(2 * kPage);
    Mapping own(file.fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE), shared(file.fd, 2 * kPage);
    expect(own.v(0) == 0);
    shared.v(0) = 'x';
    expect(own.v(0) == 'x');
    own.v(kPage) = 'P';
    shared.v(kPage) = 'y';
    expect(own.v(kPage) == 'P');
    must(fsync(file.fd));
    expect(own.v(kPage) == 'P' && own.v(0) == 'x');
}

CASE("mapping", "a read-only mapping of a file open for reading")
{
    File file("f");
    file.write(0, "text");
    int fd = must(open(file.path.c_str(), O_RDONLY));
    {
        Mapping mapping(fd, kPage, PROT_READ);
        expect(mapping.v(0) == 't');
        expect_errno(mprotect(mapping.data, kPage, PROT_READ | PROT_WRITE), EACCES);
        expect(gets_signal(SIGSEGV, [&] { mapping.v(0) = 'x'; }));
        file.write(0, "next");
        expect(mapping.v(0) == 'n');
    }
    expect_errno(mmap(nullptr, kPage, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    close(fd);
}

CASE("mapping", "behind the end of the file: SIGBUS; the rest of the last page reads as zeroes")
{
    File file("f");
    file.write(0, pattern(kPage + 100, 2));
    Mapping mapping(file.fd, 4 * kPage);
    expect(mapping.v(kPage + 100) == 0 && mapping.v(2 * kPage - 1) == 0);
    expect(gets_signal(SIGBUS, [&] { mapping.load(2 * kPage); }));
    expect(gets_signal(SIGBUS, [&] { mapping.v(3 * kPage) = 1; }));
    file.size(4 * kPage);
    expect(mapping.v(2 * kPage) == 0);
    mapping.v(3 * kPage) = 'x';
    expect(file.read(3 * kPage, 1) == "x");
}

CASE("mapping", "fork: parent and child share what either stores")
{
    File file("f");
    file.size(8 * kPage);
    Mapping mapping(file.fd, 8 * kPage);
    mapping.v(0) = 'p';
    Child child([&] {
        expect(mapping.v(0) == 'p');
        mapping.v(1) = 'c';
        mapping.v(4 * kPage) = 'c';
    });
    child.wait();
    expect(mapping.v(1) == 'c' && mapping.v(4 * kPage) == 'c');
    expect(file.read(4 * kPage, 1) == "c");
}

CASE("mapping", "fork, then a sync: the child's writable page is caught as well")
{
    File file("f");
    file.write(0, repeated(kPage, 'a'));
    Mapping mapping(file.fd, kPage), turn(-1, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    mapping.v(0) = 'p';
    Child child([&] {
        mapping.v(1) = 'c';
        turn.v(0) = 1;
        while (turn.v(0) != 2)
            usleep(1000);
        long before = faults();
        mapping.v(2) = 'c';
        expect(faults() > before);
    });
    while (turn.v(0) != 1)
        usleep(1000);
    must(fsync(file.fd));
    turn.v(0) = 2;
    child.wait();
    expect(mapping.v(2) == 'c');
}

CASE("mapping", "mremap: grown and moved, contents stay")
{
    File file("f");
    file.size(64 * kPage);
    auto* data = static_cast<char*>(must(mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0)));
    memset(data, 'x', 4 * kPage);
    auto* hint = static_cast<char*>(must(mmap(nullptr, 64 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    data = static_cast<char*>(must(mremap(data, 4 * kPage, 64 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, hint)));
    for (long page = 0; page < 64; page++) {
        expect(data[page * kPage] == (page < 4 ? 'x' : 0));
        data[page * kPage] = 'y';
    }
    must(fsync(file.fd));
    data[0] = 'z';
    expect(file.read(0, 2) == "zx" && file.read(63 * kPage, 1) == "y");
    must(munmap(data, 64 * kPage));
}

CASE("mapping", "mprotect: no store while read-only, and again afterwards")
{
    File file("f");
    file.size(2 * kPage);
    Mapping mapping(file.fd, 2 * kPage);
    mapping.v(0) = 'a';
    must(mprotect(mapping.data, 2 * kPage, PROT_READ));
    expect(gets_signal(SIGSEGV, [&] { mapping.v(0) = 'b'; }));
    expect(mapping.v(0) == 'a');
    must(mprotect(mapping.data, 2 * kPage, PROT_READ | PROT_WRITE));
    mapping.v(0) = 'b';
    mapping.v(kPage) = 'b';
    expect(file.read(0, 1) == "b");
}

CASE("mapping", "populate, mlock, MADV_DONTNEED, MADV_POPULATE_WRITE")
{
    File file("f");
    file.size(32 * kPage);
    {
        Mapping mapping(file.fd, 32 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE);
        expect(file.status().st_blocks == 32 * 8 || file.status().st_blocks == 0);
        must(mlock(mapping.data, 32 * kPage));
        memset(mapping.data, 'x', 32 * kPage);
        must(fsync(file.fd));
        memset(mapping.data, 'y', kPage);
        must(munlock(mapping.data, 32 * kPage));
        must(madvise(mapping.data, 32 * kPage, MADV_DONTNEED));
        expect(mapping.v(0) == 'y' && mapping.v(kPage) == 'x');
    }
    file.size(0);
    file.size(32 * kPage);
    Mapping mapping(file.fd, 32 * kPage);
    must(madvise(mapping.data, 32 * kPage, 23 /* MADV_POPULATE_WRITE */));
    expect(file.status().st_blocks == 32 * 8);
    long before = faults();
    for (long page = 0; page < 32; page++)
        mapping.v(page * kPage) = 'z';
    expect(faults() == before);
}

CASE("mapping", "another process's memory: process_vm_readv and process_vm_writev")
{
    File file("f");
    file.write(0, pattern(3 * kPage, 3));
    Mapping mapping(file.fd, 3 * kPage);
    std::string got(2 * kPage, ' ');
    iovec local{got.data(), got.size()}, remote{&mapping[100], got.size()};
    expect(must(process_vm_readv(getpid(), &local, 1, &remote, 1, 0)) == 2 * kPage);
    expect(got == pattern(3 * kPage, 3).substr(100, 2 * kPage));
    std::string put = pattern(2 * kPage, 4);
    local = {put.data(), put.size()};
    expect(must(process_vm_writev(getpid(), &local, 1, &remote, 1, 0)) == 2 * kPage);
    expect(file.read(100, 2 * kPage) == put);
}

CASE("mapping", "a process-shared mutex and condition in a mapping")
{
    struct Shared {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        long counter, turn;
    };
    File file("f");
    file.size(kPage);
    Mapping mapping(file.fd, kPage);
    auto* shared = reinterpret_cast<Shared*>(mapping.data);
    pthread_mutexattr_t mutex_kind;
    pthread_mutexattr_init(&mutex_kind);
    pthread_mutexattr_setpshared(&mutex_kind, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &mutex_kind);
    pthread_condattr_t cond_kind;
    pthread_condattr_init(&cond_kind);
    pthread_condattr_setpshared(&cond_kind, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&shared->changed, &cond_kind);
    constexpr long kRounds = 500;
    // The two processes map the file separately, at different addresses.
    auto play = [&](long me) {
        Mapping its(file.fd, kPage);
        auto* ours = reinterpret_cast<Shared*>(its.data);
        for (long i = 0; i < kRounds; i++) {
            pthread_mutex_lock(&ours->mutex);
            while (ours->turn != me)
                pthread_cond_wait(&ours->changed, &ours->mutex);
            ours->counter++;
            ours->turn = 1 - me;
            pthread_cond_signal(&ours->changed);
            pthread_mutex_unlock(&ours->mutex);
            if (i % 50 == 0)
                fsync(file.fd);  // un-maps the page under the waiters
        }
    };
    alarm(60);
    Child child([&] { play(1); });
    play(0);
    child.wait();
    alarm(0);
    expect(shared->counter == 2 * kRounds);
}

CASE("mapping", "a mapping outlives the file's name and descriptor")
{
    struct stat status;
    {
        File file("f");
        file.size(16 * kPage);
        Mapping mapping(file.fd, 16 * kPage);
        file.shut();
        must(unlink(file.path.c_str()));
        expect_errno(stat(file.path.c_str(), &status), ENOENT);
        for (long page = 0; page < 16; page++)
            mapping.v(page * kPage) = static_cast<char>('a' + page);
        for (long page = 0; page < 16; page++)
            expect(mapping.v(page * kPage) == 'a' + page);
    }
    remount();
}

CASE("mapping", "a program runs from the file system")
{
    shell("cp /bin/true " + dir() + "/program && " + dir() + "/program && rm " + dir() + "/program");
}

CASE("mapping", "sparse mappings at large offsets")
{
    File file("f");
    const long far = (1L << 62) + 7 * kPage;
    file.size(far + 2 * kPage);
    Mapping mapping(file.fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, far);
    expect(mapping.v(kPage) == 0);
    mapping.v(kPage) = 'x';
    must(fsync(file.fd));
    mapping.v(kPage + 1) = 'y';
    expect(file.read(far + kPage, 2) == "xy");
    expect(file.status().st_blocks <= 4 * 8);
}
