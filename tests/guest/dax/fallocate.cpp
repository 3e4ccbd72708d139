// SPDX-License-Identifier: GPL-2.0
// fallocate(2): what programs know from ext4 and XFS, and what it does to mappings, pins and a full file
// system.
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <csignal>

#include "harness.hpp"

namespace {

constexpr int kKeep = FALLOC_FL_KEEP_SIZE;
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr int kZero = FALLOC_FL_ZERO_RANGE;
constexpr int kCollapse = FALLOC_FL_COLLAPSE_RANGE;
constexpr int kInsert = FALLOC_FL_INSERT_RANGE;
constexpr int kUnshare = FALLOC_FL_UNSHARE_RANGE;
constexpr long kMostBytes = 0x7ffffffffffff000L;

// Of tarnfs in pages: st_blocks may have a page or two more for the tree that says where they are.
long pages_of(File& file) { return file.status().st_blocks / (kPage / 512); }
long available()
{
    struct statvfs status;
    must(statvfs(dir().c_str(), &status));
    return static_cast<long>(status.f_bavail);
}
void on_alarm(int) {}

// Writes until nothing more goes in, in ever smaller pieces.
void fill_up(File& hog)
{
    long at = 0;
    for (long piece : {1L << 20, 64 * kPage, kPage}) {
        std::string bytes = repeated(piece, 'h');
        for (long wrote; (wrote = pwrite(hog.fd, bytes.data(), bytes.size(), at)) > 0;)
            at += wrote;
        expect(errno == ENOSPC);
    }
}

// Page i of the file is a hole, unwritten or written, as digit i of `states` to base 3 says.
std::string prepare(File& file, int states, long pages)
{
    file.size(0);
    file.size(pages * kPage);
    std::string model = repeated(pages * kPage, '\0');
    for (long page = 0; page < pages; page++, states /= 3) {
        if (states % 3 == 1)
            must(fallocate(file.fd, 0, page * kPage, kPage));
        if (states % 3 != 2)
            continue;
        std::string bytes = pattern(kPage, static_cast<unsigned>(page));
        file.write(page * kPage, bytes);
        model.replace(static_cast<size_t>(page * kPage), kPage, bytes);
    }
    return model;
}

}  // namespace

CASE("fallocate", "what it refuses, and how")
{
    File file("f");
    file.write(0, pattern(4 * kPage, 1));
    expect_errno(fallocate(file.fd, FALLOC_FL_PUNCH_HOLE, 0, kPage), EOPNOTSUPP);
    expect_errno(fallocate(file.fd, 0x80, 0, kPage), EOPNOTSUPP);  // written zeroes, of a later kernel
    for (int mode : {kCollapse, kInsert}) {
        expect_errno(fallocate(file.fd, mode, 1, kPage), EINVAL);
        expect_errno(fallocate(file.fd, mode, kPage, 512), EINVAL);
        expect_errno(fallocate(file.fd, mode, 4 * kPage, kPage), EINVAL);
    }
    expect_errno(fallocate(file.fd, kCollapse, 3 * kPage, kPage), EINVAL);
    expect_errno(fallocate(file.fd, kCollapse, 0, kMostBytes - kPage), EINVAL);
    expect_errno(fallocate(file.fd, kInsert, 0, kMostBytes - kPage), EFBIG);
    expect_errno(fallocate(file.fd, 0, 0, 0), EINVAL);
    expect_errno(fallocate(file.fd, 0, -1, kPage), EINVAL);
    expect_errno(fallocate(file.fd, 0, 0x7ffffffffffff000L - 1, 2), EFBIG);
    expect_errno(fallocate(file.fd, kPunch, 0x7ffffffffffffff0L, 100), EFBIG);
    must(fallocate(file.fd, kPunch, 0x7ffffffffffff000L - 10, 10));
    int reader = must(open(file.path.c_str(), O_RDONLY));
    expect_errno(fallocate(reader, 0, 0, kPage), EBADF);
    close(reader);
    expect(file.read(0, 5 * kPage) == pattern(4 * kPage, 1));
}

CASE("fallocate", "the limit of file sizes holds unless the size is kept")
{
    Child child([] {
        File file("f");
        file.size(100);
        struct rlimit limit = {2 * kPage, 2 * kPage};
        signal(SIGXFSZ, SIG_IGN);
        must(setrlimit(RLIMIT_FSIZE, &limit));
        expect_errno(fallocate(file.fd, 0, 0, 3 * kPage), EFBIG);
        expect_errno(fallocate(file.fd, kZero, 0, 3 * kPage), EFBIG);
        expect_errno(fallocate(file.fd, kInsert, 0, 2 * kPage), EFBIG);
        expect(file.status().st_size == 100);
        must(fallocate(file.fd, kKeep, 0, 3 * kPage));
        must(fallocate(file.fd, 0, 0, 2 * kPage));
        expect(file.status().st_size == 2 * kPage);
    });
    child.wait();
}

