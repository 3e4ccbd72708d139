// SPDX-License-Identifier: GPL-2.0
// What a KUnit case in C++ uses. Cases are listed in kunit/{fs,pmem}/cases.h; each is
//     TARN_KUNIT_CASE(name) { ... TARN_EXPECT(condition); ... }
#pragma once

struct kunit;

extern "C" void tarn_kunit_fail(struct kunit* test, const char* file, int line, const char* what);

#define TARN_KUNIT_CASE(name) extern "C" void tarn_kunit_##name(struct kunit* test)

// Notes a failure and goes on.
#define TARN_EXPECT(condition)                                        \
    do {                                                              \
        if (!(condition))                                             \
            tarn_kunit_fail(test, __FILE__, __LINE__, #condition);    \
    } while (0)

// Notes a failure and ends the case.
#define TARN_REQUIRE(condition)                                       \
    do {                                                              \
        if (!(condition)) {                                           \
            tarn_kunit_fail(test, __FILE__, __LINE__, #condition);    \
            return;                                                   \
        }                                                             \
    } while (0)
