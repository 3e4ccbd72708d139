// SPDX-License-Identifier: GPL-2.0
// How many faults it takes to load or store, and that what is mapped along is right. Stores are plain ones:
// the emulator takes a fault of its own for the load of an instruction that loads and stores.
#include <csignal>

#include "harness.hpp"

namespace {

constexpr long kPages = 64L * 256;  // 64 MiB
constexpr long kAround = 16;

// The word that page `page` of a test's file begins with.
uint64_t stamp(long page) { return 0x5ca1ab1e00000000ul + static_cast<uint64_t>(page); }

void write_stamps(File& file)
{
    constexpr long kChunk = 256;
    std::string chunk(kChunk * kPage, '\0');
    for (long first = 0; first < kPages; first += kChunk) {
        for (long page = 0; page < kChunk; page++) {
            const uint64_t word = stamp(first + page);
            memcpy(&chunk[static_cast<size_t>(page * kPage)], &word, sizeof word);
        }
        file.write(first * kPage, chunk);
    }
}

template <class Work>
long faults_of(Work work)
{
    const long before = faults();
    work();
    return faults() - before;
}

long store_stamps(Mapping& mapping)
{
    return faults_of([&] {
        for (long page = 0; page < kPages; page++)
            *reinterpret_cast<volatile uint64_t*>(&mapping[page * kPage]) = stamp(page);
    });
}

long load_stamps(Mapping& mapping, bool is_hole = false)
{
    long wrong = 0;
    const long count = faults_of([&] {
        for (long page = 0; page < kPages; page++)
            wrong +=
                *reinterpret_cast<volatile uint64_t*>(&mapping[page * kPage]) != (is_hole ? 0 : stamp(page));
    });
    expect(wrong == 0);
    return count;
}

void expect_stamps(File& file)
{
    for (long page = 0; page < kPages; page++) {
        const uint64_t word = stamp(page);
        std::string wanted = repeated(64, '\0');
        memcpy(wanted.data(), &word, sizeof word);
        if (file.read(page * kPage, 64) != wanted)
            fail(__FILE__, __LINE__, "page " + std::to_string(page) + " is not what was stored");
    }
}

constexpr long kHuge = 512 * kPage;

// A mapping that no PMD serves.
struct SmallMapping : Mapping {
    SmallMapping(int fd, long bytes) : Mapping(fd, bytes) { must(madvise(data, length, MADV_NOHUGEPAGE)); }
};

// What `what` adds to a count of the mount.
long counted(const char* name, const std::function<void()>& what)
{
    const long before = count(name);
    what();
    return count(name) - before;
}

void touch(Mapping& mapping, long page) { (void)mapping.load(page * kPage); }
void store(Mapping& mapping, long page) { mapping.v(page * kPage) = 's'; }

void tune(const std::string& pages)
{
    shell("echo " + pages + " > /sys/module/tarnfs/parameters/fault_around");
}

}  // namespace

CASE("faults", "loads of written pages: one fault for 16")
{
    File file("f");
    write_stamps(file);
    SmallMapping mapping(file.fd, kPages * kPage);
    expect(load_stamps(mapping) <= kPages / kAround);
}

CASE("faults", "loads of a hole: one fault for 16, and nothing allocated")
{
    File file("f");
    file.size(kPages * kPage);
    SmallMapping mapping(file.fd, kPages * kPage);
    expect(load_stamps(mapping, true) <= kPages / kAround);
    expect(file.status().st_blocks == 0);
}

CASE("faults", "stores from front to back: one fault for 16, on a hole, on allocated and on written pages")
{
    for (int kind = 0; kind < 3; kind++) {
        File file("f");
        file.size(kPages * kPage);
        if (kind == 1)
            must(posix_fallocate(file.fd, 0, kPages * kPage));
        if (kind == 2)
            file.write(0, repeated(kPages * kPage, '\0'));
        {
            SmallMapping mapping(file.fd, kPages * kPage);
            expect(store_stamps(mapping) <= 64 + kPages / kAround);
            must(fsync(file.fd));
            expect(faults_of([&] { *reinterpret_cast<volatile uint64_t*>(&mapping[0]) = stamp(0); }) == 1);
        }
        expect_stamps(file);
        file.shut();
        remount();
        file.reopen();
        expect_stamps(file);
    }
}