CASE("fallocate", "blocks, size, times and set-user-ID")
{
    File file("f");
    must(fchmod(file.fd, 04755));
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    must(futimens(file.fd, old));
    Child child([&] {  // root keeps the bit
        must(fchown(file.fd, 1000, 1000));
        must(fchmod(file.fd, 04755));
        must(setuid(1000));
        must(fallocate(file.fd, kKeep, 0, 10 * kPage));
    });
    child.wait();
    expect((file.status().st_mode & 07777) == 0755);
    expect(file.status().st_mtim.tv_sec > 1000 && file.status().st_ctim.tv_sec > 1000);
    expect(file.status().st_size == 0 && pages_of(file) == 10);
    for (int mode : {kPunch, kZero, 0}) {
        must(futimens(file.fd, old));
        must(fallocate(file.fd, mode, 100, 300 * kPage));
        expect(file.status().st_mtim.tv_sec > 1000);
        expect(pages_of(file) == (mode == kPunch ? 1 : 301));
        expect(file.status().st_size == (mode == kPunch ? 0 : 300 * kPage + 100));
    }
    expect(file.read(0, kPage) == repeated(kPage, '\0'));
    long before = available();
    file.size(0);
    expect(available() == before + 301 && pages_of(file) == 0);
}

CASE("fallocate", "each mode over each mixture of holes, unwritten and written pages")
{
    constexpr long kPages = 4;
    constexpr long kRanges[][2] = {{0, 4 * kPage},         {kPage, 2 * kPage}, {100, 50},
                                   {100, kPage},           {kPage - 1, 2},     {kPage + 7, 2 * kPage},
                                   {2 * kPage, 3 * kPage}, {4 * kPage, kPage}};
    File file("f");
    Mapping mapping(file.fd, kPages * kPage);
    for (int states = 0; states < 81; states++)
        for (auto [offset, length] : kRanges)
            for (int mode : {0, kKeep, kPunch, kZero, kZero | kKeep}) {
                std::string model = prepare(file, states, kPages);
                long touched = mapping.load(states % kPages * kPage);  // a PTE that is in the way
                must(fallocate(file.fd, mode, offset, length));
                long end = offset + length, size = kPages * kPage;
                if (!(mode & kKeep) && end > size)
                    model.resize(static_cast<size_t>(end));
                if (mode & ~kKeep)
                    for (long at = offset; at < std::min<long>(end, static_cast<long>(model.size())); at++)
                        model[static_cast<size_t>(at)] = 0;
                expect(file.read(0, 10 * kPage) == model);
                expect(memcmp(mapping.data, model.data(), kPages * kPage) == 0);
                long wanted = 0, rest = states;
                for (long page = 0; page < 8; page++, rest /= 3) {
                    bool has = page < kPages && rest % 3 != 0;
                    bool inside = offset <= page * kPage && end >= (page + 1) * kPage;
                    bool reaches = offset < (page + 1) * kPage && end > page * kPage;
                    wanted += mode == kPunch ? has && !inside : has || reaches;
                }
                if (pages_of(file) != wanted)
                    fail(__FILE__, __LINE__,
                         "states " + std::to_string(states) + ", mode " + std::to_string(mode) + " at " +
                             std::to_string(offset) + ": " + std::to_string(pages_of(file)) + " pages, not " +
                             std::to_string(wanted) + std::string(touched ? "" : " "));
            }
}

CASE("fallocate", "unsharing allocates: nothing is shared")
{
    File file("f");
    file.write(0, pattern(3 * kPage, 1));
    file.size(6 * kPage);
    must(fallocate(file.fd, kUnshare, kPage, 4 * kPage));
    expect(pages_of(file) == 5);
    expect(file.read(0, 7 * kPage) == pattern(3 * kPage, 1) + repeated(3 * kPage, '\0'));
    must(fallocate(file.fd, kUnshare | kKeep, 0, 10 * kPage));
    expect(file.status().st_size == 6 * kPage);
}

