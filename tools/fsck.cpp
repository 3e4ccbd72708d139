// SPDX-License-Identifier: GPL-2.0
// fsck.tarnfs: replays the journals, checks a file system and repairs it (fs/check). Manual: fsck.tarnfs.8.
// Exit status as in fsck(8).
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fs/check/repair.hpp"
#include "tools/console.hpp"
#include "tools/target.hpp"
#include "tools/version.hpp"

namespace tarn::tools {

namespace {

// fsck(8)
constexpr int kClean = 0, kCorrected = 1, kUncorrected = 4, kOperational = 8, kUsage = 16, kCancelled = 32;
// Problems shown without -v: a badly damaged file system has millions of them.
constexpr u64 kShownProblems = 1000;

struct Options {
    std::string path;
    bool change_nothing = false;  // -n
    bool yes = false;             // -y
    bool preen = false;           // -a, -p: what every boot does
    bool force = false;           // -f
    bool verbose = false;         // -v
    Progress::Style style = Progress::Style::kTerminal;
    int progress_fd = -1;
};

void print_usage(FILE* to)
{
    std::fprintf(to,
                 "usage: fsck.tarnfs [-n | -y | -p] [-f] [-v] [-C fd] DEVICE|FILE\n"
                 "       fsck.tarnfs -V | -h\n"
                 "\n"
                 "  -n      change nothing: replay the journals in memory and check the result\n"
                 "  -y      replay the journals, check, repair all that can be repaired\n"
                 "  -p, -a  replay the journals; with -f also check, and repair what is safe\n"
                 "  -f      check even with -p or -a\n"
                 "          none of -n, -y, -p, -a: ask before each kind of repair\n"
                 "  -v      show all problems and what was counted\n"
                 "  -C fd   progress: 0 on the terminal, otherwise lines to that descriptor\n");
}

int parse_descriptor(const char* text)
{
    char* end = nullptr;
    errno = 0;
    const long number = std::strtol(text, &end, 10);
    if (errno || !*text || *end || number > 1 << 20 ||
        (number > 0 && fcntl(static_cast<int>(number), F_GETFD) < 0))
        fail(kUsage, "-C takes an open descriptor, not '%s'", text);
    return static_cast<int>(number);
}

void set_progress(Options& options, int fd)
{
    options.style = fd == 0  ? Progress::Style::kTerminal
                    : fd > 0 ? Progress::Style::kLines
                             : Progress::Style::kNone;
    options.progress_fd = fd;
}

Options parse(int argc, char** argv)
{
    static const option long_options[] = {{"help", no_argument, nullptr, 'h'},
                                          {"version", no_argument, nullptr, 'V'},
                                          {nullptr, 0, nullptr, 0}};
    Options options;
    int modes = 0;
    for (int c; (c = getopt_long(argc, argv, "nypafvC:Vh", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'n':
                options.change_nothing = true;
                modes |= 1;
                break;
            case 'y':
                options.yes = true;
                modes |= 2;
                break;
            case 'p':
            case 'a':
                options.preen = true;
                modes |= 4;
                break;
            case 'f': options.force = true; break;
            case 'v': options.verbose = true; break;
            case 'C': set_progress(options, parse_descriptor(optarg)); break;
            case 'V': std::printf("fsck.tarnfs (tarnfs) %s\n", kVersion); std::exit(kClean);
            case 'h': print_usage(stdout); std::exit(kClean);
            default: print_usage(stderr); std::exit(kUsage);
        }
    }
    if (modes & (modes - 1))
        fail(kUsage, "only one of -n, -y and -p (or -a) at a time");
    if (optind + 1 != argc) {
        print_usage(stderr);
        fail(kUsage, optind == argc ? "which device or file?" : "one device or file at a time");
    }
    options.path = argv[optind];
    if (!modes && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        fail(kOperational, "no terminal to ask on: one of -n, -y and -p is needed");
    return options;
}

// Ctrl-C is safe at any moment: replaying and repairing can be repeated, checking changes nothing.
void on_interrupt(int)
{
    const char text[] = "\nfsck.tarnfs: cancelled\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(kCancelled);
    _exit(kCancelled);
}

// Prints problems as they are found, after getting the progress display out of the way, and decides what is
// done about them. Asked once for each kind; the answer holds for all problems of the kind.
struct Reporter {
    const Options& options;
    Progress progress;
    u64 shown = 0;
    u64 met = 0;
    u64 declined = 0;
    enum class Answer : u8 { kOpen, kYes, kNo };
    Answer answers[static_cast<usize>(Fix::kCount)] = {};

    CheckReporter callbacks() { return CheckReporter{this, problem, step}; }
    static bool approve(void* context, Fix fix)
    {
        auto& self = *static_cast<Reporter*>(context);
        const bool yes = self.decide(fix);
        self.declined += !yes;
        return yes;
    }

  private:
    bool decide(Fix fix)
    {
        if (options.yes)
            return true;
        if (options.preen)
            return is_safe(fix);
        Answer& answer = answers[static_cast<usize>(fix)];
        if (answer == Answer::kOpen)
            answer = ask(fix) ? Answer::kYes : Answer::kNo;
        return answer == Answer::kYes;
    }
    bool ask(Fix fix)
    {
        progress.clear();
        for (;;) {
            std::printf("%s (and all like it)? [y/n] ", describe(fix));
            std::fflush(stdout);
            char line[64];
            if (!std::fgets(line, sizeof line, stdin)) {
                std::printf("\n");
                return false;
            }
            if (line[0] == 'y' || line[0] == 'Y')
                return true;
            if (line[0] == 'n' || line[0] == 'N')
                return false;
        }
    }
    static void problem(void* context, const char* format, __builtin_va_list arguments)
    {
        auto& self = *static_cast<Reporter*>(context);
        self.met++;
        if (self.shown == kShownProblems && !self.options.verbose)
            return;
        self.shown++;
        self.progress.clear();
        std::printf("%s\n", escape(format_text(format, arguments)).c_str());
    }
    static void step(void* context, u64 done, u64 total)
    {
        static_cast<Reporter*>(context)->progress.step(done, total);
    }
};

void print_counts(const CheckSummary& s)
{
    std::printf("  %llu files, %llu directories, %llu symbolic links, %llu special files\n", s.files,
                s.directories, s.symlinks, s.others);
    std::printf("  %llu directory entries, %llu extents, %llu extended attributes\n", s.entries, s.extents,
                s.xattrs);
    std::printf("  blocks: %llu data (%llu unwritten), %llu tree nodes, %llu inode table, %llu free\n",
                s.data_blocks, s.unwritten_blocks, s.node_blocks, s.table_blocks, s.free_blocks);
    if (s.orphans)
        std::printf("  %llu deleted or truncated files are still to be freed: the next mount does that\n",
                    s.orphans);
}

// Nothing else has been made there.
bool is_erased(const Media& media)
{
    const byte* first = media.at(DeviceBlock(0));
    return std::all_of(first, first + kBlockSize, [](byte b) { return b == byte{0}; });
}

Layout read_superblock(const Target& target)
{
    Media media(target.device());
    auto layout = read_layout(media);
    // What they stand for may be all over the media: neither replaying nor judging is for us.
    if (layout && (layout.value().ro_compat & ~TARNFS_KNOWN_RO_COMPAT))
        fail(kOperational, "%s: unknown read-only compatible features %#llx: a newer fsck.tarnfs is needed",
             target.path().c_str(), layout.value().ro_compat & ~TARNFS_KNOWN_RO_COMPAT);
    if (layout)
        return layout.take();
    if (layout.error() == Error::kBadSuperblock ||
        (layout.error() == Error::kNotTarnfs && is_erased(media))) {
        std::printf("%s: looking for another superblock all over the device\n", target.path().c_str());
        if (auto found = search_layout(media))
            return found.take();
    }
    if (is_corruption(layout.error()))
        fail(kUncorrected, "%s: %s: this cannot be repaired", target.path().c_str(),
             describe(layout.error()));
    fail(kOperational, "%s: %s", target.path().c_str(), describe(layout.error()));
}

// Replays the journals; in place unless the mapping is private. Returns false when they are damaged.
bool replay(Volume& volume, const Options& options)
{
    Status opened = volume.open(Volume::Access::kReadOnly);
    if (!opened && !is_corruption(opened.error()))
        fail(kOperational, "%s: %s", options.path.c_str(), describe(opened.error()));
    if (opened && volume.replayed_records()) {
        std::printf("%s: %llu journal records replayed%s\n", options.path.c_str(), volume.replayed_records(),
                    options.change_nothing ? " (in memory only)" : "");
        Status settled = volume.set_read_write();
        if (settled)
            settled = Status(volume.close());
        if (!settled)
            fail(kOperational, "%s: %s", options.path.c_str(), describe(settled.error()));
    }
    return opened.is_ok();
}

void print_rest(const Options& options, const Reporter& reporter, const CheckSummary& summary)
{
    if (reporter.shown < reporter.met)
        std::printf("... and %llu more problems (-v shows all)\n", reporter.met - reporter.shown);
    if (options.verbose)
        print_counts(summary);
}

int say_clean(const Options& options, const CheckSummary& summary, int status)
{
    std::printf("%s: clean, %llu inodes, %llu blocks free\n", options.path.c_str(), summary.inodes,
                summary.free_blocks);
    return status;
}

// -n
int look(const Options& options, Target& target, Volume& volume, bool opened)
{
    Reporter reporter{options, Progress(options.style, options.progress_fd, options.path)};
    auto checked = check(volume, reporter.callbacks());
    reporter.progress.clear();
    if (!checked)
        fail(kOperational, "%s: %s", options.path.c_str(), describe(checked.error()));
    target.finish();
    const CheckSummary& summary = checked.value();
    print_rest(options, reporter, summary);
    if (summary.problems == 0 && opened)
        return say_clean(options, summary, kClean);
    std::printf("%s: %llu problems; nothing was changed (-n)\n", options.path.c_str(),
                max<u64>(summary.problems, 1));
    return kUncorrected;
}

int mend(const Options& options, Target& target, const Layout& layout)
{
    Reporter reporter{options, Progress(options.style, options.progress_fd, options.path)};
    auto repaired =
        repair(target.device(), layout, reporter.callbacks(), Approval{&reporter, Reporter::approve});
    reporter.progress.clear();
    target.finish();
    if (!repaired && is_corruption(repaired.error()))
        fail(kUncorrected, "%s: %s: this cannot be repaired%s", options.path.c_str(),
             describe(repaired.error()), reporter.declined ? " so" : "");
    if (!repaired)
        fail(kOperational, "%s: %s", options.path.c_str(), describe(repaired.error()));
    const Repaired& done = repaired.value();
    print_rest(options, reporter, done.remaining);
    if (done.finished)
        std::printf("%s: %llu deleted or truncated files freed\n", options.path.c_str(), done.finished);
    if (done.fixed)
        std::printf("%s: %llu problems repaired\n", options.path.c_str(), done.fixed);
    if (done.remaining.problems == 0)
        return say_clean(options, done.remaining, done.fixed ? kCorrected : kClean);
    std::printf("%s: %llu problems are left%s\n", options.path.c_str(), done.remaining.problems,
                options.preen ? "; run fsck.tarnfs without -p" : "");
    return kUncorrected;
}

int run(int argc, char** argv)
{
    const Options options = parse(argc, argv);
    std::signal(SIGINT, on_interrupt);
    Target target(options.path, options.change_nothing ? Access::kPrivate : Access::kChange, kOperational);
    const Layout layout = read_superblock(target);
    {
        Volume volume(target.device(), layout);
        const bool opened = replay(volume, options);
        if (options.change_nothing)
            return look(options, target, volume, opened);
        if (options.preen && !options.force && opened) {
            target.finish();
            std::printf("%s: clean\n", options.path.c_str());
            return kClean;
        }
    }
    return mend(options, target, layout);
}

}  // namespace

}  // namespace tarn::tools

int main(int argc, char** argv)
{
    return tarn::tools::run_program("fsck.tarnfs", 8, tarn::tools::run, argc, argv);
}
