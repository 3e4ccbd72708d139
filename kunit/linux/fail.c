// SPDX-License-Identifier: GPL-2.0
/* How a C++ case tells KUnit that something is wrong. */
#include <kunit/test.h>

void tarn_kunit_fail(struct kunit *test, const char *file, int line, const char *what);

void tarn_kunit_fail(struct kunit *test, const char *file, int line, const char *what)
{
	KUNIT_FAIL(test, "%s:%d: not true: %s", file, line, what);
}
