// SPDX-License-Identifier: GPL-2.0
#include "tools/console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "cxxrt/host/host.hpp"

namespace tarn::tools {

namespace {

const char* program_name = "tarnfs";
int bus_error_status = 1;

void log_sink(void* context, tarn_log_level level, const char* line)
{
    const auto* what = static_cast<const CoreLog*>(context);
    if (level != TARN_LOG_INFO || *what == CoreLog::kAll)
        std::fprintf(stderr, "%s: %s\n", program_name, escape(line).c_str());
}

// A mapped page could not be read (poison, a device that is gone) or written (a sparse file on a full file
// system).
void on_bus_error(int)
{
    const char text[] =
        ": the device could not be read or written (I/O error, or no space for a sparse file)\n";
    // Nothing can be done about a failing write here.
    if (write(STDERR_FILENO, program_name, std::strlen(program_name)) < 0 ||
        write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(bus_error_status);
    _exit(bus_error_status);
}

double now()
{
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

void set_program(const char* name)
{
    program_name = name;
    host::set_log_prefix(name);
}
const char* program() { return program_name; }

std::string format_text(const char* format, __builtin_va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, again);
    va_end(again);
    std::string text(length < 0 ? 0 : static_cast<usize>(length), '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, arguments);
    return text;
}

void fail(int status, const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    std::string message = format_text(format, arguments);
    va_end(arguments);
    throw Failure{status, std::move(message)};
}

void warn(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const std::string message = format_text(format, arguments);
    va_end(arguments);
    std::fprintf(stderr, "%s: warning: %s\n", program_name, message.c_str());
}

void set_core_log(CoreLog what)
{
    static CoreLog chosen;
    chosen = what;
    host::set_log_sink(log_sink, &chosen);
}

u64 parse_size(const std::string& text)
{
    char* end = nullptr;
    errno = 0;
    const unsigned long long number = std::strtoull(text.c_str(), &end, 10);
    if (errno || text.empty() || text[0] < '0' || text[0] > '9')
        return 0;
    const std::string suffixes = "KMGT";
    const usize power = *end ? suffixes.find(*end) : 0;
    if (power == std::string::npos || (*end && end[1]))
        return 0;
    const u64 unit = *end ? u64{1} << (power + 1) * 10 : 1;
    return number > ~u64{0} / unit ? 0 : number * unit;
}

std::string size_text(u64 bytes)
{
    const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    usize unit = 0;
    while (value >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        unit++;
    }
    char text[32];
    std::snprintf(text, sizeof text, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

std::string escape(const std::string& text)
{
    std::string safe;
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            safe += c;
            continue;
        }
        char code[5];
        std::snprintf(code, sizeof code, "\\x%02x", byte);
        safe += code;
    }
    return safe;
}

std::string uuid_text(const u8 uuid[16])
{
    char text[UUID_STR_LEN];
    uuid_unparse_lower(uuid, text);
    return text;
}

std::string time_text(s64 seconds, u32 nanoseconds)
{
    const time_t time = seconds;
    struct tm parts;
    char text[64];
    if (!gmtime_r(&time, &parts) || !std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts))
        return std::to_string(seconds) + " s";
    char whole[96];
    std::snprintf(whole, sizeof whole, "%s.%09u UTC", text, nanoseconds);
    return whole;
}

Progress::Progress(Style style, int fd, std::string what)
    : style_(style), fd_(fd), what_(std::move(what)), started_(now())
{
    if (style_ == Style::kTerminal && !isatty(STDERR_FILENO))
        style_ = Style::kNone;
}

Progress::~Progress() { clear(); }

void Progress::step(u64 done, u64 total)
{
    if (style_ == Style::kNone || total == 0)
        return;
    const double time = now();
    const double delay = style_ == Style::kTerminal ? 0.2 : 0;
    if (time - printed_ < delay || (style_ == Style::kTerminal && time - started_ < 1))
        return;
    printed_ = time;
    if (style_ == Style::kLines) {
        dprintf(fd_, "1 %llu %llu %s\n", done, total, what_.c_str());
        return;
    }
    std::fprintf(stderr, "\r%s: %llu %%", what_.c_str(), done * 100 / total);
    std::fflush(stderr);
    visible_ = true;
}

void Progress::clear()
{
    if (visible_)
        std::fprintf(stderr, "\r%*s\r", static_cast<int>(what_.size()) + 8, "");
    visible_ = false;
}

void Progress::callback(void* context, u64 done, u64 total)
{
    static_cast<Progress*>(context)->step(done, total);
}

int run_program(const char* name, int damaged_status, int (*body)(int argc, char** argv), int argc,
                char** argv)
{
    set_program(name);
    set_core_log(CoreLog::kQuiet);
    bus_error_status = damaged_status;
    struct sigaction action = {};
    action.sa_handler = on_bus_error;
    sigaction(SIGBUS, &action, nullptr);
    int status;
    try {
        status = body(argc, argv);
    } catch (const Failure& failure) {
        std::fprintf(stderr, "%s: %s\n", name, failure.message.c_str());
        status = failure.status;
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "%s: out of memory\n", name);
        status = damaged_status;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        std::fprintf(stderr, "%s: cannot write to standard output\n", name);
        status = status ? status : damaged_status;
    }
    return status;
}

}  // namespace tarn::tools
