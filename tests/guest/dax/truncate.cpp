// SPDX-License-Identifier: GPL-2.0
// Truncation against mappings and pins; space that runs out under a mapping.
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include "harness.hpp"

namespace {

long free_blocks()
{
    struct statvfs status;
    must(statvfs(dir().c_str(), &status));
    return static_cast<long>(status.f_bavail);
}

void on_alarm(int) {}

}  // namespace

CASE("truncate", "stores behind the new end: SIGBUS; the page of the new end is cut")
{
    File file("f");
    file.write(0, repeated(8 * kPage, 'x'));
    Mapping mapping(file.fd, 8 * kPage);
    for (long page = 0; page < 8; page++)
        mapping.v(page * kPage) = 'y';
    file.size(3 * kPage + 10);
    expect(gets_signal(SIGBUS, [&] { mapping.v(4 * kPage) = 'z'; }));
    expect(gets_signal(SIGBUS, [&] { mapping.load(7 * kPage); }));
    expect(mapping.v(3 * kPage) == 'y' && mapping.v(3 * kPage + 9) == 'x' && mapping.v(3 * kPage + 10) == 0);
    file.size(8 * kPage);
    expect(mapping.v(3 * kPage + 10) == 0 && mapping.v(4 * kPage) == 0);
    expect(file.read(3 * kPage, 5 * kPage) == "y" + repeated(9, 'x') + repeated(5 * kPage - 10, '\0'));
}

