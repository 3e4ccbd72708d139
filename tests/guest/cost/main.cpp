// SPDX-License-Identifier: GPL-2.0
//
// cost DIRECTORY COUNTERS: what operations of the real module cost, told by its counters (debugfs), beside
// what they may cost (tests/cost_budgets.hpp, the same as on the host). Each operation is done a hundred
// times, the median counts: what comes only now and then (a retirement, a node that splits, times that are
// written in the background) is bounded on the host. And what fsync writes back for each page that was stored
// to, wherever in a file it is.
//
// Prints a table, a line for each operation in TAP's way, and fails when one costs more.
#include "tests/cost_budgets.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr int kSamples = 100;
constexpr long kPage = 4096;

std::string root, counters_path;
int failures = 0;

void must(bool good, const std::string& what)
{
    if (good)
        return;
    perror(what.c_str());
    exit(2);
}

struct Counts {
    unsigned long long fences, flushes, lines, streamed, journal;
};

Counts read_counts()
{
    Counts counts;
    FILE* file = fopen(counters_path.c_str(), "r");
    must(file, counters_path);
    const int fields =
        fscanf(file,
               "counting 1 fences %llu device_flushes %llu lines_written_back %llu bytes_streamed %llu "
               "bytes_journal %llu",
               &counts.fences, &counts.flushes, &counts.lines, &counts.streamed, &counts.journal);
    must(fields == 5, "the counters' format");
    fclose(file);
    return counts;
}

using Step = std::function<void(int)>;