CASE("fallocate", "ranges go and come, through mappings and remounts")
{
    File file("f");
    constexpr long kPages = 6;
    int states = 0;
    for (long first = 0; first < kPages; first++)
        for (long count = 1; first + count < kPages; count++, states += 37) {
            std::string model = prepare(file, states % 729, kPages);
            Mapping mapping(file.fd, 2 * kPages * kPage);
            mapping.v(first * kPage + 7) = 'm';
            model[static_cast<size_t>(first * kPage + 7)] = 'm';
            for (long page = 0; page < kPages; page++)
                expect(mapping.load(page * kPage + 9) == model[static_cast<size_t>(page * kPage + 9)]);
            must(fallocate(file.fd, kInsert, first * kPage, count * kPage));
            model.insert(static_cast<size_t>(first * kPage), static_cast<size_t>(count * kPage), '\0');
            expect(file.read(0, 99 * kPage) == model);
            expect(memcmp(mapping.data, model.data(), model.size()) == 0);
            mapping.v(first * kPage) = 'n';
            model[static_cast<size_t>(first * kPage)] = 'n';
            const long gone = first ? first - 1 : 0;
            must(fallocate(file.fd, kCollapse, gone * kPage, count * kPage));
            model.erase(static_cast<size_t>(gone * kPage), static_cast<size_t>(count * kPage));
            expect(file.status().st_size == static_cast<long>(model.size()));
            expect(file.read(0, 99 * kPage) == model);
            expect(memcmp(mapping.data, model.data(), model.size()) == 0);
            expect(gets_signal(SIGBUS, [&] { mapping.v(static_cast<long>(model.size())) = 'x'; }));
        }
    const std::string last = file.read(0, 99 * kPage);
    file.shut();
    remount();
    file.reopen();
    expect(file.read(0, 99 * kPage) == last);
}

