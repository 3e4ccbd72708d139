// SPDX-License-Identifier: GPL-2.0
// Many threads and processes on the same pages of shared files, with everything that stores, un-maps, pins or
// frees.
//
// Contents are stamps. A page has eight slots of 512 bytes, and a slot has one worker that stores to it. A
// stamp names its file, its worker, and which of that worker's stores it is of, so whatever is read tells
// where it comes from: each word of a slot is zero or a stamp of this file and this worker, always and for
// everybody. The worker knows more:
//
//   - what it stored last is there: no store is lost, no older one comes back;
//   - zero may be there instead where a wipe (truncation, punch, zeroing) went on between the store's
//   beginning and now;
//   - zero must be there where a wipe began after the store had returned, and ended: nothing is resurrected.
//
// For that, each slot counts the wipes that have begun and those that have ended; there is one wiper for each
// file. What happens in which order is left to chance; the operations done are printed.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <cstdlib>
#include <mutex>

#include "stress_worker.hpp"

using namespace stress;

namespace {

// With stress_files.cpp 20 seconds; with TARN_SOAK=90 half an hour.
double duration() { return 16.0 * static_cast<double>(soak()); }

std::atomic<bool> stop;
std::mutex failure_lock;
std::string failure;

// Runs a thread's work until it is done or has failed; the first failure ends all.
void guarded(const std::function<void()>& work)
{
    try {
        work();
    } catch (const std::exception& error) {
        std::lock_guard guard(failure_lock);
        if (failure.empty())
            failure = error.what();
        stop = true;
    }
}

// ---- a wiper, and the others ------------------------------------------------------------------------------

// Runs `wipe`, which makes the slots in [from, to) zeroes, but for what is stored meanwhile.
template <class Wipe>
void wipe_range(Shared& shared, long from, long to, Wipe wipe)
{
    for (long slot = from / kSlotBytes; slot < to / kSlotBytes; slot++)
        shared.wipes[static_cast<size_t>(slot)].begun++;
    wipe();
    for (long slot = from / kSlotBytes; slot < to / kSlotBytes; slot++)
        shared.wipes[static_cast<size_t>(slot)].ended++;
}

void wiper(Shared& shared)
{
    std::mt19937_64 random(static_cast<unsigned long>(shared.number) + 300);
    const auto below = [&](long bound) {
        return static_cast<long>(random() % static_cast<unsigned long>(bound));
    };
    const int fd = shared.file.fd;
    while (!stop) {
        // In slots, in pages, or in 2 MiB.
        const long unit = below(3) == 0 ? kSlotBytes : below(4) ? kPage : kHuge;
        const long from = below(kBytes / unit) * unit;
        const long to = std::min(kBytes, from + (1 + below(unit == kHuge ? 2 : 40)) * unit);
        switch (below(5)) {
            case 0:
                wipe_range(shared, from, kBytes, [&] {
                    shared.file.size(from);
                    if (below(2))
                        usleep(500);
                    shared.file.size(kBytes);
                });
                break;
            case 1:
            case 2:
                wipe_range(shared, from, to, [&] {
                    must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from));
                });
                break;
            case 3:
                wipe_range(shared, from, to,
                           [&] { must(fallocate(fd, FALLOC_FL_ZERO_RANGE, from, to - from)); });
                break;
            default: must(fallocate(fd, 0, from, to - from));
        }
        usleep(static_cast<unsigned>(below(20000)));
    }
}

// Throws when one of the words, which are read from that page on, was put there by nobody at any time.
void look_for_foreign(long file, long page, const std::vector<uint64_t>& words)
{
    for (size_t i = 0; i < words.size(); i++) {
        const long slot = static_cast<long>(i) / kWords % kSlots;
        if (!is_plausible(words[i], file, slot))
            throw std::runtime_error("file " + std::to_string(file) + ", page " +
                                     std::to_string(page + static_cast<long>(i) * 8 / kPage) + ", slot " +
                                     std::to_string(slot) +
                                     " holds foreign bytes: " + std::to_string(words[i]));
    }
}

constexpr size_t kWatched = 16 * kPage / 8;

// Looks at everything, and must not see anything that cannot be there.
void watcher(std::vector<std::unique_ptr<Shared>>& files)
{
    std::mt19937_64 random(400);
    std::vector<uint64_t> words(kWatched);
    while (!stop) {
        Shared& shared = *files[random() % kFiles];
        Mapping mapping(shared.file.fd, kBytes, PROT_READ, random() % 2 ? MAP_SHARED : MAP_PRIVATE);
        for (int round = 0; round < 30; round++) {
            const long page = static_cast<long>(random() % (kPages - 16));
            size_t got = words.size();
            if (random() % 2)
                got = static_cast<size_t>(
                          must(pread(shared.file.fd, words.data(), words.size() * 8, page * kPage))) /
                      8;
            else if (!reaches([&] { memcpy(words.data(), &mapping[page * kPage], words.size() * 8); }))
                continue;
            words.resize(got);
            look_for_foreign(shared.number, page, words);
            words.resize(kWatched);
        }
    }
}

