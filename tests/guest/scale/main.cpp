// SPDX-License-Identifier: GPL-2.0
//
// What scale.test does very often: names of one file in a directory, and extents of a file, made and removed
// in orders that have nothing to do with each other.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
    else {
        fputs(
            "usage: scale make-names|check-names|remove-half|remove-rest DIRECTORY COUNT\n"
            "       scale make-extents|punch-half FILE COUNT\n",
            stderr);
        return 2;
    }
    return 0;
}
