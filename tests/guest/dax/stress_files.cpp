// SPDX-License-Identifier: GPL-2.0
// Files that come, grow and go while several processes and threads use them.
#include <sys/statvfs.h>
#include <csignal>
#include <memory>
#include <random>

#include "harness.hpp"

namespace {

double duration() { return 2.0 * static_cast<double>(soak()); }

}  // namespace

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
