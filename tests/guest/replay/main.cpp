// SPDX-License-Identifier: GPL-2.0
//
// replay: cuts the power in a trace of a guest (tests/guest/tracer), again and again, and looks at what each
// cut leaves.
//
// The trace begins with a device whose contents are in a file, and runs powercut (tests/guest/powercut),
// which marks where work begins and where an operation has returned. At fences, before they complete, and at
// these marks an image is made of what is durable and of some of what is not; it is mounted (which recovers),
// compared with what had returned by then, unmounted and checked.
//
// With --ignore some of what the trace holds did not happen: a fence orders nothing, a line is not written
// back, a store goes to the cache. That is what the guest would have done without that instruction, because
// nothing in it can tell the difference; only a power cut can. Write-backs of 2 MiB at once can be left out
// alone, and so can those of less.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>

#include "../tracer/mark.h"
#include "core_view.hpp"
#include "cxxrt/host/host.hpp"
#include "device.hpp"
#include "fs/check/check.hpp"

using namespace replay;

namespace {

// So many power cuts are tried after something was ignored, because it shows best before the next fence; but
// not for ever.
constexpr uint64_t kNear = 3, kNearInAll = 300;

// Where 2 MiB are written back at once, that is a site of its own: this is added to the number.
constexpr uint32_t kHugeSite = 1u << 31;
constexpr uint64_t kHugeLines = (2 << 20) / kLine;

struct Options {
    std::string before, after, trace, save, last;
    uint64_t seed = 1;
    uint64_t images = 1000;
    std::set<uint32_t> ignored;
    bool sites = false;
};

class Trace {
  public:
    explicit Trace(const std::string& path)
    {
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        const off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        if (end <= 0)
            throw std::runtime_error(path + " is empty, or missing: the emulator saw no beacon");
        count_ = static_cast<size_t>(end) / sizeof(trace_event);
        void* at = mmap(nullptr, static_cast<size_t>(end), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        close(fd);
        if (at == MAP_FAILED)
            throw std::runtime_error(path + ": cannot be mapped");
        events_ = static_cast<trace_event*>(at);
        number_huge_sites();
    }

    size_t size() const { return count_; }
    const trace_event& operator[](size_t at) const { return events_[at]; }
    // Where the work begins.
    size_t begin_of_work() const
    {
        for (size_t at = 0; at < count_; at++) {
            if (events_[at].kind == TRACE_MARK && events_[at].data == MARK_BEGIN)
                return at;
        }
        throw std::runtime_error("no work in the trace");
    }

  private:
    // Write-backs of one site and one processor, of line after line.
    struct Run {
        uint64_t next = 0;
        std::vector<size_t> events;
    };

    void number_huge_sites()
    {
        std::map<std::pair<unsigned, uint32_t>, Run> runs;
        for (size_t at = 0; at < count_; at++) {
            if (events_[at].kind != TRACE_WRITE_BACK || events_[at].site == 0)
                continue;
            Run& run = runs[{events_[at].vcpu, events_[at].site}];
            if (events_[at].offset != run.next || run.events.size() == kHugeLines)
                run.events.clear();
            run.next = events_[at].offset + kLine;
            run.events.push_back(at);
            if (run.events.size() == kHugeLines) {
                for (const size_t event : run.events)
                    events_[event].site |= kHugeSite;
            }
        }
    }

    trace_event* events_;
    size_t count_;
};

// What a worker of powercut has seen return, and what it is about to do or doing.
class Worker {
  public:
    Worker(uint64_t seed, size_t number)
        : number_(number),
          random_(powercut::worker_seed(seed, number)),
          pending_(powercut::Chooser(model_, random_).choose())
    {
    }

    void acknowledge()
    {
        model_.apply(pending_);
        count_++;
        pending_ = powercut::Chooser(model_, random_).choose();
    }
    uint64_t count() const { return count_; }
    std::string judge(tarn::FileSystem& fs) const
    {
        CoreView view(fs, "w" + std::to_string(number_));
        const auto verdict = powercut::judge(
            model_, pending_, "operation " + std::to_string(count_) + " (" + pending_.text() + ")", view);
        return verdict.problem.empty()
                   ? ""
                   : "after " + std::to_string(count_) + " operations, " + verdict.problem;
    }