CASE("faults", "one store is one fault and makes one page writable, whether it was loaded before or not")
{
    File file("f");
    file.write(0, repeated(64 * kPage, 'a'));
    Mapping mapping(file.fd, 64 * kPage);
    for (int loaded = 0; loaded < 2; loaded++) {
        for (long page = 63; page >= 0; page--) {
            if (loaded)
                mapping.load(page * kPage);
            expect(faults_of([&] { mapping.v(page * kPage) = 'b'; }) == 1);
        }
        must(fsync(file.fd));
    }
    expect(file.read(0, 64 * kPage) == [&] {
        std::string all;
        for (int page = 0; page < 64; page++)
            all += "b" + repeated(kPage - 1, 'a');
        return all;
    }());
}

CASE("faults", "neighbours are not mapped behind the end of the file, nor outside the mapping")
{
    File file("f");
    file.write(0, pattern(20 * kPage + 5, 1));
    Mapping mapping(file.fd, 32 * kPage);
    expect(mapping.v(20 * kPage + 4) == pattern(20 * kPage + 5, 1)[20 * kPage + 4]);
    expect(gets_signal(SIGBUS, [&] { mapping.load(21 * kPage); }));
    // Pages 3 to 9 of the file, with a page of something else on both sides.
    Mapping room(-1, 9 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    room.v(0) = 'l';
    room.v(8 * kPage) = 'r';
    must(mmap(&room[kPage], 7 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.fd, 3 * kPage));
    const std::string text = pattern(20 * kPage, 1);
    expect(faults_of([&] {
               for (long page = 0; page < 7; page++)
                   expect(room.v((1 + page) * kPage) == text[static_cast<size_t>((3 + page) * kPage)]);
           }) <= 2);  // the window is aligned, the mapping may not be
    expect(room.v(0) == 'l' && room.v(8 * kPage) == 'r');
}

CASE("faults", "a private mapping's own pages stay where neighbours are mapped")
{
    File file("f");
    file.write(0, repeated(16 * kPage, 'f'));
    Mapping own(file.fd, 16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    own.v(3 * kPage) = 'P';
    own.v(9 * kPage) = 'P';
    for (long page = 0; page < 16; page++)
        expect(own.v(page * kPage) == (page == 3 || page == 9 ? 'P' : 'f'));
    expect(file.read(3 * kPage, 1) == "f");
}

CASE("faults", "a store to a private mapping takes one fault, and its page is copied as the file has it")
{
    File file("f");
    file.write(0, pattern(kPages * kPage, 5));
    file.size(2 * kPages * kPage);
    Mapping own(file.fd, 2 * kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    expect(faults_of([&] {
               for (long page = 0; page < 2 * kPages; page++)
                   own.v(page * kPage + 100) = 'P';
           }) == 2 * kPages);
    std::string wanted = file.read(0, 2 * kPages * kPage);
    expect(wanted.substr(0, kPages * kPage) == pattern(kPages * kPage, 5));
    for (long page = 0; page < 2 * kPages; page++)
        wanted[static_cast<size_t>(page * kPage + 100)] = 'P';
    expect(!memcmp(own.data, wanted.data(), wanted.size()));
}

CASE("faults", "fault_around says how many; it takes 1 to 64")
{
    File file("f");
    write_stamps(file);
    for (long around : {1L, 3L, 64L}) {
        tune(std::to_string(around));
        SmallMapping mapping(file.fd, kPages * kPage);
        const long each = around == 3 ? 2 : around;  // rounded down to a power of two
        const long count = load_stamps(mapping);
        tune("16");
        expect(count == kPages / each);
    }
    for (const char* bad : {"0", "65", "-1", "x"})
        expect(system(("echo " + std::string(bad) + " 2>&- > /sys/module/tarnfs/parameters/fault_around")
                          .c_str()) != 0);
}

// ---- 2 MiB
// -------------------------------------------------------------------------------------------------

CASE("faults", "2 MiB at a time: stores into holes and allocated space; loads of a hole allocate nothing")
{
    for (bool allocated : {false, true}) {
        File file("f");
        file.size(kPages * kPage);
        if (allocated)
            must(posix_fallocate(file.fd, 0, kPages * kPage));
        {
            Mapping mapping(file.fd, kPages * kPage);
            expect(reinterpret_cast<uintptr_t>(mapping.data) % kHuge == 0);
            const long before = huge_faults(), blocks = file.status().st_blocks;
            expect(load_stamps(mapping, true) == kPages / 512);
            expect(file.status().st_blocks == blocks);
            expect(store_stamps(mapping) == kPages / 512);
            expect(huge_faults() - before == 2 * kPages / 512);
            must(fsync(file.fd));
            expect(load_stamps(mapping) == kPages / 512);
            must(madvise(mapping.data, mapping.length, MADV_DONTNEED));
            expect(store_stamps(mapping) == kPages / 512);
        }
        expect_stamps(file);
        file.shut();
        remount();
        file.reopen();
        expect_stamps(file);
        Mapping mapping(file.fd, kPages * kPage);
        expect(store_stamps(mapping) == kPages / 512);
    }
}

CASE("faults", "2 MiB at a time: a file that was written, but for its beginning")
{
    File file("f");
    write_stamps(file);
    Mapping mapping(file.fd, kPages * kPage);
    expect(load_stamps(mapping) <= kPages / 512 + 512 / kAround);
    expect(store_stamps(mapping) <= kPages / 512 + 64 + 512 / kAround);
    must(fsync(file.fd));
    expect_stamps(file);
}

CASE("faults", "one store into each 2 MiB, then fsync, is there after a remount")
{
    File file("f");
    file.size(8 * kHuge);
    {
        Mapping mapping(file.fd, 8 * kHuge);
        for (long i = 0; i < 8; i++)
            mapping.v(i * kHuge + i * 5 * kPage + 3) = static_cast<char>('a' + i);
        must(fsync(file.fd));
        for (long i = 0; i < 8; i++)
            expect(faults_of([&] { mapping.v(i * kHuge) = 'z'; }) == 1);
    }
    file.shut();
    remount();
    file.reopen();
    for (long i = 0; i < 8; i++)
        expect(file.read(i * kHuge + i * 5 * kPage + 3, 2) ==
               std::string(1, static_cast<char>('a' + i)) + '\0');
}

CASE("faults", "a mapping or a file that does not reach around 2 MiB gets 4 KiB, and sees the same")
{
    File file("f");
    file.size(2 * kHuge);
    Mapping whole(file.fd, 2 * kHuge);
    whole.v(0) = 'w';
    SmallMapping small(file.fd, 2 * kHuge);
    Mapping part(file.fd, kHuge - kPage, PROT_READ | PROT_WRITE, MAP_SHARED, kPage);
    expect(small.v(0) == 'w' && part.v(0) == 0);
    small.v(kPage) = 's';
    part.v(kPage) = 'p';
    expect(whole.v(kPage) == 's' && whole.v(2 * kPage) == 'p' && part.v(0) == 's');
    must(fsync(file.fd));
    expect(faults_of([&] { small.v(kPage) = 'S'; }) == 1);
    expect(faults_of([&] { part.v(kPage) = 'P'; }) == 1);
    expect(file.read(0, 1) == "w" && file.read(kPage, 1) == "S" && file.read(2 * kPage, 1) == "P");
    small.v(kHuge) = 's';  // first at 4 KiB, in a hole that the other maps
    expect(whole.v(kHuge) == 's');
    whole.v(kHuge + kPage) = 'w';
    expect(small.v(kHuge + kPage) == 'w');
    file.size(kHuge + 5 * kPage);
    expect(gets_signal(SIGBUS, [&] { whole.load(kHuge + 5 * kPage); }));
    expect(whole.v(kHuge) == 's' && whole.v(0) == 'w');
}

CASE("faults", "parts of a 2 MiB mapping: munmap, mprotect, mremap, MADV_DONTNEED, fork, private copies")
{
    File file("f");
    file.size(4 * kHuge);
    auto* data =
        static_cast<char*>(must(mmap(nullptr, 4 * kHuge, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0)));
    auto at = [&](long offset) -> volatile char& { return data[offset]; };
    for (long i = 0; i < 4; i++)
        at(i * kHuge + 7 * kPage) = static_cast<char>('0' + i);
    must(mprotect(data + 6 * kPage, 3 * kPage, PROT_READ));
    expect(gets_signal(SIGSEGV, [&] { at(7 * kPage) = 'x'; }));
    must(mprotect(data + 6 * kPage, 3 * kPage, PROT_READ | PROT_WRITE));
    at(7 * kPage) = 'm';
    at(5 * kPage) = 'm';
    must(madvise(data + kHuge + kPage, 20 * kPage, MADV_DONTNEED));
    expect(at(kHuge + 7 * kPage) == '1');
    Child child([&] {
        expect(at(2 * kHuge + 7 * kPage) == '2' && at(7 * kPage) == 'm');
        at(2 * kHuge + 8 * kPage) = 'c';
    });
    child.wait();
    expect(at(2 * kHuge + 8 * kPage) == 'c');
    must(munmap(data + 3 * kHuge + 8 * kPage, 4 * kPage));
    expect(at(3 * kHuge + 7 * kPage) == '3');
    expect(gets_signal(SIGSEGV, [&] { at(3 * kHuge + 9 * kPage) = 'x'; }));
    auto* room =
        static_cast<char*>(must(mmap(nullptr, 3 * kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    auto* moved =
        static_cast<char*>(must(mremap(data + kHuge, static_cast<size_t>(kHuge), static_cast<size_t>(kHuge),
                                       MREMAP_MAYMOVE | MREMAP_FIXED, room + kPage)));
    expect(moved[7 * kPage] == '1');
    moved[8 * kPage] = 'v';
    {
        Mapping own(file.fd, 4 * kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        expect(own.v(7 * kPage) == 'm');
        own.v(7 * kPage) = 'P';
        expect(own.v(7 * kPage) == 'P' && own.v(5 * kPage) == 'm' && at(7 * kPage) == 'm');
    }
    must(fsync(file.fd));
    expect(faults_of([&] { moved[8 * kPage] = 'V'; }) >= 1);
    expect(file.read(7 * kPage, 1) == "m" && file.read(5 * kPage, 1) == "m" &&
           file.read(kHuge + 8 * kPage, 1) == "V");
    must(munmap(data, 4 * kHuge));
    must(munmap(room, 3 * kHuge));
}

CASE("faults", "fork copies no 2 MiB of zeroes: the child gets them by a fault of its own, until somebody stores")
{
    File file("f");
    file.size(2 * kHuge);
    Mapping mapping(file.fd, 2 * kHuge), other(file.fd, 2 * kHuge);
    expect(mapping.v(0) == 0);
    const long before = count("faults_2m_read");
    Child reader([&] { expect(mapping.v(kPage) == 0); });
    reader.wait();
    expect(count("faults_2m_read") == before + 1);
    Child late([&] {
        other.v(0) = 's';
        expect(mapping.v(0) == 's');
        mapping.v(kPage) = 'c';
    });
    late.wait();
    expect(mapping.v(0) == 's' && other.v(kPage) == 'c');
}

CASE("faults", "holes and cuts in a 2 MiB that is dirty")
{
    File file("f");
    file.size(2 * kHuge);
    Mapping mapping(file.fd, 2 * kHuge);
    memset(mapping.data, 'x', 2 * kHuge);
    must(fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * kPage, 20 * kPage));
    must(fallocate(file.fd, FALLOC_FL_ZERO_RANGE, 100 * kPage + 5, 20 * kPage));
    file.size(kHuge + 300 * kPage);
    std::string expected = repeated(kHuge + 300 * kPage, 'x');
    expected.replace(10 * kPage, 20 * kPage, repeated(20 * kPage, '\0'));
    expected.replace(100 * kPage + 5, 20 * kPage, repeated(20 * kPage, '\0'));
    expect(memcmp(mapping.data, expected.data(), expected.size()) == 0);
    mapping.v(15 * kPage) = 'n';
    expected[15 * kPage] = 'n';
    file.shut();
    {
        int fd = must(open(file.path.c_str(), O_RDWR));
        must(fsync(fd));
        close(fd);
    }
    file.reopen();
    expect(file.read(0, 2 * kHuge) == expected);
    expect(gets_signal(SIGBUS, [&] { mapping.load(kHuge + 300 * kPage); }));
}

CASE("faults", "pages of a 2 MiB mapping, and of a 2 MiB hole, in a pipe")
{
    File file("f"), other("g");
    file.size(2 * kHuge);
    Mapping mapping(file.fd, 2 * kHuge);
    mapping.v(5 * kPage) = 'd';
    expect(mapping.v(kHuge) == 0);  // the zeroes
    {
        PinnedByPipe data(&mapping[5 * kPage], kPage), hole(&mapping[kHuge + 9 * kPage], kPage);
        must(fsync(file.fd));
        mapping.v(kHuge + 9 * kPage) = 'l';
        file.size(100 * kPage);  // what is pinned stays in the file
        char got[kPage];
        expect(must(read(data.ends[0], got, kPage)) == kPage && got[0] == 'd');
        expect(must(read(hole.ends[0], got, kPage)) == kPage && got[0] == 0 && got[kPage - 1] == 0);
    }
    file.size(2 * kHuge);
    expect(must(pwrite(other.fd, mapping.data, 2 * kHuge, 0)) == 2 * kHuge);
    expect(other.read(5 * kPage, 1) == "d" && other.read(kHuge + 9 * kPage, 1) == std::string(1, '\0'));
    expect(must(pwrite(file.fd, &mapping[5 * kPage], kPage, kHuge + 3 * kPage)) == kPage);
    expect(mapping.v(kHuge + 3 * kPage) == 'd');
}

CASE("faults", "MAP_SYNC at 2 MiB")
{
    File file("f");
    file.size(kHuge);
    void* data = mmap(nullptr, kHuge, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, file.fd, 0);
    if (data == MAP_FAILED) {
        expect(errno == EOPNOTSUPP);
        return;
    }
    const long before = huge_faults();
    static_cast<volatile char*>(data)[kPage] = 's';
    expect(huge_faults() - before == 1);
    expect(file.status().st_blocks >= 512 * 8);
    must(munmap(data, kHuge));
}

// ---- counters
// ----------------------------------------------------------------------------------------------

CASE("faults", "the mount counts faults of 4 KiB by kind, and what they map along")
{
    File file("f");
    file.write(0, repeated(64 * kPage, 'w'));
    SmallMapping mapping(file.fd, 64 * kPage);
    const long around = count("pages_around");
    expect(counted("faults_4k_read", [&] { touch(mapping, 20); }) == 1);
    const long mapped = count("pages_around");
    expect(mapped == around + kAround - 1);  // the window lies in the mapping, wherever that begins
    expect(counted("faults_4k_mkwrite", [&] { store(mapping, 20); }) == 1);
    expect(counted("faults_4k_write", [&] { store(mapping, 40); }) == 1);
    expect(counted("faults_4k_write", [&] { store(mapping, 40); }) == 0);
    expect(count("pages_around") == mapped);
    Mapping own(file.fd, 64 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    expect(counted("faults_4k_copy", [&] { store(own, 5); }) == 1);
}

CASE("faults", "the mount counts faults of 2 MiB by kind, and why others were not")
{
    File file("f");
    file.size(2 * kHuge + kPage);
    Mapping mapping(file.fd, 3 * kHuge);
    expect(counted("faults_2m_read", [&] { touch(mapping, 0); }) == 1);
    expect(counted("faults_2m_write", [&] { store(mapping, 512); }) == 1);
    must(fsync(file.fd));
    touch(mapping, 512);
    expect(counted("faults_2m_mkwrite", [&] { store(mapping, 512); }) == 1);
    expect(counted("fallback_end", [&] { touch(mapping, 1024); }) == 1);
}

CASE("faults", "the mount counts entries and dirty bytes as they come and go")
{
    const long small = count("entries_4k"), huge = count("entries_2m"), dirty = count("dirty_bytes");
    File file("f");
    file.size(2 * kHuge);
    {
        Mapping mapping(file.fd, kHuge);
        store(mapping, 0);
        expect(count("entries_2m") - huge == 1);
        expect(count("dirty_bytes") - dirty == kHuge);
        SmallMapping other(file.fd, 2 * kHuge);
        store(other, 512);
        expect(count("entries_4k") - small == 1);
        expect(count("dirty_bytes") - dirty == kHuge + kPage);
        must(fsync(file.fd));
        expect(count("dirty_bytes") == dirty);
        touch(mapping, 0);
        expect(count("entries_2m") - huge == 1);
    }
    file.shut();
    expect(count("entries_4k") == small && count("entries_2m") == huge && count("dirty_bytes") == dirty);
}
