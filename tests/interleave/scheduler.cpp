// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/scheduler.hpp"

#include <sys/mman.h>

#include <bit>
#include <stdexcept>
#include <utility>

namespace tarn::test {

namespace {

constexpr usize kStack = 1 << 20;
constexpr host::Turns* kNoTurns = nullptr;

Scheduler* scheduler = nullptr;

}  // namespace

struct Scheduler::Fiber {
    Fiber()
    {
        stack =
            mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED)
            throw std::runtime_error("no memory for a stack");
    }
    ~Fiber() { munmap(stack, kStack); }

    ucontext_t context;
    void* stack;
    std::function<void()> body;
    std::exception_ptr error;
    host::ThreadState state;
    bool is_done = false;
    bool is_waiting = false;
    const void* waits_for = nullptr;  // null: for anything
};

Scheduler::Scheduler(u64 most_steps) : most_steps_(most_steps) {}
Scheduler::~Scheduler() = default;

Scheduler::Outcome Scheduler::run(const std::vector<std::function<void()>>& bodies, const Choose& choose)
{
    static constexpr host::Turns kTurns{on_wait, on_step};
    scheduler = this;
    choose_ = choose;
    count_ = static_cast<unsigned>(bodies.size());
    running_ = Decision::kNobody;
    steps_ = 0;
    is_stuck_ = false;
    for (unsigned who = 0; who < count_; who++) {
        if (fibers_.size() == who)
            fibers_.push_back(std::make_unique<Fiber>());
        Fiber& fiber = *fibers_[who];
        fiber.body = bodies[who];
        fiber.error = nullptr;
        fiber.state = {};
        fiber.state.cpu = static_cast<int>(who);
        fiber.state.random = who + 1;
        fiber.is_done = fiber.is_waiting = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack = {fiber.stack, 0, kStack};
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, enter, 0);
    }
    host::set_turns(&kTurns);
    decide("begin", false);
    host::set_turns(kNoTurns);
    scheduler = nullptr;
    for (unsigned who = 0; who < count_; who++)
        if (fibers_[who]->error)
            std::rethrow_exception(fibers_[who]->error);
    return is_stuck_ ? Outcome::kDeadlock : Outcome::kDone;
}

void Scheduler::enter()
{
    Fiber& self = *scheduler->fibers_[scheduler->running_];
    try {
        self.body();
    } catch (...) {
        self.error = std::current_exception();
    }
    self.is_done = true;
    on_step(host::Step::kOther, nullptr, "end");
    __builtin_unreachable();
}

u32 Scheduler::ready() const
{
    u32 bits = 0;
    for (unsigned who = 0; who < count_; who++)
        if (!fibers_[who]->is_done && !fibers_[who]->is_waiting)
            bits |= 1u << who;
    return bits;
}

void Scheduler::on_step(host::Step what, const void* on, const char* name)
{
    Scheduler& self = *scheduler;
    if (++self.steps_ == self.most_steps_)
        throw std::runtime_error("this never ends");
    for (unsigned who = 0; who < self.count_; who++) {
        Fiber& fiber = *self.fibers_[who];
        if (who != self.running_ &&
            (!fiber.waits_for || (what == host::Step::kRelease && fiber.waits_for == on)))
            fiber.is_waiting = false;
    }
    self.decide(name, !self.fibers_[self.running_]->is_done);
}

void Scheduler::on_wait(const void* on)
{
    Scheduler& self = *scheduler;
    Fiber& fiber = *self.fibers_[self.running_];
    fiber.is_waiting = true;
    fiber.waits_for = on;
    self.decide("wait", false);
}

// Lets somebody go on. Comes back to a thread when it is its turn again, and to run() when all is over.
void Scheduler::decide(const char* step, bool may_go_on)
{
    const u32 bits = ready();
    if (!bits) {
        for (unsigned who = 0; who < count_; who++)
            is_stuck_ |= !fibers_[who]->is_done;
        return switch_to(Decision::kNobody);
    }
    const unsigned running = may_go_on ? running_ : Decision::kNobody;
    const bool is_certain = std::popcount(bits) == 1;
    switch_to(is_certain ? static_cast<unsigned>(std::countr_zero(bits))
                         : choose_({running, bits, running_, step}));
}

void Scheduler::switch_to(unsigned who)
{
    if (who == running_)
        return;
    const unsigned before = std::exchange(running_, who);
    ucontext_t* from = before == Decision::kNobody ? &outside_ : &fibers_[before]->context;
    if (before != Decision::kNobody)
        std::swap(host::this_thread(), fibers_[before]->state);
    if (who != Decision::kNobody)
        std::swap(host::this_thread(), fibers_[who]->state);
    swapcontext(from, who == Decision::kNobody ? &outside_ : &fibers_[who]->context);
}

void Scheduler::wait_until(const std::function<bool()>& condition)
{
    while (!condition()) {
        if (!scheduler)
            throw std::logic_error("a lock is taken twice");
        on_wait(nullptr);
    }
}

unsigned Scheduler::current() { return scheduler ? scheduler->running_ : Decision::kNobody; }

}  // namespace tarn::test
