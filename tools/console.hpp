// SPDX-License-Identifier: GPL-2.0
// What all three programs say to people: messages, sizes, progress, and names that come from the media.
#pragma once
#include <string>

#include "cxxrt/types.hpp"

namespace tarn::tools {

// The program's name, in front of every message. Also the prefix of the core's log lines.
void set_program(const char* name);
const char* program();

// Exit statuses of the programs say more than 0 and 1: see their manuals. A Failure ends a program.
struct Failure {
    int status;
    std::string message;
};
// Throws a Failure with a formatted message.
[[noreturn]] __attribute__((format(printf, 2, 3))) void fail(int status, const char* format, ...);
// "PROGRAM: warning: ..." on standard error.
__attribute__((format(printf, 1, 2))) void warn(const char* format, ...);

// The core's log lines go to standard error; with kQuiet only warnings and errors do.
enum class CoreLog { kQuiet, kAll };
void set_core_log(CoreLog what);

// "512.0 MiB".
std::string size_text(u64 bytes);
// Bytes, or with a suffix K, M, G or T (of 1024); 0: it is none of that.
u64 parse_size(const std::string& text);
// Printable text only: control characters, and bytes that no terminal should see, become \xNN.
std::string escape(const std::string& text);
std::string format_text(const char* format, __builtin_va_list arguments);
std::string uuid_text(const u8 uuid[16]);
std::string time_text(s64 seconds, u32 nanoseconds);

// A percentage on a terminal's line, for work that takes longer than a second or so. Nothing elsewhere.
class Progress {
  public:
    // `fd` -1: the terminal on standard error, if that is one. Otherwise lines "1 DONE TOTAL WHAT" to that
    // descriptor, as fsck(8) reads them. kNone: nothing.
    enum class Style { kNone, kTerminal, kLines };
    Progress(Style style, int fd, std::string what);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void step(u64 done, u64 total);
    // Wipes the line: called before anything else is printed.
    void clear();
    // For the core's callbacks; `context` is the Progress.
    static void callback(void* context, u64 done, u64 total);

  private:
    Style style_;
    int fd_;
    std::string what_;
    double started_;
    double printed_ = 0;
    bool visible_ = false;
};

// Runs `body` and turns a Failure into its message and status. An unreadable page of the device (SIGBUS) ends
// the program with `damaged_status`.
int run_program(const char* name, int damaged_status, int (*body)(int argc, char** argv), int argc,
                char** argv);

}  // namespace tarn::tools
