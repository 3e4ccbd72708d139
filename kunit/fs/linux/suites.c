// SPDX-License-Identifier: GPL-2.0
/* The KUnit suites of tarnfs: makes KUnit's tables from kunit/fs/cases.h. */
#include <kunit/test.h>
#include <linux/module.h>

#include "kunit/fs/cases.h"

#define DECLARE(case_name) void tarn_kunit_##case_name(struct kunit *test);
TARN_TOKENS_CASES(DECLARE)
TARN_RECORD_CASES(DECLARE)
TARN_TRACKER_CASES(DECLARE)
TARN_FAULT_CASES(DECLARE)

#define ENTRY(case_name) { .run_case = tarn_kunit_##case_name, .name = #case_name },

static struct kunit_case tokens_cases[] = { TARN_TOKENS_CASES(ENTRY) {} };
static struct kunit_case record_cases[] = { TARN_RECORD_CASES(ENTRY) {} };
static struct kunit_case tracker_cases[] = { TARN_TRACKER_CASES(ENTRY) {} };
static struct kunit_case fault_cases[] = { TARN_FAULT_CASES(ENTRY) {} };

static struct kunit_suite tokens_suite = { .name = "tarnfs-tokens", .test_cases = tokens_cases };
static struct kunit_suite record_suite = { .name = "tarnfs-record", .test_cases = record_cases };
static struct kunit_suite tracker_suite = { .name = "tarnfs-tracker", .test_cases = tracker_cases };
static struct kunit_suite fault_suite = { .name = "tarnfs-fault", .test_cases = fault_cases };

kunit_test_suites(&tokens_suite, &record_suite, &tracker_suite, &fault_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suites of tarnfs");
