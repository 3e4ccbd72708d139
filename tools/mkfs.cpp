// SPDX-License-Identifier: GPL-2.0
// mkfs.tarnfs: makes a file system. Manual: mkfs.tarnfs.8. Exit status 0 or 1.
#include <getopt.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "fs/media/format.hpp"
#include "tools/console.hpp"
#include "tools/signatures.hpp"
#include "tools/target.hpp"
#include "tools/version.hpp"

namespace tarn::tools {

namespace {

constexpr int kFailed = 1;

struct Options {
    std::string path;
    std::string label;
    FormatOptions format;
    bool force = false;
    bool dry_run = false;
    bool quiet = false;
};

void print_usage(FILE* to)
{
    std::fprintf(
        to,
        "usage: mkfs.tarnfs [-L label] [-U uuid] [-j journals] [-g size] [-f] [-n] [-q] DEVICE|FILE [SIZE]\n"
        "       mkfs.tarnfs -V | -h\n"
        "\n"
        "  -L label     label, up to %d bytes\n"
        "  -U uuid      this UUID, or 'random' (the default)\n"
        "  -j journals  number of journals, 1 to %d: operations on as many processors go on at once\n"
        "               (default 4, fewer on a small device)\n"
        "  -g size      leave room to grow to this size (default: %llu times the size)\n"
        "  -f           do not ask before overwriting what is there\n"
        "  -n           show what would be made, write nothing\n"
        "  -q           say nothing\n"
        "  SIZE         use this much of the device, not all: bytes, or with a suffix K, M, G or T\n",
        TARNFS_LABEL_BYTES - 1, TARNFS_MAX_JOURNALS, kGrowth);
}

[[noreturn]] void usage_error(const char* message)
{
    std::fprintf(stderr, "mkfs.tarnfs: %s\n", message);
    print_usage(stderr);
    std::exit(kFailed);
}

u32 parse_journals(const char* text)
{
    char* end = nullptr;
    errno = 0;
    const long number = std::strtol(text, &end, 10);
    if (errno || !*text || *end || number < 1 || number > TARNFS_MAX_JOURNALS)
        fail(kFailed, "-j takes a number from 1 to %d, not '%s'", TARNFS_MAX_JOURNALS, text);
    return static_cast<u32>(number);
}

// Whole blocks: a size that is none is rounded down.
u64 parse_blocks(const char* text)
{
    const u64 bytes = parse_size(text);
    if (bytes / kBlockSize < kMinBlocks)
        fail(kFailed, "'%s' is no size from %s up (bytes, or with a suffix K, M, G or T)", text,
             size_text(kMinBlocks * kBlockSize).c_str());
    return bytes / kBlockSize;
}

void parse_uuid(const char* text, u8 uuid[16])
{
    if (std::strcmp(text, "random") == 0)
        uuid_generate(uuid);
    else if (uuid_parse(text, uuid) != 0 || uuid_is_null(uuid))
        fail(kFailed, "-U takes a UUID such as 0c7c24a1-6d36-4ae1-9b0e-7d1a4a5f0d11, or 'random', not '%s'",
             text);
}

void set_label(Options& options, const char* text)
{
    options.label = text;
    if (options.label.size() >= TARNFS_LABEL_BYTES)
        fail(kFailed, "the label is %zu bytes long; at most %d fit", options.label.size(),
             TARNFS_LABEL_BYTES - 1);
}

Options parse(int argc, char** argv)
{
    static const option long_options[] = {{"help", no_argument, nullptr, 'h'},
                                          {"version", no_argument, nullptr, 'V'},
                                          {nullptr, 0, nullptr, 0}};
    Options options;
    uuid_generate(options.format.uuid);
    for (int c; (c = getopt_long(argc, argv, "L:U:j:g:fnqVh", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'L': set_label(options, optarg); break;
            case 'U': parse_uuid(optarg, options.format.uuid); break;
            case 'j': options.format.journals = parse_journals(optarg); break;
            case 'g': options.format.grow_to = parse_blocks(optarg); break;
            case 'f': options.force = true; break;
            case 'n': options.dry_run = true; break;
            case 'q': options.quiet = true; break;
            case 'V': std::printf("mkfs.tarnfs (tarnfs) %s\n", kVersion); std::exit(0);
            case 'h': print_usage(stdout); std::exit(0);
            default: print_usage(stderr); std::exit(kFailed);
        }
    }
    if (optind == argc || optind + 2 < argc)
        usage_error(optind == argc ? "which device or file?" : "one device or file, and a size, at a time");
    options.path = argv[optind];
    if (optind + 1 < argc)
        options.format.blocks = parse_blocks(argv[optind + 1]);
    tarn_time now;
    tarn_time_now(&now);
    options.format.created = static_cast<u64>(now.seconds);
    for (u64& half : options.format.hash_seed)
        half = u64{tarn_random32()} << 32 | tarn_random32();
    return options;
}

// Asks whether to go on; the answer comes from a person or from a pipe (yes | mkfs -t tarnfs DEVICE).
bool confirmed(const std::string& path, const std::string& what)
{
    std::printf("%s contains %s.\nOverwrite it? (y/N) ", path.c_str(), what.c_str());
    std::fflush(stdout);
    std::string answer;
    std::getline(std::cin, answer);
    if (!isatty(STDIN_FILENO))
        std::printf("\n");
    return !answer.empty() && (answer[0] == 'y' || answer[0] == 'Y');
}

void print_geometry(const Target& target, const Layout& layout)
{
    const u64 metadata = layout.first_data.value + kFirstTableBlocks + 1;
    std::printf("%s: tarnfs, %s (%llu blocks of %llu bytes)\n", target.path().c_str(),
                size_text(layout.blocks * kBlockSize).c_str(), u64{layout.blocks}, kBlockSize);
    std::printf("  uuid      %s\n", uuid_text(layout.uuid).c_str());
    std::printf("  label     %s\n",
                layout.label[0] ? escape(reinterpret_cast<const char*>(layout.label)).c_str() : "(none)");
    std::printf("  journals  %u of %s\n", layout.journals,
                size_text(u64{layout.journal_blocks} * kBlockSize).c_str());
    std::printf("  groups    %llu of up to %s; can grow to %s\n", u64{layout.groups},
                size_text(u64{TARNFS_BITMAP_BITS} * kBlockSize).c_str(),
                size_text(layout.most_groups() * TARNFS_BITMAP_BITS * kBlockSize).c_str());
    std::printf("  metadata  %s\n", size_text(metadata * kBlockSize).c_str());
    std::printf("  free      %s\n", size_text((layout.blocks - metadata) * kBlockSize).c_str());
}

Layout plan(const Target& target, const Options& options)
{
    const u64 device = target.device().blocks;
    const u64 blocks = options.format.blocks ? options.format.blocks : device;
    if (blocks > device)
        fail(kFailed, "%s: %s is more than it has: %s", target.path().c_str(),
             size_text(blocks * kBlockSize).c_str(), size_text(target.bytes()).c_str());
    auto planned = plan_layout(blocks, options.format);
    if (planned)
        return planned.take();
    if (max(blocks, options.format.grow_to) > kMaxBlocks)
        fail(kFailed, "%s: too large for tarnfs: %s", target.path().c_str(),
             size_text(max(blocks, options.format.grow_to) * kBlockSize).c_str());
    fail(kFailed, "%s: %u journals do not fit on %s; ask for fewer", target.path().c_str(),
         options.format.journals, size_text(blocks * kBlockSize).c_str());
}

void make(Target& target, const Options& options)
{
    erase_signatures(target);
    Media media(target.device());
    Progress progress(options.quiet ? Progress::Style::kNone : Progress::Style::kTerminal, -1,
                      "writing metadata");
    auto made = format(media, options.format, FormatProgress{&progress, Progress::callback});
    progress.clear();
    if (!made)
        fail(kFailed, "%s: %s", target.path().c_str(), describe(made.error()));
    target.finish();
}

int run(int argc, char** argv)
{
    Options options = parse(argc, argv);
    options.format.label = options.label.c_str();
    Target target(options.path, options.dry_run ? Access::kPrivate : Access::kChange, kFailed);
    const Layout layout = plan(target, options);
    const std::string found = recognise(target);
    if (!options.dry_run && !options.force && !found.empty() && !confirmed(options.path, found))
        fail(kFailed, "%s: left as it was", options.path.c_str());
    if (!target.can_dax())
        warn("%s has no direct access (DAX): tarnfs cannot be mounted from it", options.path.c_str());
    if (!options.dry_run)
        make(target, options);
    if (!options.quiet)
        print_geometry(target, layout);
    if (options.dry_run && !options.quiet)
        std::printf("nothing was written%s%s\n", found.empty() ? "" : "; it contains ", found.c_str());
    return 0;
}

}  // namespace

}  // namespace tarn::tools

int main(int argc, char** argv)
{
    return tarn::tools::run_program("mkfs.tarnfs", 1, tarn::tools::run, argc, argv);
}
