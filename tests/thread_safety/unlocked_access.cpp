// SPDX-License-Identifier: GPL-2.0
// A guarded member is written without its lock.
// expect-error: writing variable 'value_' requires holding mutex 'lock_' exclusively
#include "cxxrt/lock.hpp"

namespace tarn {

class Counter {
  public:
    void increment()
    {
#ifdef FIXED
        MutexGuard guard(lock_);
#endif
        value_++;
    }

  private:
    Mutex lock_{Rank::kLeaf, "counter"};
    int value_ TARN_GUARDED_BY(lock_) = 0;
};

void use(Counter& counter) { counter.increment(); }

}  // namespace tarn
