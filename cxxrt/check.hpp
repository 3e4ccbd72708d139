// SPDX-License-Identifier: GPL-2.0
// Assertions about our own code. Never about media contents or userspace values: those are errors, not bugs.
//   TARN_ASSERT  checked in debug builds (TARN_DEBUG), assumed nowhere
//   TARN_BUG_ON  checked always; for invariants whose breach would damage the media
#pragma once
#include "cxxrt/runtime.h"

#define TARN_BUG_ON(condition)                            \
    do {                                                  \
        if (__builtin_expect(!!(condition), 0))           \
            tarn_bug(__FILE__, __LINE__, #condition);     \
    } while (0)

#ifdef TARN_DEBUG
#define TARN_ASSERT(condition) TARN_BUG_ON(!(condition))
#else
#define TARN_ASSERT(condition) static_cast<void>(sizeof(!(condition)))
#endif
