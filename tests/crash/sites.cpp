// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/sites.hpp"

#include <execinfo.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

namespace tarn::crash {

namespace {

constexpr const char* kKinds[] = {"streaming copy", "streaming zero", "write-back", "fence"};

// What in the core only hands a call on, for several callers.
bool is_wrapper(const std::string& place, const std::string& signature)
{
    for (const char* part : {"fs/media/media", "fs/media/tokens", "cxxrt/", "tests/"})
        if (place.find(part) != std::string::npos)
            return true;
    for (const char* name : {"File::fence(", "File::zero_part(", "File::zero_behind(",
                             "Journals::write_slot(", "TargetLines::write_back(void const*"})
        if (signature.find(name) != std::string::npos)
            return true;
    return place.find("fs/") == std::string::npos;
}

// The line itself, without the space around it.
std::string text_of(const std::string& place)
{
    const usize colon = place.rfind(':');
    std::ifstream source(place.substr(0, colon));
    std::string text;
    for (int line = std::atoi(place.c_str() + colon + 1); line > 0; line--)
        std::getline(source, text);
    const usize first = text.find_first_not_of(' ');
    return first == std::string::npos ? text : text.substr(first);
}

std::vector<void*> callers()
{
    void* frames[20];
    const int count = backtrace(frames, 20);
    return std::vector<void*>(frames, frames + count);
}

}  // namespace

void Sites::note(const host::Event& event) { noted_.emplace(static_cast<int>(event.kind), callers()); }

// One run of addr2line for all. It says "0xADDRESS", then, for each function inlined there, the innermost
// first, its name and the place.
void Sites::resolve()
{
    for (const auto& [kind, frames] : noted_)
        for (void* address : frames)
            lines_[address];
    char self[256] = {}, word[32], line[1024];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return;
    std::string command = std::string("addr2line -a -f -C -i -e ") + self;
    for (const auto& [address, nothing] : lines_) {
        std::snprintf(word, sizeof word, " %p", static_cast<void*>(static_cast<char*>(address) - 1));
        command += word;
    }
    FILE* output = popen(command.c_str(), "r");
    std::string *found = nullptr, signature;
    while (output && std::fgets(line, sizeof line, output)) {
        const std::string text = line;
        const std::string place = text.substr(0, text.find_first_of(" \n"));
        if (place.compare(0, 2, "0x") == 0) {
            found = &lines_[reinterpret_cast<void*>(std::strtoull(place.c_str(), nullptr, 16) + 1)];
            continue;
        }
        if (place.find('/') == std::string::npos) {
            signature = text;
            continue;
        }
        if (const usize core = place.rfind("/fs/"); core != std::string::npos)
            places_.insert(place.substr(core + 1));
        if (found && found->empty() && !is_wrapper(place, signature))
            *found = place.substr(place.rfind("fs/")) + ", in " +
                     signature.substr(0, signature.find_first_of("(\n")) + ": " + text_of(place);
    }
    if (output)
        pclose(output);
    for (const auto& [kind, frames] : noted_)
        if (std::string name = label(kind, frames); !name.empty())
            all_.insert(name);
}

std::vector<std::string> Sites::missing() const
{
    static const std::regex call(
        R"((media_?|media\(\))\.(fence|write_back|copy|log|zero)\(|tarn_persist_\w+\()");
    std::vector<std::string> found;
    for (const auto& file : std::filesystem::recursive_directory_iterator("fs")) {
        const std::string path = file.path().string();
        // What only mkfs and fsck do; the bitmaps of new groups (tests/host/volume_grow.cpp), which these
        // devices are too small for.
        if (path.find("fs/txn/grow") == 0 || path.find("fs/media/format") == 0 ||
            path.find("fs/check/") == 0 ||
            (file.path().extension() != ".cpp" && file.path().extension() != ".hpp"))
            continue;
        std::ifstream source(path);
        bool is_planted = false;
        u64 number = 1;
        for (std::string line; std::getline(source, line); number++) {
            is_planted = line.find("// The bug of") == 0 || (is_planted && line != "}");
            const std::string place = path + ":" + std::to_string(number);
            if (!is_planted && line.find_first_not_of(' ') != line.find("//") &&
                std::regex_search(line, call) && path.find("fs/media/media.") != 0 && !places_.count(place))
                found.push_back(place + ": " + line.substr(line.find_first_not_of(' ')));
        }
    }
    return found;
}

std::string Sites::label(int kind, const std::vector<void*>& frames) const
{
    for (void* address : frames) {
        auto line = lines_.find(address);
        if (line != lines_.end() && !line->second.empty())
            return std::string(kKinds[kind]) + " at " + line->second;
    }
    return {};
}

std::string Sites::of(const host::Event& event) const
{
    return label(static_cast<int>(event.kind), callers());
}

}  // namespace tarn::crash
