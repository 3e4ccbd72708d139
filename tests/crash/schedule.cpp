// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/schedule.hpp"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "cxxrt/host/host.hpp"

namespace tarn::crash {

namespace {

thread_local int me = -1;

class Baton {
  public:
    explicit Baton(const Schedule& schedule) : schedule_(schedule) {}

    void run(int who, const std::function<void()>& body, std::exception_ptr& error)
    {
        me = who;
        wait_for_turn();
        try {
            body();
        } catch (...) {
            error = std::current_exception();
        }
        std::lock_guard guard(lock_);
        is_done_[who] = true;
        fruitless_ = 0;
        turn_ = 1 - who;
        changed_.notify_all();
    }

    void count_call()
    {
        calls_[me]++;
        fruitless_ = 0;
        if (stage_ == 0 && me == 0 && calls_[0] >= schedule_.first_calls) {
            stage_ = 1;
            change_over();
        } else if (stage_ == 1 && me == 1 && calls_[1] >= schedule_.second_calls) {
            stage_ = 2;
            change_over();
        }
    }

    // The thread that runs cannot go on before the other has. Both may say so many times in turn, with locks
    // that change hands in between, but not for ever.
    void blocked()
    {
        if (++fruitless_ == kMostFruitless) {
            std::fprintf(stderr, "deadlock between two processors\n");
            std::abort();
        }
        change_over();
    }

  private:
    static constexpr u64 kMostFruitless = 1000;

    void wait_for_turn()
    {
        std::unique_lock guard(lock_);
        changed_.wait(guard, [this] { return turn_ == me; });
    }
    void change_over()
    {
        {
            std::lock_guard guard(lock_);
            if (is_done_[1 - me])
                return;
            turn_ = 1 - me;
            changed_.notify_all();
        }
        wait_for_turn();
    }

    const Schedule schedule_;
    std::mutex lock_;
    std::condition_variable changed_;
    int turn_ = 0;
    int stage_ = 0;
    u64 calls_[2] = {};
    bool is_done_[2] = {};
    u64 fruitless_ = 0;  // waits since something was stored
};

Baton* baton = nullptr;

void waiter()
{
    if (me < 0) {
        std::fprintf(stderr, "a lock is taken twice\n");
        std::abort();
    }
    baton->blocked();
}

}  // namespace

void interleave(const Schedule& schedule, const std::function<void()>& first,
                const std::function<void()>& second)
{
    Baton here(schedule);
    baton = &here;
    host::set_waiter(waiter);
    std::exception_ptr errors[2];
    std::thread other([&] { here.run(1, second, errors[1]); });
    std::thread one([&] { here.run(0, first, errors[0]); });
    one.join();
    other.join();
    host::set_waiter(nullptr);
    baton = nullptr;
    for (const std::exception_ptr& error : errors)
        if (error)
            std::rethrow_exception(error);
}

void count_call()
{
    if (me >= 0)
        baton->count_call();
}

void wait_until(const std::function<bool()>& condition)
{
    while (!condition())
        waiter();
}

}  // namespace tarn::crash
