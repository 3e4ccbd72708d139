// SPDX-License-Identifier: GPL-2.0
//
// faults NAME=DIRECTORY...: how many page faults (getrusage) it takes to store to, and to load from, each
// page of 64 MiB of a file, on the file systems mounted there. The first one is held against the others.
//
// Each row is done where no 2 MiB page fits, because file and memory are apart by a page, and where each
// does. Accesses are plain loads and stores of a word for each 4 KiB, from front to back. The emulator turns
// an instruction that loads and stores into two faults, so there is none.
//
// Prints a table in Markdown, then for each row, in TAP's way, whether the first needs no more faults than
// the better of the others; where it loads pages of 4 KiB that exist, no more than an eighth.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr long kPage = 4096, kHuge = 512 * kPage;
constexpr long kBytes = 64L << 20;

void must(bool good, const std::string& what)
{
    if (good)
        return;
    perror(what.c_str());
    exit(2);
}

long faults()
{
    struct rusage usage;
    must(getrusage(RUSAGE_THREAD, &usage) == 0, "getrusage");
    return usage.ru_minflt + usage.ru_majflt;
}

enum class File { Hole, Allocated, Written };
enum class Access { Load, Store };

struct Row {
    const char* name;
    Access access;
    File file;
    int flags = MAP_SHARED;
};

constexpr Row kRows[] = {
    {"stores, hole", Access::Store, File::Hole},       {"stores, allocated", Access::Store, File::Allocated},
    {"stores, written", Access::Store, File::Written}, {"loads, written", Access::Load, File::Written},
    {"loads, hole", Access::Load, File::Hole},
    {"private stores, hole", Access::Store, File::Hole, MAP_PRIVATE},
    {"private stores, written", Access::Store, File::Written, MAP_PRIVATE},
};

int make_file(const std::string& path, File kind)
{
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
    must(file >= 0 && ftruncate(file, kBytes) == 0, path);
    if (kind != File::Hole)
        must(posix_fallocate(file, 0, kBytes) == 0, "fallocate");
    const std::string chunk(kHuge, 'w');
    for (long at = 0; kind == File::Written && at < kBytes; at += kHuge)
        must(pwrite(file, chunk.data(), kHuge, at) == kHuge, "write");
    must(fsync(file) == 0, "fsync");
    return file;
}

// Maps the file `apart` bytes behind a 2 MiB boundary.
class Mapping {
  public:
    Mapping(int file, int flags, long apart)
    {
        room_ = mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        must(room_ != MAP_FAILED, "mmap");
        const auto boundary = (reinterpret_cast<uintptr_t>(room_) + kHuge - 1) / kHuge * kHuge;
        void* at = reinterpret_cast<void*>(boundary + static_cast<uintptr_t>(apart));
        at = mmap(at, kBytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0);
        must(at != MAP_FAILED, "mmap");
        bytes_ = static_cast<volatile char*>(at);
    }
    ~Mapping() { munmap(room_, kRoom); }

    long go_over(Access access)
    {
        const long before = faults();
        for (long at = 0; at < kBytes; at += kPage) {
            volatile uint64_t& word = *reinterpret_cast<volatile uint64_t*>(bytes_ + at);
            if (access == Access::Store)
                word = static_cast<uint64_t>(at);
            else
                sum_ = sum_ + word;
        }
        return faults() - before;
    }

  private:
    static constexpr size_t kRoom = kBytes + 2 * kHuge;
    void* room_;
    volatile char* bytes_;
    uint64_t sum_ = 0;
};

long count(const std::string& directory, const Row& row, long apart)
{
    const std::string path = directory + "/faults";
    const int file = make_file(path, row.file);
    const long counted = Mapping(file, row.flags, apart).go_over(row.access);
    close(file);
    unlink(path.c_str());
    return counted;
}

struct FileSystem {
    std::string name, directory;
};

class Table {
  public:
    explicit Table(std::vector<FileSystem> systems) : systems_(std::move(systems)) {}

    void heading() const
    {
        printf("| %-30s |", "64 MiB");
        for (const FileSystem& system : systems_)
            printf(" %8s |", system.name.c_str());
        printf("\n|:%s|", std::string(31, '-').c_str());
        for (size_t i = 0; i < systems_.size(); i++)
            printf("---------:|");
        printf("\n");
    }

    void row(const Row& row, long apart)
    {
        const std::string name = std::string(row.name) + (apart ? ", apart" : "");
        std::vector<long> counts;
        printf("| %-30s |", name.c_str());
        for (const FileSystem& system : systems_) {
            counts.push_back(count(system.directory, row, apart));
            printf(" %8ld |", counts.back());
        }
        printf("\n");
        const bool must_be_few = apart && row.access == Access::Load && row.file == File::Written;
        const long better = *std::min_element(counts.begin() + 1, counts.end());
        const long most = must_be_few ? better / 8 : better;
        verdicts_ += counts[0] <= most ? "ok" : "not ok";
        verdicts_ +=
            " - " + name + ": " + std::to_string(counts[0]) + " faults, of " + std::to_string(most) + "\n";
    }

    void verdicts() const { printf("%s", verdicts_.c_str()); }

  private:
    std::vector<FileSystem> systems_;
    std::string verdicts_;
};

}  // namespace

int main(int argc, char** argv)
{
    std::vector<FileSystem> systems;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        must(equals != std::string::npos, "usage: faults NAME=DIRECTORY NAME=DIRECTORY...");
        systems.push_back({word.substr(0, equals), word.substr(equals + 1)});
    }
    must(systems.size() > 1, "usage: faults NAME=DIRECTORY NAME=DIRECTORY...");
    Table table(systems);
    table.heading();
    for (const Row& row : kRows)
        for (const long apart : {kPage, 0L})
            table.row(row, apart);
    table.verdicts();
    return 0;
}
