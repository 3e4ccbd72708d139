// SPDX-License-Identifier: GPL-2.0
// A guarded member is written under a lock that is held for reading only.
// expect-error: writing variable 'value_' requires holding rwlock 'lock_' exclusively
#include "cxxrt/lock.hpp"

namespace tarn {

class Counter {
  public:
    void increment()
    {
#ifdef FIXED
        ExclusiveGuard guard(lock_);
#else
        SharedGuard guard(lock_);
#endif
        value_++;
    }

  private:
    RwLock lock_{Rank::kLeaf, "counter"};
    int value_ TARN_GUARDED_BY(lock_) = 0;
};

void use(Counter& counter) { counter.increment(); }

}  // namespace tarn
