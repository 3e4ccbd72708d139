// SPDX-License-Identifier: GPL-2.0
// What fsync, msync, sync and friends do to mappings, and times. Whether a page is tracked as dirty shows in this: a
// sync takes write access away from dirty pages, so that the next store faults; from clean ones there is none to take.
#include <csignal>
#include <ctime>
#include <sys/syscall.h>

#include "harness.hpp"

namespace {

bool store_faults(Mapping& mapping, long at)
{
    long before = faults();
    mapping.v(at) = static_cast<char>(mapping.v(at) + 1);
    return faults() > before;
}

struct Times {
    long mtime, ctime;
};
Times times(File& file)
{
    struct stat s = file.status();
    return {s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec, s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec};
}

void pass_a_tick() { usleep(20000); }

}  // namespace

CASE("sync", "every kind of sync takes dirty pages, and only once")
{
    File file("f");
    file.write(0, repeated(4 * kPage, 'a'));
    Mapping mapping(file.fd, 4 * kPage);
    std::pair<const char*, std::function<void()>> kinds[] = {
        {"fsync", [&] { must(fsync(file.fd)); }},
        {"fdatasync", [&] { must(fdatasync(file.fd)); }},
        {"msync", [&] { must(msync(mapping.data, 4 * kPage, MS_SYNC)); }},
        {"sync", [&] { ::sync(); }},
        {"syncfs", [&] { must(syncfs(file.fd)); }},
        {"sync_file_range", [&] { must(sync_file_range(file.fd, 0, 4 * kPage, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)); }},
        {"O_SYNC write", [&] {
             int fd = must(open(file.path.c_str(), O_WRONLY | O_SYNC));
             expect(must(pwrite(fd, "x", 1, kPage)) == 1);
             close(fd);
         }},
    };
    for (auto& [name, sync_it] : kinds) {
        for (int round = 0; round < 3; round++) {
            mapping.v(kPage) = 'x';
            expect(!store_faults(mapping, kPage));
            sync_it();
            if (!store_faults(mapping, kPage))
                fail(__FILE__, __LINE__, std::string(name) + " left the page writable");
        }
    }
}

CASE("sync", "a range takes only what is in it")
{
    File file("f");
    file.write(0, repeated(8 * kPage, 'a'));
    Mapping mapping(file.fd, 8 * kPage);
    memset(mapping.data, 'x', 8 * kPage);
    must(msync(mapping.data + 2 * kPage, 3 * kPage, MS_SYNC));
    for (long page = 0; page < 8; page++)
        expect(store_faults(mapping, page * kPage) == (page >= 2 && page < 5));
}

CASE("sync", "dirty again after a sync, also through mprotect")
{
    File file("f");
    file.write(0, repeated(kPage, 'a'));
    Mapping mapping(file.fd, kPage);
    mapping.v(0) = 'x';
    must(fsync(file.fd));
    expect(mapping.v(0) == 'x');  // back in, read-only
    must(mprotect(mapping.data, kPage, PROT_READ));
    must(mprotect(mapping.data, kPage, PROT_READ | PROT_WRITE));
    expect(store_faults(mapping, 0));
    must(fsync(file.fd));
    must(mprotect(mapping.data, kPage, PROT_READ));
    must(mprotect(mapping.data, kPage, PROT_READ | PROT_WRITE));
    expect(store_faults(mapping, 0));
}

CASE("sync", "a load before the store: the store is noticed")
{
    File file("f");
    file.write(0, repeated(2 * kPage, 'a'));
    Mapping mapping(file.fd, 2 * kPage);
    expect(mapping.v(0) == 'a');
    expect(store_faults(mapping, 0));
    expect(!store_faults(mapping, 0));
    must(fsync(file.fd));
    expect(mapping.v(0) != 'a');
    expect(store_faults(mapping, 0));
}

CASE("sync", "a page unmapped while dirty is synced all the same")
{
    File file("f");
    file.write(0, repeated(4 * kPage, 'a'));
    {
        Mapping mapping(file.fd, 4 * kPage);
        memset(mapping.data, 'x', 4 * kPage);
    }
    must(fsync(file.fd));
    file.shut();
    remount();
    file.reopen();
    expect(file.read(0, 4 * kPage) == repeated(4 * kPage, 'x'));
}

