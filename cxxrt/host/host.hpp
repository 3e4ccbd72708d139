// SPDX-License-Identifier: GPL-2.0
// The host backend's own interface: what tests and tools may ask of the user-space runtime beyond runtime.h.
//
// Everything here is off unless asked for. A tarn_device whose `handle` is null is plain memory: stores are
// memcpy, a fence orders and nothing more. With a host::Backing as its handle every persist call is counted,
// shown to an observer, and a fence can make a mapped file durable or be made to fail.
#pragma once
#include "cxxrt/atomic.hpp"

namespace tarn::host {

// One persist call, told after its stores are in the mapping and (for kFence) before the fence completes.
struct Event {
    enum class Kind : u8 {
        kCopy,       // non-temporal: the lines are on their way, durable after this thread's next fence
        kZero,       // the same
        kWriteBack,  // the lines that overlap the range are on their way, with the contents they have now
        kFence,      // everything this thread has on its way becomes durable; offset and length are 0
    };
    Kind kind;
    u64 offset;  // of the device, in bytes
    u64 length;  // in bytes, not rounded to lines
    const tarn_device* device;
    unsigned long thread;  // tarn_task_id() of the caller
};

// Sees every persist call on one device. Called in the storing thread, possibly in several at once, possibly
// under spin locks. Plain stores between calls are not told: a checker that wants them compares the mapping
// with its own copy at each event (the lines that differ are dirty in the cache).
struct Observer {
    void* context = nullptr;
    // Returns 0, or for kFence a negative errno that the fence then fails with (nothing became durable).
    int (*event)(void* context, const Event& event) = nullptr;
    // What tarn_device_is_pinned() says; null: nothing is pinned.
    bool (*is_pinned)(void* context, u64 block) = nullptr;
};

// What was done to a device, in calls and bytes.
struct Counters {
    Atomic<u64> copies, copied_bytes;  // to journals too
    Atomic<u64> journal_bytes;
    Atomic<u64> zeroes, zeroed_bytes;
    Atomic<u64> write_backs, written_back_lines;
    Atomic<u64> fences;

    u64 streamed_bytes() const { return copied_bytes.load_relaxed() + zeroed_bytes.load_relaxed(); }
};

// The host side of a tarn_device: put its address into `handle`. Lives as long as the device is used.
struct Backing {
    int fd = -1;  // >= 0: the mapping is MAP_SHARED of this file, and a fence makes it durable (fdatasync)
    Observer observer;  // set while nobody uses the device
    Counters counters;
};

// Receives every tarn_log line (without newline) in place of standard error; null restores that. Not while
// other threads log.
using LogSink = void (*)(void* context, tarn_log_level level, const char* line);
void set_log_sink(LogSink sink, void* context);
// The word before each line on standard error ("tarnfs" unless set); lives for ever.
void set_log_prefix(const char* prefix);

// The next `countdown` allocations of this thread succeed, the one after them fails, those behind it succeed
// again. A negative number: none fails.
void fail_allocation_after(long countdown);
// Allocations not yet freed, over all threads: a test compares before and after.
u64 live_allocations();

// What tarn_cpu_current() says in this thread; a negative number: the truth.
void pretend_cpu(int cpu);
// What tarn_time_now() says in all threads; null: the truth.
void pretend_time(const tarn_time* now);
// Makes tarn_random32() repeat from `seed` in this thread; 0: unpredictable again.
void seed_random(u64 seed);

// For tests that run their threads one at a time. `on` is what a thread waits for: a lock, or the address
// given to tarn_wait_on.
enum class Step : u8 {
    kTake,     // a lock is about to be taken
    kRelease,  // it has been let go, or tarn_wait_wake() has been called
    kOther,    // something else that other threads may see comes next
};
struct Turns {
    // In place of sleeping; again and again, until what is waited for has come.
    void (*wait)(const void* on);
    // Called at each step.
    void (*step)(Step what, const void* on, const char* name);
};
// Null: threads sleep. Set while no other thread is in the runtime; it lives as long as it is set.
void set_turns(const Turns* turns);
bool has_turns();
void wait_turn(const void* on);
// For those who play the world around the core.
void note_step(Step what, const void* on, const char* name);

// What the runtime keeps for a thread (but for what debug builds know of its locks): who runs several on one
// exchanges it.
struct ThreadState {
    int cpu = -1;
    unsigned nofs = 0;
    long allocations_until_failure = -1;
    u64 random = 0;
    bool is_looking = false;  // evaluates a condition of tarn_wait_on
};
ThreadState& this_thread();

// How deep this thread is in tarn_nofs_begin().
unsigned nofs_depth();
// Locks of the runtime this thread holds (counted in debug builds only).
unsigned held_locks();

}  // namespace tarn::host
