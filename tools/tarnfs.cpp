// SPDX-License-Identifier: GPL-2.0
// tarnfs: looks into a file system, and asks a mounted one to change. Manual: tarnfs.8. Exit status 0 or 1.
#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tools/console.hpp"
#include "tools/inspect.hpp"
#include "tools/online.hpp"
#include "tools/version.hpp"

namespace tarn::tools {

namespace {

void print_usage(FILE* to)
{
    std::fputs(
        "usage: tarnfs inspect [-r] DEVICE|FILE WHAT\n"
        "       tarnfs stats [-r] DEVICE|FILE\n"
        "       tarnfs label MOUNTPOINT [LABEL]\n"
        "       tarnfs grow MOUNTPOINT [SIZE]\n"
        "       tarnfs -V | -h\n"
        "\n"
        "WHAT is one of\n"
        "  superblock      the superblock and its replica\n"
        "  journals        each journal's state, and what a mount would replay\n"
        "  inode N         an inode's record and its tree\n"
        "  tree N          the nodes and items of inode N's tree\n"
        "  directory PATH  entries of a directory; '#N' in place of a path names an inode\n"
        "  bitmap          each block group's use\n"
        "\n"
        "label shows the label of a mounted file system, or makes it LABEL ('' for none).\n"
        "grow makes a mounted file system as large as its device, or SIZE: bytes, or with a suffix K, M, G "
        "or T.\n"
        "\n"
        "  -r  replay the journals first, in memory: shows what a mount would see\n",
        to);
}

[[noreturn]] void usage_error(const std::string& message)
{
    print_usage(stderr);
    fail(kLookFailed, "%s", message.c_str());
}

bool is_one_of(const std::string& word, std::initializer_list<const char*> words)
{
    return std::find(words.begin(), words.end(), word) != words.end();
}

void inspect(const std::string& path, Journaled journaled, const std::string& what,
             const std::vector<std::string>& arguments)
{
    const bool takes_one = is_one_of(what, {"inode", "tree", "directory"});
    if (!takes_one && !is_one_of(what, {"superblock", "journals", "bitmap"}))
        usage_error("cannot inspect '" + escape(what) + "'");
    if (arguments.size() != (takes_one ? 1 : 0))
        usage_error(what + (takes_one ? " takes one argument" : " takes no argument"));
    if (what == "superblock")
        return show_superblock(path);
    Image image(path, journaled);
    if (what == "journals")
        show_journals(image);
    else if (what == "inode")
        show_inode(image, parse_number("inode", arguments[0]));
    else if (what == "tree")
        show_tree(image, parse_number("inode", arguments[0]));
    else if (what == "directory")
        show_directory(image, arguments[0]);
    else
        show_bitmaps(image);
}

int run(int argc, char** argv)
{
    static const option long_options[] = {{"help", no_argument, nullptr, 'h'},
                                          {"version", no_argument, nullptr, 'V'},
                                          {nullptr, 0, nullptr, 0}};
    Journaled journaled = Journaled::kAsIs;
    for (int c; (c = getopt_long(argc, argv, "rVh", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'r': journaled = Journaled::kReplayed; break;
            case 'V': std::printf("tarnfs %s\n", kVersion); return 0;
            case 'h': print_usage(stdout); return 0;
            default: print_usage(stderr); return kLookFailed;
        }
    }
    const std::vector<std::string> words(argv + optind, argv + argc);
    if (words.empty())
        usage_error("which command?");
    if (is_one_of(words[0], {"label", "grow"})) {
        if (words.size() < 2 || words.size() > 3)
            usage_error(words[0] + " takes a mount point, and possibly what to make it");
        (words[0] == "label" ? label : grow)(words[1], words.size() == 3 ? &words[2] : nullptr);
        return 0;
    }
    if (words[0] != "inspect" && words[0] != "stats")
        usage_error("unknown command '" + escape(words[0]) + "'");
    const bool inspects = words[0] == "inspect";
    if (words.size() < (inspects ? 3 : 2) || (!inspects && words.size() > 2))
        usage_error(words[0] +
                    (inspects ? " takes a device or file, and what to show" : " takes a device or file"));
    if (inspects) {
        inspect(words[1], journaled, words[2], {words.begin() + 3, words.end()});
    } else {
        Image image(words[1], journaled);
        show_statistics(image);
    }
    return 0;
}

}  // namespace

}  // namespace tarn::tools

int main(int argc, char** argv)
{
    return tarn::tools::run_program("tarnfs", 1, tarn::tools::run, argc, argv);
}
