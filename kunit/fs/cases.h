/* SPDX-License-Identifier: GPL-2.0 */
/* The KUnit cases of tarnfs, by suite. A case is a C++ function in kunit/fs/SUITE.cpp; this list is all that C knows. */
#ifndef TARN_KUNIT_FS_CASES_H
#define TARN_KUNIT_FS_CASES_H

#define TARN_TOKENS_CASES(X)            \
	X(tokens_dropped_runs_return)   \
	X(tokens_zero_fence_own)        \
	X(tokens_fill_keeps_what_came)  \
	X(tokens_split)                 \
	X(tokens_undone_transaction)

#define TARN_RECORD_CASES(X)            \
	X(record_survives_reopen)       \
	X(record_torn_is_ignored)       \
	X(record_of_other_lap_is_ignored) \
	X(record_laps_and_retirement)   \
	X(record_too_big)

#define TARN_TRACKER_CASES(X)           \
	X(tracker_write_tags_dirty)     \
	X(tracker_read_is_clean)        \
	X(tracker_write_back_cleans)    \
	X(tracker_redirtied_stays)      \
	X(tracker_pinned_stays)         \
	X(tracker_many_entries)

#define TARN_FAULT_CASES(X)             \
	X(fault_hole_read_maps_zero)    \
	X(fault_hole_write_allocates)   \
	X(fault_second_write_shares)    \
	X(fault_beyond_end)             \
	X(fault_truncate_drops)         \
	X(fault_sync_then_write_again)

#endif