CASE("truncate", "private copies behind the new end go, too")
{
    File file("f");
    file.write(0, repeated(4 * kPage, 'x'));
    Mapping own(file.fd, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    own.v(0) = 'P';
    own.v(3 * kPage) = 'P';
    file.size(2 * kPage);
    expect(gets_signal(SIGBUS, [&] { own.load(3 * kPage); }));
    expect(own.v(0) == 'P');
    file.size(4 * kPage);
    expect(own.v(3 * kPage) == 0);
}

CASE("truncate", "private copies that are being made, of pages or of holes, do not outlive it")
{
    for (const bool is_hole : {true, false}) {
        File file("f");
        for (long round = 0; round < 200 * soak(); round++) {
            file.size(2 * kPage);
            if (!is_hole)
                file.write(kPage, repeated(kPage, 'x'));
            Mapping own(file.fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
            std::thread storing([&] { gets_signal(SIGBUS, [&] { own.v(kPage) = 'P'; }); });
            file.size(kPage);
            storing.join();
            expect(gets_signal(SIGBUS, [&] { own.load(kPage); }));
        }
    }
}

CASE("truncate", "freed blocks are not reachable through an old mapping")
{
    File file("f"), other("g");
    constexpr long kPages = 256;
    file.write(0, repeated(kPages * kPage, 'x'));
    Mapping mapping(file.fd, kPages * kPage);
    long sum = 0;
    for (long page = 0; page < kPages; page++)
        sum += mapping.v(page * kPage);
    expect(sum == kPages * 'x');
    file.size(0);
    other.write(0, repeated(kPages * kPage, 'o'));
    file.size(kPages * kPage);
    for (long page = 0; page < kPages; page++) {
        expect(mapping.v(page * kPage) == 0);
        mapping.v(page * kPage) = 'm';
    }
    expect(other.read(0, kPages * kPage) == repeated(kPages * kPage, 'o'));
}

CASE("truncate", "stores race with truncation and growth: a store works or gets SIGBUS, zeroes come back")
{
    File file("f");
    constexpr long kPages = 32;
    file.size(kPages * kPage);
    Mapping mapping(file.fd, kPages * kPage);
    volatile bool stop = false;
    Child storer([&] {
        for (;;)
            for (long page = 0; page < kPages; page++)
                gets_signal(SIGBUS, [&] { mapping.v(page * kPage + 100) = 'x'; });
    });
    std::thread syncer([&] {
        while (!stop)
            fsync(file.fd);
    });
    double end = seconds() + 4;
    for (long i = 0; seconds() < end; i++) {
        file.size(i % kPages * kPage + 1);
        file.size(kPages * kPage);
        for (char byte : file.read(i % kPages * kPage + 1, 50))
            expect(byte == 0);
    }
    stop = true;
    syncer.join();
    file.size(0);
    expect(file.status().st_blocks == 0);
}

CASE("truncate", "a pinned page holds a truncation off until a signal or its release")
{
    File file("f");
    file.write(0, pattern(4 * kPage, 5));
    Mapping mapping(file.fd, 4 * kPage);
    struct sigaction action = {};
    action.sa_handler = on_alarm;  // without SA_RESTART
    must(sigaction(SIGALRM, &action, nullptr));
    {
        PinnedByPipe pin(&mapping[2 * kPage], 100);
        alarm(1);
        expect_errno(ftruncate(file.fd, kPage), EINTR);
        expect(file.status().st_size == 4 * kPage);
        expect(file.read(0, 4 * kPage) == pattern(4 * kPage, 5));
        file.size(3 * kPage);  // behind the pinned page
        std::thread releaser([&] {
            usleep(300000);
            char bytes[100];
            expect(must(read(pin.ends[0], bytes, 100)) == 100);
            expect(memcmp(bytes, pattern(4 * kPage, 5).data() + 2 * kPage, 100) == 0);
        });
        double begin = seconds();
        file.size(kPage);
        double took = seconds() - begin;
        releaser.join();
        expect(took > 0.1);
    }
    expect(file.read(0, 2 * kPage) == pattern(4 * kPage, 5).substr(0, kPage));
}

CASE("truncate", "a page in a pipe keeps its contents when its file is removed")
{
    std::string text = pattern(kPage, 6);
    int ends[2];
    must(pipe(ends));
    long before = free_blocks();
    std::thread reader;
    {
        File file("f");
        file.write(0, text);
        {
            Mapping mapping(file.fd, kPage, PROT_READ);
            iovec piece{mapping.data, kPage};
            expect(must(vmsplice(ends[1], &piece, 1, 0)) == kPage);
        }
        reader = std::thread([&] {
            usleep(500000);
            std::string got(kPage, ' ');
            if (read(ends[0], got.data(), got.size()) != kPage || got != text)
                abort();
        });
    }
    reader.join();
    close(ends[0]);
    close(ends[1]);
    expect(free_blocks() >= before);
}

CASE("truncate", "a page in a pipe outlives an unmount and its file: it is given to nobody")
{
    std::string text = pattern(kPage, 7);
    long before = free_blocks();
    {
        int ends[2];
        must(pipe(ends));
        {
            File file("f");
            file.write(0, text);
            {
                Mapping mapping(file.fd, kPage, PROT_READ);
                iovec piece{mapping.data, kPage};
                expect(must(vmsplice(ends[1], &piece, 1, 0)) == kPage);
            }
            file.shut();
            remount();
        }
        File hog("hog");
        std::string megabyte = repeated(1 << 20, 'h');
        for (long at = 0, wrote = 1; wrote > 0; at += wrote)
            wrote = pwrite(hog.fd, megabyte.data(), megabyte.size(), at);
        expect(errno == ENOSPC);
        std::string got(kPage, ' ');
        expect(must(read(ends[0], got.data(), got.size())) == kPage);
        expect(got == text);
        close(ends[0]);
        close(ends[1]);
    }
    expect(free_blocks() == before);
}

CASE("truncate", "no space for a store: SIGBUS, loads go on, space brings stores back")
{
    File file("f");
    constexpr long kPages = 64;
    file.size(kPages * kPage);
    Mapping mapping(file.fd, kPages * kPage);
    {
        File hog("hog");
        std::string megabyte = repeated(1 << 20, 'h');
        long at = 0;
        for (long wrote = 1; wrote > 0; at += wrote) {
            wrote = pwrite(hog.fd, megabyte.data(), megabyte.size(), at);
            if (wrote <= 0)
                break;
        }
        expect(errno == ENOSPC);
        expect(hog.status().st_size == at);
        expect_errno(pwrite(hog.fd, "x", 1, at + 10 * kPage), ENOSPC);
        expect(hog.status().st_size == at);
        long failed = 0;
        for (long page = 0; page < kPages; page++)
            failed += gets_signal(SIGBUS, [&] { mapping.v(page * kPage) = 'x'; });
        expect(failed > 0);
        expect(mapping.v((kPages - 1) * kPage) == 0);
        expect(must(pwrite(hog.fd, "over", 4, 0)) == 4);
    }
    for (long page = 0; page < kPages; page++)
        mapping.v(page * kPage) = 'y';
    expect(file.read((kPages - 1) * kPage, 1) == "y");
}

CASE("truncate", "filled and emptied three times, the capacity is the same")
{
    long before = free_blocks(), fitted = 0;
    for (int round = 0; round < 3; round++) {
        File file("f");
        std::string megabyte = repeated(1 << 20, 'h');
        long at = 0, wrote;
        while ((wrote = pwrite(file.fd, megabyte.data(), megabyte.size(), at)) > 0)
            at += wrote;
        expect(errno == ENOSPC);
        if (round == 0)
            fitted = at;
        expect(at == fitted);
        file.size(0);
        expect(free_blocks() == before);
    }
    expect(fitted > before / 10 * 9 * kPage);
}
