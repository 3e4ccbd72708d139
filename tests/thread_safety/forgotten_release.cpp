// SPDX-License-Identifier: GPL-2.0
// One path out of the function leaves the lock held.
// expect-error: mutex 'lock' is not held on every path|mutex 'lock' is still held at the end
#include "cxxrt/lock.hpp"

namespace tarn {

int read(Mutex& lock, int* value)
{
    lock.lock();
    int result = *value;
#ifdef FIXED
    lock.unlock();
#else
    if (result)
        lock.unlock();
#endif
    return result;
}

}  // namespace tarn
