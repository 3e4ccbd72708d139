// SPDX-License-Identifier: GPL-2.0
// Host backend, inside: what lockdep and might_sleep() do in a debug kernel. Empty without TARN_DEBUG.
#pragma once
#include "cxxrt/types.hpp"

namespace tarn::host {

#ifdef TARN_DEBUG
// Traps when this thread holds a spin lock.
void may_sleep(const char* what);
// Called before a lock is waited for: traps when its rank does not follow the ranks already held.
void note_lock(const void* lock, unsigned rank, unsigned nesting, bool spins);
// Called before a lock is let go: traps when this thread does not hold it.
void note_unlock(const void* lock);
#else
inline void may_sleep(const char*) {}
inline void note_lock(const void*, unsigned, unsigned, bool) {}
inline void note_unlock(const void*) {}
#endif

}  // namespace tarn::host
