// SPDX-License-Identifier: GPL-2.0
/* The KUnit suites of tarn_pmem: makes KUnit's tables from kunit/pmem/cases.h. */
#include <kunit/test.h>
#include <linux/module.h>

#include "kunit/pmem/cases.h"

#define DECLARE(case_name) void tarn_kunit_##case_name(struct kunit *test);
TARN_RANGES_CASES(DECLARE)
TARN_POISON_CASES(DECLARE)
TARN_NAMESPACE_CASES(DECLARE)

#define ENTRY(case_name) { .run_case = tarn_kunit_##case_name, .name = #case_name },

static struct kunit_case ranges_cases[] = { TARN_RANGES_CASES(ENTRY) {} };
static struct kunit_case poison_cases[] = { TARN_POISON_CASES(ENTRY) {} };
static struct kunit_case namespace_cases[] = { TARN_NAMESPACE_CASES(ENTRY) {} };

static struct kunit_suite ranges_suite = { .name = "tarn_pmem-ranges", .test_cases = ranges_cases };
static struct kunit_suite poison_suite = { .name = "tarn_pmem-poison", .test_cases = poison_cases };
static struct kunit_suite namespace_suite = { .name = "tarn_pmem-namespace", .test_cases = namespace_cases };

kunit_test_suites(&ranges_suite, &poison_suite, &namespace_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suites of tarn_pmem");