CASE("sync", "stores through a mapping change mtime and ctime: first store, store after a load, store after a sync")
{
    File file("f");
    file.write(0, repeated(3 * kPage, 'a'));
    Mapping mapping(file.fd, 3 * kPage);
    Times before = times(file);
    auto changes = [&](const char* what, long at) {
        pass_a_tick();
        mapping.v(at) = 'x';
        Times now = times(file);
        if (now.mtime <= before.mtime || now.ctime <= before.ctime)
            fail(__FILE__, __LINE__, what);
        before = now;
    };
    changes("first store", 0);
    expect(mapping.v(kPage) == 'a');
    changes("store after a load", kPage);
    must(fsync(file.fd));
    changes("store after a sync", 0);
    pass_a_tick();
    expect(mapping.v(2 * kPage) == 'a');
    expect(times(file).mtime == before.mtime);
}

CASE("sync", "times of a store are on the media after an fsync")
{
    File file("f");
    file.write(0, repeated(kPage, 'a'));
    Times stored;
    {
        Mapping mapping(file.fd, kPage);
        pass_a_tick();
        mapping.v(0) = 'x';
        must(fsync(file.fd));
        stored = times(file);
    }
    file.shut();
    remount();
    file.reopen();
    expect(times(file).mtime == stored.mtime && times(file).ctime == stored.ctime);
}

CASE("sync", "MAP_SYNC is granted where stores are durable by themselves")
{
    File file("f");
    file.size(4 * kPage);
    Mapping mapping(file.fd, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC);
    memset(mapping.data, 'x', 4 * kPage);
    expect(file.read(0, 4 * kPage) == repeated(4 * kPage, 'x'));
}

CASE("flush-class", "MAP_SYNC is refused where the host has to be asked")
{
    File file("f");
    file.size(kPage);
    expect_errno(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, file.fd, 0), EOPNOTSUPP);
    {
        Mapping mapping(file.fd, kPage);
        mapping.v(0) = 'x';
        must(fsync(file.fd));
        expect(store_faults(mapping, 0));
        must(msync(mapping.data, kPage, MS_SYNC));
    }
    file.write(0, "written");
    file.shut();
    remount();
    file.reopen();
    expect(file.read(0, 7) == "written");
}

CASE("sync", "a frozen file system: stores to clean pages wait, loads do not")
{
    File file("f");
    file.write(0, repeated(2 * kPage, 'a'));
    Mapping mapping(file.fd, 2 * kPage), flag(-1, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    mapping.v(0) = 'x';
    shell("fsfreeze -f " + dir());
    Child child([&] {
        flag.v(0) = 1;
        mapping.v(0) = 'y';
        flag.v(0) = 2;
    });
    while (flag.v(0) == 0)
        usleep(1000);
    usleep(300000);
    char seen = flag.v(0), loaded = mapping.v(kPage);
    shell("fsfreeze -u " + dir());
    child.wait();
    expect(seen == 1);
    expect(loaded == 'a');
    expect(file.read(0, 1) == "y");
}

CASE("sync", "syncs and stores at the same time: the last store is always tracked")
{
    File file("f");
    constexpr long kPages = 16;
    file.write(0, repeated(kPages * kPage, 'a'));
    Mapping mapping(file.fd, kPages * kPage);
    volatile bool stop = false;
    std::thread syncer([&] {
        while (!stop)
            fsync(file.fd);
    });
    std::thread ranges([&] {
        for (long i = 0; !stop; i++)
            msync(mapping.data + i % kPages * kPage, kPage, MS_SYNC);
    });
    double end = seconds() + 4;
    unsigned long rounds = 0;
    while (seconds() < end) {
        for (long page = 0; page < kPages; page++)
            *reinterpret_cast<volatile unsigned long*>(&mapping[page * kPage + 8]) = rounds;
        rounds++;
    }
    stop = true;
    syncer.join();
    ranges.join();
    must(fsync(file.fd));
    for (long page = 0; page < kPages; page++)
        expect(store_faults(mapping, page * kPage + 8));
}
