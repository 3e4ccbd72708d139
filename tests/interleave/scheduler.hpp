// SPDX-License-Identifier: GPL-2.0
// Scheduler: threads that run one at a time and change over only where they are told to, so that a run can
// be repeated exactly.
//
// They are fibers of the thread that calls run(). Each step of the host runtime (host::Step), each wait and
// each end of a thread is a decision: who goes on. A thread that waits for a lock, or for an address, may go
// on again when somebody has let that go, or announced it; a wake that is forgotten is therefore a deadlock.
#pragma once
#include <ucontext.h>

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "cxxrt/host/host.hpp"

namespace tarn::test {

struct Decision {
    static constexpr unsigned kNobody = ~0u;
    unsigned running;  // who may go on; kNobody at the beginning and where he waits or has ended
    u32 ready;         // a bit for each who may go on
    unsigned last;     // who ran until now
    const char* step;  // what he is about to do, or has done
};

class Scheduler {
  public:
    using Choose = std::function<unsigned(const Decision&)>;
    enum class Outcome { kDone, kDeadlock };

    static constexpr u64 kNoLimit = ~u64{0};
    // After `most_steps` in one run there is an exception where the next would be.
    explicit Scheduler(u64 most_steps = kNoLimit);
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    // Runs the bodies, on pretended processors 0, 1, ..., until all have ended or none can go on; an
    // exception of one is thrown on then, that a body never ends is one. Who cannot go on stays as it is, and
    // what it holds is never given back.
    Outcome run(const std::vector<std::function<void()>>& bodies, const Choose& choose);

    // For bodies: a step of their own; waits until `condition` holds, looking again when anybody has done
    // anything.
    static void step(const char* name) { host::note_step(host::Step::kOther, nullptr, name); }
    static void wait_until(const std::function<bool()>& condition);
    // Who runs; kNobody outside of run().
    static unsigned current();

  private:
    struct Fiber;
    static void enter();
    static void on_wait(const void* on);
    static void on_step(host::Step what, const void* on, const char* name);
    void decide(const char* step, bool may_go_on);
    void switch_to(unsigned who);
    u32 ready() const;

    std::vector<std::unique_ptr<Fiber>> fibers_;
    ucontext_t outside_;
    unsigned count_ = 0, running_ = Decision::kNobody;
    const u64 most_steps_;
    u64 steps_ = 0;
    bool is_stuck_ = false;
    Choose choose_;
};

}  // namespace tarn::test