  private:
    size_t number_;
    powercut::Random random_;
    powercut::Model model_;
    powercut::Operation pending_;
    uint64_t count_ = 0;
};

void take_line(void* lines, const char* format, va_list arguments)
{
    char line[512];
    vsnprintf(line, sizeof line, format, arguments);
    *static_cast<std::string*>(lines) += std::string("\n  ") + line;
}

void take_log(void* lines, tarn_log_level, const char* line)
{
    *static_cast<std::string*>(lines) += std::string("\n  ") + line;
}

// Mounts, compares, unmounts and checks; what is wrong, or nothing.
std::string look_at(Image& image, const std::vector<Worker>& workers)
{
    tarn_device device = {};
    device.base = image.bytes();
    device.blocks = image.size() / tarn::kBlockSize;
    std::string log;
    tarn::host::set_log_sink(take_log, &log);
    tarn::Layout layout;
    {
        auto fs = tarn::FileSystem::open(device, tarn::Access::kReadWrite);
        if (!fs)
            return std::string("cannot be mounted: ") + describe(fs.error()) + log;
        for (const Worker& worker : workers) {
            std::string problem = worker.judge(*fs.value());
            if (!problem.empty())
                return problem + log;
        }
        layout = fs.value()->volume().layout();
    }
    tarn::Volume volume(device, layout);
    std::string problems;
    auto checked = tarn::check(volume, tarn::CheckReporter{&problems, take_line, nullptr});
    if (!checked)
        return std::string("cannot be checked: ") + describe(checked.error());
    return checked.value().problems ? "fsck finds:" + problems + log : "";
}

class Replay {
  public:
    Replay(const Options& options, const Trace& trace)
        : options_(options), trace_(trace), device_(options.before), random_(options.seed ^ 0x5eed)
    {
    }

    // Returns whether everything was well.
    bool run();

  private:
    static bool is_point(const trace_event& event)
    {
        return event.kind == TRACE_FENCE || (event.kind == TRACE_MARK && event.data < MARK_WORKERS);
    }
    void count_points(size_t begin);
    bool wanted();
    void take(const trace_event& event);
    void acknowledge(uint64_t worker);
    bool cut(size_t at);
    bool cut(size_t at, Survivors survivors);

