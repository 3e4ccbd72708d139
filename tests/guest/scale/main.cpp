// SPDX-License-Identifier: GPL-2.0
//
// What scale.test does very often: names of one file in a directory, and extents of a file, made and removed
// in orders that have nothing to do with each other. And what fsync-scale.test times: an fsync of one page
// that was stored to, in a large mapping.

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr uint64_t kBlock = 4096;
// Primes: a multiple of one, modulo a number it does not divide, goes through all numbers below.
constexpr uint64_t kMaking = 611953, kRemoving = 350377;

[[noreturn]] void die(const std::string& what)
{
    fprintf(stderr, "scale: %s: %s\n", what.c_str(), strerror(errno));
    exit(1);
}

void must(bool good, const std::string& what)
{
    if (!good)
        die(what);
}

int open_or_die(const char* path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0644);
    must(fd >= 0, path);
    return fd;
}

std::string name_of(uint64_t number) { return "entry-" + std::to_string(number); }

void make_names(const char* path, uint64_t count)
{
    const int dir = open_or_die(path, O_RDONLY | O_DIRECTORY);
    const int first = openat(dir, name_of(0).c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
    must(first >= 0 && close(first) == 0, "the first name");
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t number = i * kMaking % count;
        must(number == 0 || linkat(dir, name_of(0).c_str(), dir, name_of(number).c_str(), 0) == 0, "link");
    }
}

// Each name is listed once and can be looked up.
void check_names(const char* path, uint64_t count)
{
    const int dir = open_or_die(path, O_RDONLY | O_DIRECTORY);
    DIR* stream = fdopendir(dup(dir));
    std::vector<bool> seen(count);
    uint64_t listed = 0;
    while (const dirent* entry = readdir(stream)) {
        if (entry->d_name[0] == '.')
            continue;
        const uint64_t number = strtoull(entry->d_name + strlen("entry-"), nullptr, 10);
        must(number < count && !seen[number], std::string("listed twice: ") + entry->d_name);
        seen[number] = true;
        listed++;
    }
    closedir(stream);
    must(listed == count, "listed only " + std::to_string(listed));
    struct stat status;
    for (uint64_t number = 0; number < count; number += 101)
        must(fstatat(dir, name_of(number).c_str(), &status, 0) == 0 && status.st_nlink == count,
             name_of(number));
    must(fstatat(dir, name_of(count).c_str(), &status, 0) != 0 && errno == ENOENT,
         "a name that is not there");
}

// The names from `from` on, in the order of removing.
void remove_names(const char* path, uint64_t count, uint64_t from, uint64_t to)
{
    const int dir = open_or_die(path, O_RDONLY | O_DIRECTORY);
    for (uint64_t i = from; i < to; i++)
        must(unlinkat(dir, name_of(i * kRemoving % count).c_str(), 0) == 0, "unlink");
}

// Every second block, so that no two are one extent.
void allocate(const char* path, int mode, uint64_t prime, uint64_t count, uint64_t to)
{
    const int fd = open_or_die(path, O_CREAT | O_WRONLY);
    for (uint64_t i = 0; i < to; i++) {
        const uint64_t at = i * prime % count * 2 * kBlock;
        must(fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at), kBlock) == 0, "fallocate");
    }
}

uint64_t now()
{
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000000000 + static_cast<uint64_t>(time.tv_nsec);
}

// The pages of 4 KiB that the mount tracks.
uint64_t tracked()
{
    FILE* counts = fopen("/sys/kernel/debug/tarnfs/pmem0/dax", "r");
    must(counts, "the counts of the mount");
    char line[256];
    unsigned long long found = 0;
    while (fgets(line, sizeof line, counts) && sscanf(line, "entries_4k %llu", &found) != 1)
        ;
    fclose(counts);
    return found;
}

// Of a mapping of so many MiB, one page in 16 has been stored to and synced, and is mapped and clean. Then
// one of them after the other is stored to, and synced: what the cheapest of these fsyncs took, in
// nanoseconds, and how many pages were tracked before them.
void time_sync(const char* path, uint64_t mib)
{
    constexpr uint64_t kStep = 16 * kBlock, kRounds = 16;
    const uint64_t bytes = mib << 20;
    const int fd = open_or_die(path, O_CREAT | O_TRUNC | O_RDWR);
    must(ftruncate(fd, static_cast<off_t>(bytes)) == 0, "ftruncate");
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(at != MAP_FAILED && madvise(at, bytes, MADV_NOHUGEPAGE) == 0, "mmap");
    auto* mapped = static_cast<volatile char*>(at);
    for (uint64_t page = 0; page < bytes; page += kStep)
        mapped[page] = 1;
    must(fsync(fd) == 0, "fsync");
    for (uint64_t page = 0; page < bytes; page += kStep)
        must(mapped[page] == 1, "what was stored");
    const uint64_t before = tracked();
    uint64_t least = ~uint64_t{0};
    for (uint64_t round = 0; round < kRounds; round++) {
        mapped[bytes / kRounds * round] = 2;
        const uint64_t begin = now();
        must(fsync(fd) == 0, "fsync");
        least = std::min(least, now() - begin);
    }
    printf("%llu %llu\n", static_cast<unsigned long long>(least), static_cast<unsigned long long>(before));
}

}  // namespace

int main(int argc, char** argv)
{
    const std::string what = argc == 4 ? argv[1] : "";
    const uint64_t count = argc == 4 ? strtoull(argv[3], nullptr, 10) : 0;
    if (what == "make-names")
        make_names(argv[2], count);
    else if (what == "check-names")
        check_names(argv[2], count);
    else if (what == "remove-half")
        remove_names(argv[2], count, 0, count / 2);
    else if (what == "remove-rest")
        remove_names(argv[2], count, count / 2, count);
    else if (what == "make-extents")
        allocate(argv[2], 0, kMaking, count, count);
    else if (what == "punch-half")
        allocate(argv[2], FALLOC_FL_PUNCH_HOLE, kRemoving, count, count / 2);
    else if (what == "time-sync")
        time_sync(argv[2], count);
    else {
        fputs(
            "usage: scale make-names|check-names|remove-half|remove-rest DIRECTORY COUNT\n"
            "       scale make-extents|punch-half FILE COUNT\n"
            "       scale time-sync FILE MIB\n",
            stderr);
        return 2;
    }
    return 0;
}