void disturber()
{
    std::mt19937_64 random(500);
    const int root = must(open(dir().c_str(), O_RDONLY | O_DIRECTORY));
    const int drop = must(open("/proc/sys/vm/drop_caches", O_WRONLY));
    while (!stop) {
        switch (random() % 4) {
            case 0: sync(); break;
            case 1: must(syncfs(root)); break;
            case 2: must(write(drop, "2", 1)); break;
            default: usleep(30000);
        }
    }
    close(root);
    close(drop);
}

// Freezes and thaws. A process of its own: among the threads it could wait for mmap_lock,
// which faults hold that wait for the thaw.
void freezer(volatile char& is_wanted)
{
    const int root = must(open(dir().c_str(), O_RDONLY | O_DIRECTORY));
    while (is_wanted) {
        must(ioctl(root, FIFREEZE, 0));
        usleep(1000);
        must(ioctl(root, FITHAW, 0));
        usleep(200000);
    }
}

// Whether the checks complain of `planted` in a slot, put there behind its worker's back; the slot is as it
// was afterwards.
bool finds(Worker& worker, Shared& shared, Place at, const std::vector<uint64_t>& planted)
{
    std::vector<uint64_t> good(kWords);
    const long offset = at.page * kPage;
    must(pread(shared.file.fd, good.data(), kSlotBytes, offset));
    must(pwrite(shared.file.fd, planted.data(), kSlotBytes, offset));
    bool found = false;
    try {
        worker.read(at, "planted");
    } catch (const std::exception& problem) {
        printf("# %s\n", problem.what());
        found = true;
    }
    must(pwrite(shared.file.fd, good.data(), kSlotBytes, offset));
    worker.read(at, "as it was");
    return found;
}

}  // namespace

CASE("stress", "the checks see what is lost, stale, resurrected or foreign, where it is planted")
{
    std::vector<std::unique_ptr<Shared>> files;
    for (long file = 0; file < kFiles; file++)
        files.push_back(std::make_unique<Shared>(file, "planted" + std::to_string(file)));
    Worker worker(0, files, -1);
    Shared& shared = *files[0];
    const Place at{0, 5};
    std::vector<uint64_t> older(kWords), newer(kWords), zeroes(kWords);
    worker.write(at);
    must(pread(shared.file.fd, older.data(), kSlotBytes, at.page * kPage));
    worker.write(at);
    must(pread(shared.file.fd, newer.data(), kSlotBytes, at.page * kPage));
    std::vector<uint64_t> torn = newer;
    torn[kWords - 1] = older[0];

    expect(!finds(worker, shared, at, newer));
    expect(finds(worker, shared, at, older));
    expect(finds(worker, shared, at, torn));
    expect(finds(worker, shared, at, zeroes));
    expect(finds(worker, shared, at, std::vector<uint64_t>(kWords, stamp(1, 0, 1))));
    wipe_range(shared, at.page * kPage, (at.page + 1) * kPage, [&] {
        must(fallocate(shared.file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at.page * kPage, kPage));
    });
    expect(!finds(worker, shared, at, zeroes));
    expect(finds(worker, shared, at, newer));

    look_for_foreign(0, 0, older);
    bool found = false;
    try {
        look_for_foreign(1, 0, older);
    } catch (const std::exception&) {
        found = true;
    }
    expect(found);
}

CASE("stress", "everything at once on shared files: nothing is lost, nothing comes back, nothing is foreign")
{
    const char* elsewhere = getenv("OTHER");
    expect(elsewhere != nullptr);
    const int other =
        must(open((std::string(elsewhere) + "/sectors").c_str(), O_RDWR | O_CREAT | O_DIRECT, 0644));
    must(ftruncate(other, kWorkers * kPage));
    catch_bus();
    stop = false;
    Mapping freezing(-1, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    freezing.v(0) = 1;
    Child freezes([&] { freezer(freezing.v(0)); });

    std::vector<std::unique_ptr<Shared>> files;
    for (long file = 0; file < kFiles; file++)
        files.push_back(std::make_unique<Shared>(file, "shared" + std::to_string(file)));
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<std::thread> threads;
    for (long w = 0; w < kWorkers; w++)
        workers.push_back(std::make_unique<Worker>(w, files, other));
    for (auto& worker : workers)
        threads.emplace_back([&] { guarded([&] { worker->run(stop); }); });
    for (auto& shared : files)
        threads.emplace_back([&] { guarded([&] { wiper(*shared); }); });
    threads.emplace_back([&] { guarded([&] { watcher(files); }); });
    threads.emplace_back([&] { guarded(disturber); });
    for (const double end = seconds() + duration(); !stop && seconds() < end;)
        usleep(50000);
    stop = true;
    freezing.v(0) = 0;
    freezes.wait();
    for (auto& thread : threads)
        thread.join();
    if (!failure.empty())
        throw std::runtime_error(failure);

    print_done();
    printf("# faults of 2 MiB: %ld\n", huge_faults());
    expect(huge_faults() > 0);
    for (auto& worker : workers) {
        worker->check_all();
        worker->forget_mappings();
    }
    for (auto& shared : files)
        shared->file.shut();
    remount();
    for (auto& shared : files)
        shared->file.reopen();
    for (auto& worker : workers)
        worker->check_all();
    close(other);
}
