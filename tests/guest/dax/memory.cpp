// SPDX-License-Identifier: GPL-2.0
// What mappings cost in memory goes away when memory is wanted: entries of pages that are clean and not in
// use.
#include "harness.hpp"

namespace {

constexpr long kPages = 4096;
constexpr long kHuge = 512 * kPage;

void drop_caches() { shell("echo 2 > /proc/sys/vm/drop_caches"); }

long entries() { return count("entries_4k") + count("entries_2m"); }

// A mapping that no PMD serves.
struct SmallMapping : Mapping {
    SmallMapping(int fd, long bytes) : Mapping(fd, bytes) { must(madvise(data, length, MADV_NOHUGEPAGE)); }
};

void load_all(Mapping& mapping, long pages, char wanted)
{
    for (long page = 0; page < pages; page++)
        expect(mapping.v(page * kPage) == wanted);
}

void store_all(Mapping& mapping, long pages, char value)
{
    for (long page = 0; page < pages; page++)
        mapping.v(page * kPage) = value;
}

}  // namespace

CASE("memory", "entries that munmap leaves behind are given back")
{
    File file("f");
    file.write(0, repeated(kPages * kPage, 'w'));
    {
        SmallMapping mapping(file.fd, kPages * kPage);
        load_all(mapping, kPages, 'w');
        store_all(mapping, kPages, 's');
        must(fsync(file.fd));
        load_all(mapping, kPages, 's');
    }
    expect(count("dirty_bytes") == 0);
    expect(entries() == kPages);
    drop_caches();
    expect(entries() == 0);
    expect(count("entries_reclaimed") >= kPages);
}

CASE("memory", "so are those of pages that stay mapped, which fault in again, of both sizes")
{
    File file("f");
    file.size(kPages * kPage + 8 * kHuge);
    Mapping large(file.fd, 8 * kHuge);
    store_all(large, 8 * 512, 'l');
    must(fsync(file.fd));
    load_all(large, 8 * 512, 'l');
    expect(count("entries_2m") == 8);
    {
        File other("g");
        other.write(0, repeated(kPages * kPage, 'w'));
        SmallMapping small(other.fd, kPages * kPage);
        load_all(small, kPages, 'w');
        expect(count("entries_4k") == kPages);
        drop_caches();
        expect(entries() == 0);
        load_all(small, kPages, 'w');
        store_all(small, kPages, 'x');
        load_all(large, 8 * 512, 'l');
        must(fsync(other.fd));
        load_all(small, kPages, 'x');
    }
    drop_caches();
    expect(entries() == 0);
}

CASE("memory", "what is dirty stays, and is there after fsync")
{
    File file("f");
    file.write(0, repeated(kPages * kPage, 'w'));
    {
        SmallMapping mapping(file.fd, kPages * kPage);
        load_all(mapping, kPages, 'w');
        for (long page = 0; page < kPages; page += 64)
            mapping.v(page * kPage) = 'd';
        const long dirty = count("dirty_bytes");
        expect(dirty == kPages / 64 * kPage);
        drop_caches();
        expect(count("dirty_bytes") == dirty && entries() == kPages / 64);
        must(fsync(file.fd));
        expect(entries() == 0);
    }
    file.shut();
    remount();
    file.reopen();
    expect(file.read(64 * kPage, 1) == "d" && file.read(65 * kPage, 1) == "w");
}

CASE("memory", "a pinned page keeps its entry, and holds off the freeing of its block")
{
    File file("f");
    file.write(0, repeated(64 * kPage, 'w'));
    SmallMapping mapping(file.fd, 64 * kPage);
    load_all(mapping, 64, 'w');
    {
        PinnedByPipe pin(&mapping[5 * kPage], kPage);
        drop_caches();
        expect(entries() == 1);
    }
    drop_caches();
    expect(entries() == 0);
}

CASE("memory", "stores, fsync and loads go on while entries are taken away")
{
    constexpr int kRounds = 40;
    File file("f");
    file.write(0, repeated(512 * kPage, '0'));
    {
        SmallMapping mapping(file.fd, 512 * kPage);
        std::thread dropper([] {
            for (int i = 0; i < kRounds; i++)
                drop_caches();
        });
        for (int i = 0; i < kRounds; i++) {
            const char value = static_cast<char>('a' + i % 26);
            store_all(mapping, 512, value);
            must(fsync(file.fd));
            load_all(mapping, 512, value);
        }
        dropper.join();
    }
    file.shut();
    remount();
    file.reopen();
    for (long page = 0; page < 512; page++)
        expect(file.read(page * kPage, 1)[0] == 'a' + (kRounds - 1) % 26);
}
