// SPDX-License-Identifier: GPL-2.0
//
// The work that tests/guest/kill cuts short, and the check of what is left of it.
//
// Each worker has a directory of its own and a model of it: an endless sequence of operations that a seed
// decides, each chosen so that it must succeed. When an operation has returned, the worker says so to the log
// ("WORKER COUNT"), which lies outside the file system. After a power cut, the same seed and the last counts
// rebuild the models, and each directory must equal its model, but for the one operation that may have been
// under way:
//   - an operation on names, sizes or attributes happened or did not (renames, links, truncates, allocations, ranges taken
//     out or put in, extended attributes ...), and a file made without a name has its name and all of its bytes or none;
//   - of a write, of stores through a mapping, or of the zeroes of a punch, each byte is there or not, and the
//     size is in between; but where a write has made the file grow, all it put below the new size is there.
// Then that operation is done (again) and the sequence goes on.
//
// Invariants: an operation is a pure function of the seed and the models' state, so the log need not say what
// it was. Every operation can be done again over its own partial result.

#include "../tracer/mark.h"
#include "disk.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

using namespace powercut;

namespace {

struct Options {
    std::string directory;
    std::string log = "/dev/null";
    uint64_t seed = 1;
    std::vector<uint64_t> done = {0};
    uint64_t operations = UINT64_MAX;  // each worker stops after so many
    bool sync_each = false;
    bool only_verify = false;
};

[[noreturn]] void die(const std::string& message)
{
    fprintf(stderr, "powercut: %s\n", message.c_str());
    exit(2);
}

class Worker {
  public:
    Worker(const Options& options, size_t number, int log)
        : options_(options),
          number_(number),
          log_(log),
          root_(options.directory + "/w" + std::to_string(number)),
          random_(worker_seed(options.seed, number)),
          hands_(root_),
          view_(root_)
    {
    }

    // Rebuilds the model, and compares. Returns what is wrong, or nothing.
    std::string verify();
    // Does what was under way at the cut, then the rest of the sequence.
    void run();
    // After run(): everything must be there.
    std::string verify_end() { return Comparison(model_, view_, nullptr).difference(); }

  private:
    void acknowledge();
    void must(const Operation& op)
    {
        if (!hands_.execute(op))
            die(describe(op) + " failed: " + strerror(errno));
    }
    std::string describe(const Operation& op) const
    {
        return "worker " + std::to_string(number_) + ", operation " + std::to_string(count_) + " (" +
               op.text() + ")";
    }

    const Options& options_;
    size_t number_;
    int log_;
    std::string root_;
    Random random_;
    Model model_;
    Hands hands_;
    DiskView view_;
    uint64_t count_ = 0;
    Operation pending_{Action::Sync};
    bool pending_happened_ = false;
};

std::string Worker::verify()
{
    for (uint64_t done = options_.done[number_]; count_ < done; count_++)
        model_.apply(Chooser(model_, random_).choose());
    if (mkdir(root_.c_str(), 0755) == 0 && count_ > 0)
        return root_ + " is gone";
    pending_ = Chooser(model_, random_).choose();
    const Verdict verdict = judge(model_, pending_, describe(pending_), view_);
    pending_happened_ = verdict.happened;
    if (verdict.problem.empty())
        return "";
    return "after " + std::to_string(count_) + " acknowledged operations, " + verdict.problem;
}

void Worker::run()
{
    while (count_ < options_.operations) {
        if (!std::exchange(pending_happened_, false))
            must(pending_);
        model_.apply(pending_);
        count_++;
        acknowledge();
        pending_ = Chooser(model_, random_).choose();
    }
}

// For who traces the emulator: see tests/guest/tracer.
void leave_mark(size_t worker)
{
    switch (worker) {
        case 0: LEAVE_MARK(0); break;
        case 1: LEAVE_MARK(1); break;
        case 2: LEAVE_MARK(2); break;
        case 3: LEAVE_MARK(3); break;
    }
}

void Worker::acknowledge()
{
    if (options_.sync_each) {
        Fd fd(root_, O_RDONLY | O_DIRECTORY);
        if (syncfs(fd.get()) != 0)
            die(std::string("syncfs: ") + strerror(errno));
    }
    leave_mark(number_);
    char line[64];
    int length = snprintf(line, sizeof line, "%zu %llu\n", number_, static_cast<unsigned long long>(count_));
    if (write(log_, line, static_cast<size_t>(length)) != length)
        die(std::string("log: ") + strerror(errno));
}

std::vector<uint64_t> parse_list(const char* text)
{
    std::vector<uint64_t> list;
    for (char* end; *text != 0; text = *end == ',' ? end + 1 : end) {
        list.push_back(strtoull(text, &end, 10));
        if (end == text)
            die(std::string("'") + text + "' is not a list of numbers");
    }
    return list;
}

constexpr char kUsage[] =
    "usage: powercut DIRECTORY [--seed N] [--done N,N,...] [--log FILE] [--operations N] [--sync-each] "
    "[--verify]\n"
    "Verifies what a power cut has left in DIRECTORY, then goes on working there.\n"
    "  --done N,N,...   how many operations each worker had acknowledged (also: how many workers there are)\n"
    "  --operations N   stop when each worker has done N operations in all, and verify again\n"
    "  --sync-each      syncfs before each acknowledgement, for file systems that need it\n"
    "  --verify         stop after verifying\n";

Options parse(int argc, char** argv)
{
    Options options;
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        bool more = i + 1 < argc;
        if (word == "--seed" && more)
            options.seed = strtoull(argv[++i], nullptr, 10);
        else if (word == "--done" && more)
            options.done = parse_list(argv[++i]);
        else if (word == "--log" && more)
            options.log = argv[++i];
        else if (word == "--operations" && more)
            options.operations = strtoull(argv[++i], nullptr, 10);
        else if (word == "--sync-each")
            options.sync_each = true;
        else if (word == "--verify")
            options.only_verify = true;
        else if (word[0] != '-' && options.directory.empty())
            options.directory = word;
        else {
            fputs(kUsage, stderr);
            exit(2);
        }
    }
    if (options.directory.empty()) {
        fputs(kUsage, stderr);
        exit(2);
    }
    return options;
}

// Prints each worker's problem; returns whether there was none.
template <typename Check>
bool all_well(std::vector<Worker*>& workers, Check check)
{
    bool well = true;
    for (Worker* worker : workers) {
        std::string problem = check(*worker);
        if (!problem.empty())
            printf("powercut: %s\n", problem.c_str());
        well = well && problem.empty();
    }
    return well;
}

}  // namespace

int main(int argc, char** argv)
{
    umask(022);
    Options options = parse(argc, argv);
    int log = open(options.log.c_str(), O_WRONLY | O_CLOEXEC);
    if (log < 0)
        die(options.log + ": " + strerror(errno));
    std::vector<Worker*> workers;
    for (size_t i = 0; i < options.done.size(); i++)
        workers.push_back(new Worker(options, i, log));
    if (!all_well(workers, [](Worker& worker) { return worker.verify(); }))
        return 1;
    if (options.only_verify)
        return 0;
    if (write(log, "go\n", 3) != 3)
        die(std::string("log: ") + strerror(errno));
    LEAVE_MARK(MARK_BEGIN);
    std::vector<std::jthread> threads;
    for (Worker* worker : workers)
        threads.emplace_back([worker] { worker->run(); });
    threads.clear();
    return all_well(workers, [](Worker& worker) { return worker.verify_end(); }) ? 0 : 1;
}
