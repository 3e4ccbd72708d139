/* SPDX-License-Identifier: GPL-2.0 */
/* The KUnit cases of tarn_pmem, by suite. A case is a C++ function in kunit/pmem/SUITE.cpp; C knows no more of it. */
#ifndef TARN_KUNIT_PMEM_CASES_H
#define TARN_KUNIT_PMEM_CASES_H

#define TARN_RANGES_CASES(X)              \
	X(ranges_read_write)              \
	X(ranges_end_of_disk)             \
	X(ranges_reach_stops_before_bad)  \
	X(ranges_bad_far_away)            \
	X(ranges_many_bad_runs)           \
	X(ranges_zero_in_steps)

#define TARN_POISON_CASES(X)              \
	X(poison_write_heals)             \
	X(poison_part_of_a_sector)        \
	X(poison_that_cannot_be_cleared)  \
	X(poison_half_cleared_stays_bad)  \
	X(poison_blocked_page)            \
	X(poison_discard_heals)           \
	X(poison_failure_is_listed)

#define TARN_NAMESPACE_CASES(X)           \
	X(namespace_raw)                  \
	X(namespace_fsdax)                \
	X(namespace_damaged)              \
	X(namespace_of_others)

#endif