    const Options& options_;
    const Trace& trace_;
    Device device_;
    powercut::Random random_;
    std::vector<Worker> workers_;
    uint64_t near_ignored_ = 0, near_tried_ = 0;  // points near something ignored: still to come, and seen
    bool is_near_ = false;                        // this point is
    uint64_t points_ = 0, fences_ = 0, images_ = 0, cuts_ = 0;
};

void Replay::count_points(size_t begin)
{
    std::set<uint64_t> numbers;
    for (size_t at = begin; at < trace_.size(); at++) {
        points_ += is_point(trace_[at]);
        fences_ += trace_[at].kind == TRACE_FENCE;
        if (trace_[at].kind == TRACE_MARK && trace_[at].data < MARK_WORKERS)
            numbers.insert(trace_[at].data);
    }
    for (size_t i = 0; i < numbers.size(); i++)
        workers_.emplace_back(options_.seed, i);
    if (workers_.empty() || *numbers.rbegin() + 1 != numbers.size())
        throw std::runtime_error("not every worker has done something");
}

void Replay::acknowledge(uint64_t worker)
{
    if (worker < workers_.size())
        workers_[worker].acknowledge();
}

void Replay::take(const trace_event& event)
{
    if (event.kind == TRACE_MARK)
        return acknowledge(event.data);
    if (!options_.ignored.contains(event.site) || event.site == 0)
        return device_.apply(event);
    near_ignored_ = std::min(kNear, kNearInAll - near_tried_);
    if (event.kind == TRACE_STREAM) {
        trace_event store = event;
        store.kind = TRACE_STORE;
        device_.apply(store);
    }
}

bool Replay::cut(size_t at, Survivors survivors)
{
    images_++;
    auto image = device_.cut(survivors, random_);
    if (!options_.save.empty())
        image->save(options_.save);
    std::string problem = look_at(*image, workers_);
    tarn::host::set_log_sink(nullptr, nullptr);
    if (problem.empty())
        return true;
    printf("replay: power cut at event %zu of %zu, survivors %d: %s\n", at, trace_.size(),
           static_cast<int>(survivors), problem.c_str());
    return false;
}

// The least that can be left, and something else; everything else near what is ignored.
bool Replay::cut(size_t at)
{
    cuts_++;
    if (!cut(at, Survivors::kNone))
        return false;
    if (!device_.has_unsettled())
        return true;
    if (!is_near_)
        return cut(at, static_cast<Survivors>(1 + random_.below(kSurvivorKinds - 1)));
    for (int kind = 1; kind < kSurvivorKinds; kind++) {
        if (!cut(at, static_cast<Survivors>(kind)))
            return false;
    }
    return true;
}

bool Replay::wanted()
{
    is_near_ = near_ignored_ > 0;
    if (is_near_) {
        near_ignored_--;
        near_tried_++;
        return true;
    }
    return random_.below(2 * points_) < options_.images;
}

// Whether the trace has everything that was stored.
bool is_complete(const Options& options, const Trace& trace)
{
    Device device(options.before);
    for (size_t at = 0; at < trace.size(); at++)
        device.apply(trace[at]);
    const Device after(options.after);
    for (uint64_t at = 0; at < after.size(); at += kLine) {
        if (memcmp(after.now() + at, device.now() + at, kLine) == 0)
            continue;
        printf("replay: the trace does not lead to what the device holds: the line at %" PRIu64 " differs\n",
               at);
        return false;
    }
    return true;
}

bool Replay::run()
{
    const size_t begin = trace_.begin_of_work();
    count_points(begin);
    for (size_t at = 0; at < trace_.size(); at++) {
        const trace_event& event = trace_[at];
        // A mark says that an operation has returned: with it, not before it.
        if (event.kind == TRACE_MARK)
            take(event);
        if (at > begin && is_point(event) && wanted() && !cut(at))
            return false;
        if (event.kind != TRACE_MARK)
            take(event);
    }
    if (!cut(trace_.size()))
        return false;
    uint64_t operations = 0;
    for (const Worker& worker : workers_)
        operations += worker.count();
    printf("%" PRIu64 " images of %" PRIu64 " power cuts, of %" PRIu64 " fences and %" PRIu64
           " operations, %zu events\n",
           images_, cuts_, fences_, operations, trace_.size());
    return true;
}

// What a power cut at the end of the trace leaves, whoever has worked there.
void save_last(const Options& options, const Trace& trace)
{
    Device device(options.before);
    for (size_t at = 0; at < trace.size(); at++)
        device.apply(trace[at]);
    powercut::Random random(options.seed);
    const int survivors = static_cast<int>(random.below(kSurvivorKinds));
    device.cut(static_cast<Survivors>(survivors), random)->save(options.last);
    printf("power cut after %zu events, survivors %d\n", trace.size(), survivors);
}

// What happens where: KIND SITE COUNT.
void print_sites(const Trace& trace)
{
    std::map<std::pair<unsigned, uint32_t>, uint64_t> counts;
    for (size_t at = trace.begin_of_work(); at < trace.size(); at++) {
        if (trace[at].site)
            counts[{trace[at].kind, trace[at].site}]++;
    }
    for (const auto& [what, count] : counts)
        printf("%u %u %" PRIu64 "\n", what.first, what.second, count);
}

constexpr char kUsage[] =
    "usage: replay --before FILE --trace FILE [--after FILE] [--seed N] [--images N] [--ignore SITE,...] "
    "[--save FILE]\n"
    "       replay --before FILE --trace FILE [--after FILE] [--seed N] --last FILE\n"
    "       replay --trace FILE --sites\n"
    "  --before FILE   the device as it was when the trace begins\n"
    "  --after FILE    the device when it ends: the trace must lead there\n"
    "  --seed N        as for powercut in the guest; also decides where the power is cut\n"
    "  --images N      about so many\n"
    "  --ignore N,...  as if what is done at these sites were not\n"
    "  --save FILE     put each image there: what is there in the end is the one that was wrong\n"
    "  --last FILE     only put there what a power cut at the end leaves; --seed decides of what is not durable\n"
    "  --sites         only print what is done at which site, and how often; a site that writes back 2 MiB "
    "at\n"
    "                  once has another number there, by 2147483648 more\n";

bool take_list(const char* text, std::set<uint32_t>& numbers)
{
    for (char* end; *text; text = *end ? end + 1 : end) {
        numbers.insert(static_cast<uint32_t>(strtoul(text, &end, 10)));
        if (end == text)
            return false;
    }
    return true;
}

Options parse(int argc, char** argv)
{
    Options options;
    std::map<std::string, std::string*> files = {{"--before", &options.before},
                                                 {"--after", &options.after},
                                                 {"--trace", &options.trace},
                                                 {"--save", &options.save},
                                                 {"--last", &options.last}};
    std::map<std::string, uint64_t*> numbers = {{"--seed", &options.seed}, {"--images", &options.images}};
    bool right = true;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        const bool more = i + 1 < argc;
        if (word == "--sites")
            options.sites = true;
        else if (more && files.contains(word))
            *files[word] = argv[++i];
        else if (more && numbers.contains(word))
            *numbers[word] = strtoull(argv[++i], nullptr, 10);
        else if (more && word == "--ignore")
            right = take_list(argv[++i], options.ignored);
        else
            right = false;
    }
    if (!right || options.trace.empty() || (!options.sites && options.before.empty())) {
        fputs(kUsage, stderr);
        exit(2);
    }
    return options;
}

}  // namespace

int main(int argc, char** argv)
{
    const Options options = parse(argc, argv);
    try {
        const Trace trace(options.trace);
        if (options.sites) {
            print_sites(trace);
            return 0;
        }
        if (!options.after.empty() && !is_complete(options, trace))
            return 1;
        if (!options.last.empty()) {
            save_last(options, trace);
            return 0;
        }
        return Replay(options, trace).run() ? 0 : 1;
    } catch (const std::runtime_error& problem) {
        fprintf(stderr, "replay: %s\n", problem.what());
        return 2;
    }
}
