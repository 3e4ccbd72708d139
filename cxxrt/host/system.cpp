// SPDX-License-Identifier: GPL-2.0
// Host backend: log, broken invariants, time, processor, thread id, random numbers, checksum.
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "cxxrt/host/debug.hpp"
#include "cxxrt/host/host.hpp"

namespace tarn::host {

namespace {

LogSink log_sink = nullptr;
void* log_context = nullptr;
const char* log_prefix = "tarnfs";
thread_local ThreadState state_of_thread;
bool time_is_pretended = false;
tarn_time pretended_time;

// CRC-32C by table, reflected polynomial: for processors without the instruction.
constexpr std::array<u32, 256> make_crc_table()
{
    std::array<u32, 256> table{};
    for (u32 i = 0; i < 256; i++) {
        u32 crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
        table[i] = crc;
    }
    return table;
}
constexpr auto kCrcTable = make_crc_table();

u32 crc32c_table(u32 crc, const unsigned char* data, usize length)
{
    for (usize i = 0; i < length; i++)
        crc = (crc >> 8) ^ kCrcTable[(crc ^ data[i]) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) u32 crc32c_instruction(u32 crc, const unsigned char* data, usize length)
{
    u64 wide = crc;
    for (; length >= 8; data += 8, length -= 8) {
        u64 word;
        std::memcpy(&word, data, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<u32>(wide);
    for (; length; data++, length--)
        crc = __builtin_ia32_crc32qi(crc, *data);
    return crc;
}
#endif

// splitmix64: equal seeds give equal sequences.
u32 next_random()
{
    u64 z = this_thread().random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<u32>((z ^ (z >> 31)) >> 32);
}

}  // namespace

void set_log_sink(LogSink sink, void* context)
{
    log_sink = sink;
    log_context = context;
}
void set_log_prefix(const char* prefix) { log_prefix = prefix; }
ThreadState& this_thread() { return state_of_thread; }
void pretend_cpu(int cpu) { this_thread().cpu = cpu; }
void pretend_time(const tarn_time* now)
{
    time_is_pretended = now != nullptr;
    if (now)
        pretended_time = *now;
}
void seed_random(u64 seed) { this_thread().random = seed; }

namespace {

// To the sink, or "tarnfs: text", "tarnfs (NAME): text" on standard error.
void log_line(tarn_log_level level, const char* name, const char* format, va_list arguments)
{
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    if (log_sink)
        log_sink(log_context, level, line);
    else if (*name)
        std::fprintf(stderr, "%s (%s): %s\n", log_prefix, name, line);
    else
        std::fprintf(stderr, "%s: %s\n", log_prefix, line);
}

}  // namespace

}  // namespace tarn::host

using namespace tarn;
using namespace tarn::host;

extern "C" {

void tarn_log(enum tarn_log_level level, const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(level, "", format, arguments);
    va_end(arguments);
}

void tarn_log_device(const struct tarn_device* device, enum tarn_log_level level, const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(level, device->name, format, arguments);
    va_end(arguments);
}

void tarn_bug(const char* file, int line, const char* what)
{
    std::fprintf(stderr, "%s: internal error at %s:%d: %s\n", log_prefix, file, line, what);
    std::fflush(nullptr);
    std::abort();
}

void tarn_time_now(struct tarn_time* now)
{
    if (time_is_pretended) {
        *now = pretended_time;
        return;
    }
    timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    *now = {time.tv_sec, static_cast<unsigned>(time.tv_nsec)};
}

unsigned int tarn_cpu_current(void)
{
    if (this_thread().cpu >= 0)
        return static_cast<unsigned>(this_thread().cpu);
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : static_cast<unsigned>(cpu);
}

void tarn_task_yield(void)
{
    may_sleep("tarn_task_yield");
    note_step(Step::kOther, nullptr, "yield");
}

unsigned long tarn_task_id(void)
{
    static thread_local unsigned long id = static_cast<unsigned long>(syscall(SYS_gettid));
    return id;
}

unsigned int tarn_random32(void)
{
    if (this_thread().random)
        return next_random();
    unsigned value = 0;
    if (getrandom(&value, sizeof value, 0) != sizeof value)
        tarn_bug(__FILE__, __LINE__, "getrandom failed");
    return value;
}

unsigned int tarn_crc32c(unsigned int seed, const void* data, tarn_size_t length)
{
    auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2");
    if (has_instruction)
        return crc32c_instruction(seed, bytes, length);
#endif
    return crc32c_table(seed, bytes, length);
}

}  // extern "C"
