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

void tune(const std::string& pages)
{
    shell("echo " + pages + " > /sys/module/tarnfs/parameters/fault_around");
}

}  // namespace

CASE("faults", "loads of written pages: one fault for 16")
{
    File file("f");
    write_stamps(file);
    Mapping mapping(file.fd, kPages * kPage);
    expect(load_stamps(mapping) <= kPages / kAround);
}

CASE("faults", "loads of a hole: one fault for 16, and nothing allocated")
{
    File file("f");
    file.size(kPages * kPage);
    Mapping mapping(file.fd, kPages * kPage);
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
            Mapping mapping(file.fd, kPages * kPage);
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

CASE("faults", "fault_around says how many; it takes 1 to 64")
{
    File file("f");
    write_stamps(file);
    for (long around : {1L, 3L, 64L}) {
        tune(std::to_string(around));
        Mapping mapping(file.fd, kPages * kPage);
        const long each = around == 3 ? 2 : around;  // rounded down to a power of two
        const long count = load_stamps(mapping);
        tune("16");
        expect(count == kPages / each);
    }
    for (const char* bad : {"0", "65", "-1", "x"})
        expect(system(("echo " + std::string(bad) + " 2>&- > /sys/module/tarnfs/parameters/fault_around")
                          .c_str()) != 0);
}
