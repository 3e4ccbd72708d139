// SPDX-License-Identifier: GPL-2.0
// A function that requires a lock is called after the lock's scope has ended.
// expect-error: calling function 'change' requires holding spinlock 'lock_' exclusively
#include "cxxrt/lock.hpp"

namespace tarn {

class Counter {
  public:
    void increment()
    {
        SpinGuard guard(lock_);
        change();
    }
    void decrement()
    {
        {
            SpinGuard guard(lock_);
#ifdef FIXED
            change();
#endif
        }
#ifndef FIXED
        change();
#endif
    }

  private:
    void change() TARN_REQUIRES(lock_) { value_++; }

    SpinLock lock_{Rank::kLeaf, "counter"};
    int value_ TARN_GUARDED_BY(lock_) = 0;
};

void use(Counter& counter)
{
    counter.increment();
    counter.decrement();
}

}  // namespace tarn