CASE("fallocate", "collapsing leaves private copies in front of the new end, and none behind it")
{
    File file("f");
    file.write(0, pattern(4 * kPage, 3));
    Mapping own(file.fd, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (long page = 0; page < 4; page++)
        own.v(page * kPage) = 'p';
    must(fallocate(file.fd, kCollapse, kPage, 2 * kPage));
    expect(own.load(0) == 'p' && own.load(kPage) == 'p');
    expect(gets_signal(SIGBUS, [&] { own.load(2 * kPage); }));
    expect(file.read(0, 9 * kPage) == pattern(4 * kPage, 3).erase(kPage, 2 * kPage));
}

CASE("fallocate", "pages that move while others store: each page is one that was there, and whole")
{
    // Page p holds the stamp of its number everywhere, or zeroes; whoever finds one stores the same again.
    File file("f");
    constexpr long kPages = 48;
    for (long page = 0; page < kPages; page++)
        file.write(page * kPage, repeated(kPage, static_cast<char>('A' + page)));
    Mapping mapping(file.fd, 2 * kPages * kPage);
    volatile bool stop = false;
    std::vector<std::thread> others;
    others.emplace_back([&] {
        for (long i = 0; !stop; i++)
            (void)mapping.load(i * 7 % (kPages / 2) * kPage + i % kPage);
    });
    others.emplace_back([&] {
        while (!stop)
            fsync(file.fd);
    });
    others.emplace_back([&] {  // the first page never moves
        for (long i = 0; !stop; i++)
            mapping.v(i % kPage) = 'A';
    });
    const double end = seconds() + 3 * static_cast<double>(soak());
    for (long i = 0; seconds() < end; i++) {
        const long at = (1 + i * 5 % (kPages / 2)) * kPage;
        must(fallocate(file.fd, kInsert, at, (1 + i % 3) * kPage));
        must(fallocate(file.fd, kCollapse, at, (1 + i % 3) * kPage));
        const std::string page = file.read(at, kPage);
        expect(page == repeated(kPage, page[0]) && page[0] == 'A' + at / kPage);
    }
    stop = true;
    for (std::thread& thread : others)
        thread.join();
    for (long page = 0; page < kPages; page++)
        expect(file.read(page * kPage, kPage) == repeated(kPage, static_cast<char>('A' + page)));
}

CASE("fallocate", "lseek finds written pages only")
{
    File file("f");
    must(fallocate(file.fd, 0, 0, 100 * kPage));
    expect_errno(lseek(file.fd, 0, SEEK_DATA), ENXIO);
    expect(must(lseek(file.fd, 5, SEEK_HOLE)) == 5);
    file.write(20 * kPage + 5, "x");
    Mapping mapping(file.fd, 100 * kPage);
    expect(mapping.load(50 * kPage) == 0);
    mapping.v(60 * kPage) = 'y';
    expect(must(lseek(file.fd, 0, SEEK_DATA)) == 20 * kPage);
    expect(must(lseek(file.fd, 20 * kPage, SEEK_HOLE)) == 21 * kPage);
    expect(must(lseek(file.fd, 21 * kPage, SEEK_DATA)) == 60 * kPage);
    expect(must(lseek(file.fd, 61 * kPage, SEEK_HOLE)) == 61 * kPage);
    expect_errno(lseek(file.fd, 61 * kPage, SEEK_DATA), ENXIO);
    must(fallocate(file.fd, kZero, 20 * kPage, kPage));
    expect(must(lseek(file.fd, 0, SEEK_DATA)) == 60 * kPage);
}

CASE("fallocate", "freed pages are nobody's: mappings see zeroes, then pages of their own")
{
    File file("f"), other("g");
    constexpr long kPages = 128;
    file.write(0, pattern(kPages * kPage, 1));
    Mapping one(file.fd, kPages * kPage), two(file.fd, kPages * kPage);
    Mapping own(file.fd, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (long page = 0; page < kPages; page++) {
        one.v(page * kPage) = 'm';
        expect(two.load(page * kPage) == 'm');
    }
    own.v(10 * kPage) = 'P';
    must(fallocate(file.fd, kPunch, 5 * kPage, 100 * kPage));
    other.write(0, repeated(kPages * kPage, 'o'));
    expect(own.load(10 * kPage) == 'P');  // a private copy stays, as with ext4 and XFS
    expect(own.load(11 * kPage) == 0);
    for (long page = 5; page < 105; page++) {
        expect(one.load(page * kPage) == 0);
        one.v(page * kPage + 1) = 'n';
        expect(two.load(page * kPage + 1) == 'n' && two.load(page * kPage) == 0);
    }
    expect(other.read(0, kPages * kPage) == repeated(kPages * kPage, 'o'));
    must(fallocate(file.fd, kZero, 5 * kPage, 100 * kPage));
    for (long page = 5; page < 105; page++) {
        expect(two.load(page * kPage + 1) == 0);
        two.v(page * kPage + 2) = 'z';
    }
    must(fsync(file.fd));
    std::string model = file.read(0, kPages * kPage);
    expect(model[5 * kPage + 2] == 'z' && model[5 * kPage + 1] == 0 && model[4 * kPage] == 'm');
}

CASE("fallocate",
     "pages behind the end come up as zeroes, stay over a remount, go with a truncation to the same size")
{
    File file("f");
    file.write(0, "abc");
    long before = available();
    must(fallocate(file.fd, kKeep, 0, 50 * kPage));
    expect(available() == before - 49);
    file.shut();
    remount();
    file.reopen();
    expect(pages_of(file) == 50 && file.status().st_size == 3);
    file.write(10 * kPage, "def");
    expect(file.read(0, 11 * kPage) == "abc" + repeated(10 * kPage - 3, '\0') + "def");
    expect(pages_of(file) == 50);
    file.size(10 * kPage + 3);
    expect(pages_of(file) == 11);
}

CASE("fallocate", "a pinned page holds off what takes it away until a signal or its release")
{
    for (int mode : {kPunch, kZero, kCollapse, kInsert}) {
        const bool shifts = mode == kCollapse || mode == kInsert;
        File file("f");
        std::string model = pattern(4 * kPage, 5);
        file.write(0, model);
        Mapping mapping(file.fd, 4 * kPage);
        struct sigaction action = {};
        action.sa_handler = on_alarm;  // without SA_RESTART
        must(sigaction(SIGALRM, &action, nullptr));
        PinnedByPipe pin(&mapping[2 * kPage], 100);
        alarm(1);
        const long from = shifts ? kPage : kPage + 5;
        expect_errno(fallocate(file.fd, mode, from, shifts ? kPage : 4 * kPage - from), EINTR);
        expect(file.read(0, 4 * kPage) == model);
        if (!shifts)
            must(fallocate(file.fd, mode, 2 * kPage + 200, kPage));  // parts are zeroed where they are
        else
            must(fallocate(file.fd, kInsert, 3 * kPage, kPage));  // behind the pin
        must(fallocate(file.fd, 0, 0, 6 * kPage));
        std::thread releaser([&] {
            usleep(300000);
            char bytes[100];
            expect(must(read(pin.ends[0], bytes, 100)) == 100);
            expect(memcmp(bytes, model.data() + 2 * kPage, 100) == 0);
        });
        double begin = seconds();
        must(fallocate(file.fd, mode, kPage, 2 * kPage));
        double took = seconds() - begin;
        releaser.join();
        expect(took > 0.1);
        if (mode == kCollapse)
            expect(file.read(0, kPage) == model.substr(0, kPage) && file.status().st_size == 4 * kPage);
        else
            expect(file.read(kPage, 2 * kPage) == repeated(2 * kPage, '\0'));
    }
}

CASE("fallocate", "what it has allocated can be written when nothing is free any more")
{
    File file("f"), hog("hog");
    const long pages = available() / 2;
    must(fallocate(file.fd, 0, 0, pages * kPage));
    fill_up(hog);
    Mapping mapping(file.fd, pages * kPage);
    for (long page = 0; page < pages; page += 2) {
        if (page % 4)
            mapping.v(page * kPage) = 's';
        else
            expect(must(pwrite(file.fd, "s", 1, page * kPage)) == 1);
    }
    expect_errno(fallocate(hog.fd, kKeep, 1L << 40, kPage), ENOSPC);
    for (long page = 0; page < pages; page += 50)
        expect(file.read(page * kPage, 2) == std::string(page % 2 ? 1 : 1, page % 2 ? '\0' : 's') + '\0');
    must(fallocate(file.fd, kPunch, 0, pages / 2 * kPage));
    must(fallocate(file.fd, kZero, pages / 2 * kPage, 10 * kPage));
    expect(available() > pages / 3);
}

CASE("fallocate", "more than there is: ENOSPC, the size as before, zeroes where there were to be any")
{
    File file("f");
    file.write(0, pattern(100 * kPage, 3));
    const long free = available();
    expect_errno(fallocate(file.fd, 0, 0, (free + 200) * kPage), ENOSPC);
    expect(file.status().st_size == 100 * kPage);
    expect(file.read(0, 100 * kPage) == pattern(100 * kPage, 3));
    expect_errno(fallocate(file.fd, kZero, 0, (free + 200) * kPage), ENOSPC);
    expect(file.read(0, 200 * kPage) == repeated(100 * kPage, '\0'));
    file.size(0);
    expect(available() == free + 100);
}

CASE("fallocate", "a large one ends early when the process is killed, and leaves whole blocks")
{
    File file("f");
    for (int round = 0; round < 5; round++) {
        Child child([&] {
            for (;;) {
                must(fallocate(file.fd, 0, 0, available() / 2 * kPage));
                must(fallocate(file.fd, kPunch, 0, 1L << 40));
            }
        });
        usleep(50000);
        kill(child.pid, SIGKILL);
        int status;
        must(waitpid(child.pid, &status, 0));
        child.pid = 0;
        file.size(0);
        expect(pages_of(file) == 0);
    }
}

CASE("fallocate", "stores, writes, syncs and reads race with punching and zeroing: own bytes or zeroes")
{
    File file("f"), other("g");
    constexpr long kPages = 64;
    file.size(kPages * kPage);
    Mapping mapping(file.fd, kPages * kPage);
    volatile bool stop = false;
    std::thread storer([&] {
        for (long i = 0; !stop; i++)
            mapping.v(i * 7 % kPages * kPage + i % kPage) = 's';
    });
    std::thread writer([&] {
        std::string bytes = repeated(3 * kPage, 's');
        for (long i = 0; !stop; i++)
            expect(pwrite(file.fd, bytes.data(), bytes.size(), i * 13 % (kPages - 3) * kPage) == 3 * kPage);
    });
    std::thread taker([&] {  // takes what is freed
        for (long i = 0; !stop; i++) {
            expect(pwrite(other.fd, repeated(16 * kPage, 'o').data(), 16 * kPage, 0) == 16 * kPage);
            must(ftruncate(other.fd, 0));
        }
    });
    std::thread syncer([&] {
        while (!stop)
            fsync(file.fd);
    });
    double end = seconds() + 4 * static_cast<double>(soak());
    for (long i = 0; seconds() < end; i++) {
        int modes[] = {kPunch, kZero, kZero | kKeep, 0};
        must(fallocate(file.fd, modes[i % 4], i * 5 % 40 * kPage + (i % 3) * 100, (1 + i % 20) * kPage));
        for (char byte : file.read(i % kPages * kPage, kPage))
            expect(byte == 0 || byte == 's');
    }
    stop = true;
    for (std::thread* thread : {&storer, &writer, &taker, &syncer})
        thread->join();
    std::string now = file.read(0, kPages * kPage);
    expect(memcmp(now.data(), mapping.data, now.size()) == 0);
    must(fallocate(file.fd, kPunch, 0, kPages * kPage));
    expect(pages_of(file) == 0);
}
