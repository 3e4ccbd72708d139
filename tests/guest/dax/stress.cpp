// SPDX-License-Identifier: GPL-2.0
// Many threads and processes on the same pages. Each word has one writer, so the last value is known.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <sys/statvfs.h>

#include "harness.hpp"

namespace {

double duration() { return 6.0 * static_cast<double>(soak()); }

using Word = volatile uint64_t;

}  // namespace

CASE("stress", "stores, writes, syncs, forks and truncations on the same pages")
{
    constexpr long kPages = 96, kWriters = 4;  // pages in use for words; behind them comes what is truncated
    File file("f");
    file.size(kPages * kPage);
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    std::vector<std::vector<uint64_t>> last(kWriters, std::vector<uint64_t>(kPages * 8));

    // Word w of writer t in a page is at t * 64 + w * 8.
    for (long t = 0; t < kWriters; t++)
        threads.emplace_back([&, t] {
            Mapping mapping(file.fd, kPages * kPage);
            std::mt19937_64 random(static_cast<unsigned long>(t));
            for (uint64_t round = 1; !stop; round++) {
                long page = static_cast<long>(random() % kPages), word = static_cast<long>(random() % 8);
                long at = page * kPage + t * 64 + word * 8;
                if (random() % 8)
                    *reinterpret_cast<Word*>(&mapping[at]) = round;
                else
                    must(pwrite(file.fd, &round, 8, at));
                last[static_cast<size_t>(t)][static_cast<size_t>(page * 8 + word)] = round;
                if (*reinterpret_cast<Word*>(&mapping[at]) != round)
                    abort();
            }
        });
    threads.emplace_back([&] {
        std::mt19937_64 random(100);
        while (!stop) {
            switch (random() % 4) {
            case 0: fsync(file.fd); break;
            case 1: sync(); break;
            case 2: sync_file_range(file.fd, static_cast<long>(random() % kPages) * kPage, kPage * 9, SYNC_FILE_RANGE_WRITE); break;
            default: usleep(1000);
            }
        }
    });
    threads.emplace_back([&] {
        Mapping mapping(file.fd, 2 * kPages * kPage);
        std::mt19937_64 random(200);
        while (!stop) {
            long end = (kPages + static_cast<long>(random() % kPages)) * kPage + static_cast<long>(random() % 2) * 100;
            file.size(end);
            for (long at = kPages * kPage; at + kPage <= end; at += kPage)
                if (mapping.load(at) != 0)
                    abort();
                else
                    mapping.v(at) = 'x';
            file.size(kPages * kPage);
        }
    });
    double end = seconds() + duration();
    while (seconds() < end) {
        Mapping mapping(file.fd, kPages * kPage);
        Child child([&] {
            for (long page = 0; page < kPages; page++)
                mapping.v(page * kPage + kWriters * 64) = 'c';
        });
        child.wait();
    }
    stop = true;
    for (auto& thread : threads)
        thread.join();
    auto verify = [&] {
        std::string all = file.read(0, kPages * kPage);
        for (long t = 0; t < kWriters; t++)
            for (long page = 0; page < kPages; page++)
                for (long word = 0; word < 8; word++) {
                    uint64_t value;
                    memcpy(&value, &all[static_cast<size_t>(page * kPage + t * 64 + word * 8)], 8);
                    expect(value == last[static_cast<size_t>(t)][static_cast<size_t>(page * 8 + word)]);
                }
    };
    verify();
    file.shut();
    remount();
    file.reopen();
    verify();
}

CASE("stress", "files made, mapped, filled and removed by several processes")
{
    struct statvfs before, after;
    must(statvfs(dir().c_str(), &before));
    {
        double end = seconds() + duration();
        std::vector<std::unique_ptr<Child>> workers;
        for (unsigned w = 0; w < 4; w++)
            workers.push_back(std::make_unique<Child>([&, w] {
                std::mt19937 random(w);
                while (seconds() < end) {
                    File file("worker" + std::to_string(w) + "." + std::to_string(random() % 3));
                    long pages = 1 + static_cast<long>(random() % 60);
                    file.size(pages * kPage);
                    Mapping mapping(file.fd, pages * kPage);
                    std::string text = pattern(pages * kPage, random() % 90);
                    memcpy(mapping.data, text.data(), text.size());
                    if (random() % 2)
                        must(fsync(file.fd));
                    expect(file.read(0, pages * kPage) == text);
                    if (random() % 2) {
                        file.size(0);
                        file.size(pages * kPage);
                        expect(mapping.v((pages - 1) * kPage) == 0);
                    }
                }
            }));
        for (auto& worker : workers)
            worker->wait();
    }
    must(statvfs(dir().c_str(), &after));
    expect(after.f_bavail + 64 > before.f_bavail);  // but for chunks of inodes
}

CASE("stress", "writers growing one file, and readers that never see what was not written")
{
    File file("f");
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++)
        threads.emplace_back([&] {
            std::string record = repeated(3000, 'r');
            int fd = must(open(file.path.c_str(), O_WRONLY | O_APPEND));
            while (!stop) {
                if (write(fd, record.data(), record.size()) != 3000)
                    abort();
                struct stat status;
                if (fstat(fd, &status) == 0 && status.st_size > 4000000)
                    usleep(1000);
            }
            close(fd);
        });
    threads.emplace_back([&] {
        while (!stop) {
            must(ftruncate(file.fd, 0));
            usleep(20000);
        }
    });
    double end = seconds() + duration();
    Mapping mapping(file.fd, 1 << 20);
    while (seconds() < end) {
        std::string all = file.read(0, 1 << 20);
        expect(all.find_first_not_of('r') == std::string::npos);
        gets_signal(SIGBUS, [&] {
            char seen = mapping.load(5000);
            if (seen != 'r' && seen != 0)
                abort();
        });
    }
    stop = true;
    for (auto& thread : threads)
        thread.join();
}