unsigned long long median(std::vector<unsigned long long> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void nothing(int) {}

// before and after are not counted.
void measure(const char* operation, const Step& before, const Step& step, const Step& after = nothing)
{
    std::vector<unsigned long long> fences, lines, journal, data;
    for (int i = 0; i < kSamples; i++) {
        before(i);
        const Counts from = read_counts();
        step(i);
        const Counts to = read_counts();
        after(i);
        fences.push_back(to.fences - from.fences);
        lines.push_back(to.lines - from.lines);
        journal.push_back(to.journal - from.journal);
        data.push_back(to.streamed - from.streamed - (to.journal - from.journal));
    }
    const Budget* budget = budget_of(operation);
    must(budget, std::string("a budget of ") + operation);
    const bool good = median(fences) <= budget->fences && median(lines) <= budget->lines &&
                      median(journal) <= budget->journal && median(data) <= budget->data;
    failures += !good;
    printf("%s - %-44s fences %llu of %llu, lines %llu of %llu, journal %llu of %llu, data %llu of %llu\n",
           good ? "ok" : "not ok", operation, median(fences), budget->fences, median(lines), budget->lines,
           median(journal), budget->journal, median(data), budget->data);
    fflush(stdout);
}

// ---- names ------------------------------------------------------------------------------------------------

std::string path(const std::string& dir, int i) { return root + "/" + dir + "/name" + std::to_string(i); }
std::string path(int i) { return path("dir", i); }

void make_file(const std::string& at)
{
    const int file = open(at.c_str(), O_CREAT | O_EXCL | O_RDWR, 0644);
    must(file >= 0, at);
    close(file);
}
void remove_file(const std::string& at) { must(unlink(at.c_str()) == 0, at); }
void create(int i) { make_file(path(i)); }
void remove_it(int i) { remove_file(path(i)); }

void names()
{
    const std::string target30(30, 't'), target200(200, 't'), other = root + "/other/target";
    make_file(other);
    measure("create", nothing, create, remove_it);
    measure(
        "mkdir", nothing, [](int i) { must(mkdir(path(i).c_str(), 0755) == 0, "mkdir"); },
        [](int i) { rmdir(path(i).c_str()); });
    measure(
        "mknod", nothing, [](int i) { must(mkfifo(path(i).c_str(), 0644) == 0, "mkfifo"); }, remove_it);
    measure(
        "symlink, target of 30 bytes", nothing,
        [&](int i) { must(symlink(target30.c_str(), path(i).c_str()) == 0, "symlink"); }, remove_it);
    measure(
        "symlink, target of 200 bytes", nothing,
        [&](int i) { must(symlink(target200.c_str(), path(i).c_str()) == 0, "symlink"); }, remove_it);
    auto make_link = [&](int i) { must(link(other.c_str(), path(i).c_str()) == 0, "link"); };
    measure("link", nothing, make_link, remove_it);
    measure("unlink, not the last name", make_link, remove_it);
}

void removals()
{
    int held = -1;
    auto hold = [&](int i) {
        create(i);
        held = open(path(i).c_str(), O_RDWR);
    };
    auto release = [&](int) { close(held); };
    measure("unlink, the last name", hold, remove_it, release);
    measure(
        "last close of a removed file without blocks",
        [&](int i) {
            hold(i);
            remove_it(i);
        },
        release);
    measure(
        "last close of a removed file of 64 KiB",
        [&](int i) {
            hold(i);
            const std::string bytes(65536, 'x');
            must(write(held, bytes.data(), bytes.size()) == 65536, "write");
            remove_it(i);
        },
        release);
    auto make_dir = [](int i) { must(mkdir(path(i).c_str(), 0755) == 0, "mkdir"); };
    measure(
        "rmdir",
        [&](int i) {
            make_dir(i);
            held = open(path(i).c_str(), O_RDONLY | O_DIRECTORY);
        },
        [](int i) { must(rmdir(path(i).c_str()) == 0, "rmdir"); }, release);
}

void renames()
{
    auto rename_to = [](const std::string& dir) {
        return [dir](int i) { must(rename(path(i).c_str(), path(dir, i + 1000).c_str()) == 0, "rename"); };
    };
    auto remove_from = [](const std::string& dir) {
        return [dir](int i) { remove_file(path(dir, i + 1000)); };
    };
    measure("rename in a directory", create, rename_to("dir"), remove_from("dir"));
    measure("rename across directories", create, rename_to("other"), remove_from("other"));
    measure(
        "rename of a directory across", [](int i) { must(mkdir(path(i).c_str(), 0755) == 0, "mkdir"); },
        rename_to("other"), [](int i) { rmdir(path("other", i + 1000).c_str()); });
    int held = -1;
    measure(
        "rename across over a file",
        [&](int i) {
            create(i);
            make_file(path("other", i + 1000));
            held = open(path("other", i + 1000).c_str(), O_RDWR);
        },
        rename_to("other"),
        [&](int i) {
            close(held);
            remove_file(path("other", i + 1000));
        });
    create(0);
    measure("chmod, chown, utimes", nothing,
            [](int i) { must(chmod(path(0).c_str(), i % 2 ? 0600 : 0644) == 0, "chmod"); });
    remove_it(0);
}

// ---- contents ---------------------------------------------------------------------------------------------

int file = -1;

void write_at(long offset, long length)
{
    static const std::string bytes(1 << 20, 'x');
    must(pwrite(file, bytes.data(), static_cast<size_t>(length), offset) == length, "write");
}
void resize(long size) { must(ftruncate(file, size) == 0, "truncate"); }
void begin_anew(long size = 0)
{
    resize(0);
    resize(size);
}
void change(int mode, long offset, long length)
{
    must(fallocate(file, mode, offset, length) == 0, "fallocate");
}

void writes()
{
    measure("append of 4 KiB", nothing, [](int i) { write_at(i * kPage, kPage); });
    begin_anew();
    measure("append of 16 KiB", nothing, [](int i) { write_at(i * 4 * kPage, 4 * kPage); });
    begin_anew();
    measure("append of 128 bytes", nothing, [](int i) { write_at(i * 128, 128); });
    begin_anew(100);
    measure(
        "append of 100 bytes over the end of a block", [](int i) { resize(i * kPage + kPage - 50); },
        [](int i) { write_at(i * kPage + kPage - 50, 100); });
    write_at(0, 256 * kPage);
    measure("overwrite of 64 bytes", nothing, [](int i) { write_at(i * kPage + 128, 64); });
    measure("overwrite of 4 KiB", nothing, [](int i) { write_at(i * kPage, kPage); });
    begin_anew(1024 * kPage);
    measure("write of 64 bytes into a hole", nothing, [](int i) { write_at(i * 2 * kPage + 64, 64); });
    begin_anew(1024 * kPage);
    measure("write of 4 KiB into a hole", nothing, [](int i) { write_at(i * 2 * kPage, kPage); });
    begin_anew(1024 * kPage);
    change(0, 0, 1024 * kPage);
    measure("write of 4 KiB into an unwritten block", nothing, [](int i) { write_at(i * 2 * kPage, kPage); });
}

void sizes()
{
    begin_anew();
    measure("truncate up", nothing, [](int i) { resize((i + 1) * kPage); });
    write_at(0, kSamples * kPage + 5);
    measure(
        "truncate up over a tail", [](int) { resize(kSamples * kPage + 5); },
        [](int) { resize((kSamples + 1) * kPage); });
    resize(kSamples * kPage);
    measure("truncate down by a block", nothing, [](int i) { resize((kSamples - 1 - i) * kPage); });
    write_at(0, 4 * kPage);
    measure(
        "truncate down in a block", [](int) { resize(4 * kPage); }, [](int) { resize(3 * kPage + 2048); });
    auto anew = [](int) { begin_anew(); };
    measure("fallocate of 1 MiB", anew, [](int) { change(0, 0, 256 * kPage); });
    measure("fallocate of 1 MiB behind the end", anew,
            [](int) { change(FALLOC_FL_KEEP_SIZE, 0, 256 * kPage); });
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    begin_anew();
    write_at(0, 256 * kPage);
    measure("punch a hole of a block", nothing, [=](int i) { change(punch, i * 2 * kPage, kPage); });
    begin_anew();
    write_at(0, 256 * kPage);
    measure("punch 100 bytes", nothing, [=](int i) { change(punch, i * 2 * kPage + 5, 100); });
    measure("zero a block", nothing, [](int i) { change(FALLOC_FL_ZERO_RANGE, i * 2 * kPage, kPage); });
}

void mappings()
{
    begin_anew(1024 * kPage);
    auto* mapped =
        static_cast<volatile char*>(mmap(nullptr, 1024 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    must(mapped != MAP_FAILED && madvise(const_cast<char*>(mapped), 1024 * kPage, MADV_NOHUGEPAGE) == 0,
         "mmap");
    auto load = [=](int i) { (void)mapped[i * 2 * kPage]; };
    auto store = [=](int i) { mapped[i * 2 * kPage] = 1; };
    auto sync = [](int) { must(fsync(file) == 0, "fsync"); };
    auto store_and = [=](int pages) {
        return [=](int) {
            for (int page = 0; page < pages; page++)
                mapped[page * kPage] = 2;
        };
    };
    measure("read fault on a hole", nothing, load);
    measure("write fault on a hole", nothing, store);
    change(0, 0, 1024 * kPage);
    measure("write fault on an unwritten block", nothing, [=](int i) { mapped[(i * 2 + 1) * kPage] = 1; });
    measure("read fault on a written block", sync, load);
    measure("write fault on a written block (mkwrite)", nothing, store);
    measure("fsync, nothing dirty", sync, sync);
    measure("fsync, 1 dirty page", store_and(1), sync);
    measure("fsync, 256 dirty pages", store_and(256), sync);
    munmap(const_cast<char*>(mapped), 1024 * kPage);
}

// What a fault makes writable along with its page is written back as well, whether it is stored to or not.
constexpr unsigned long long kMostLinesForPage = 72;

void fsync_after_stores(const char* what, const std::vector<long>& pages)
{
    constexpr long kFile = 64L << 20;
    begin_anew();
    for (long at = 0; at < kFile; at += 1 << 20)
        write_at(at, 1 << 20);
    void* at = mmap(nullptr, kFile, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(at != MAP_FAILED && madvise(at, kFile, MADV_NOHUGEPAGE) == 0, "mmap");
    auto* mapped = static_cast<volatile char*>(at);
    for (const long page : pages)
        mapped[page * kPage] = 3;
    const Counts from = read_counts();
    must(fsync(file) == 0, "fsync");
    const unsigned long long lines = read_counts().lines - from.lines;
    munmap(at, kFile);
    const bool good = lines <= kMostLinesForPage * pages.size();
    failures += !good;
    printf("%s - fsync after stores to %zu pages %s: %.2f lines a page, of %llu\n", good ? "ok" : "not ok",
           pages.size(), what, static_cast<double>(lines) / static_cast<double>(pages.size()),
           kMostLinesForPage);
}

void spread()
{
    std::vector<long> pages(16384);
    std::iota(pages.begin(), pages.end(), 0);
    fsync_after_stores("from front to back", {pages.begin(), pages.begin() + 5000});
    fsync_after_stores("from back to front", {pages.rbegin(), pages.rbegin() + 5000});
    std::shuffle(pages.begin(), pages.end(), std::mt19937(1));
    for (const long count : {100, 1000, 8000, 16384})
        fsync_after_stores("at random", {pages.begin(), pages.begin() + count});
}

void run()
{
    mkdir((root + "/dir").c_str(), 0755);
    mkdir((root + "/other").c_str(), 0755);
    for (int i = 0; i < 100; i++) {
        make_file(root + "/dir/present" + std::to_string(i));
        make_file(root + "/other/present" + std::to_string(i));
    }
    names();
    removals();
    renames();
    file = open((root + "/file").c_str(), O_CREAT | O_RDWR, 0644);
    must(file >= 0, "file");
    writes();
    sizes();
    mappings();
    spread();
    mkdir((root + "/large").c_str(), 0755);
    for (int i = 0; i < 10000; i++)
        make_file(path("large", i));
    measure(
        "create in a directory of 10,000", nothing, [](int i) { make_file(path("large", i + 10000)); },
        [](int i) { remove_file(path("large", i + 10000)); });
}

}  // namespace

int main(int count, char** arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: cost DIRECTORY COUNTERS\n");
        return 2;
    }
    root = arguments[1];
    counters_path = arguments[2];
    run();
    return failures ? 1 : 0;
}
