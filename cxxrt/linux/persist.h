/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is behind a tarn_device in a kernel, and the counters of its persist calls.
 *
 * Counting is off until somebody wants to know, and costs nothing then: a jump label in each persist call, a
 * nop. While it is on, for whichever devices, each counts on the CPU that it runs on, so that nothing is
 * shared.
 */
#ifndef TARN_LINUX_PERSIST_H
#define TARN_LINUX_PERSIST_H

#include <linux/jump_label.h>
#include <linux/percpu.h>

#include "cxxrt/runtime.h"

struct block_device;

struct tarn_persist_counts {
	u64 fences;
	u64 device_flushes;	/* of a TARN_DEVICE_FLUSH device */
	u64 lines_written_back; /* cache lines that ordinary stores have changed */
	u64 bytes_streamed;	/* with non-temporal stores, whatever the kernel does with unaligned ends */
	u64 bytes_journal;	/* of these, to journals */
};

/* `handle` of a struct tarn_device; that of a device without one is NULL, and nothing is counted. */
struct tarn_backing {
	struct block_device *bdev;
	struct tarn_persist_counts __percpu *counts;
	bool counting; /* set and read by tarn_persist_set_counting's callers, one at a time */
};

/* Allocates the counters, all zero, not counting. May sleep. -ENOMEM. */
int tarn_persist_counts_create(struct tarn_backing *backing);
/* Stops counting and frees them. NULL counters are fine. Nobody uses the device any more. May sleep. */
void tarn_persist_counts_destroy(struct tarn_backing *backing);
/* From now on the device counts, or does not. What was counted stays. One caller at a time. May sleep. */
void tarn_persist_set_counting(struct tarn_backing *backing, bool counting);
/* Adds up all CPUs. Calls that are under way may be missing in part. */
void tarn_persist_counts_read(const struct tarn_backing *backing, struct tarn_persist_counts *sum);

/* True while any device of this module counts. */
DECLARE_STATIC_KEY_FALSE(tarn_persist_counting);

static inline bool tarn_counts(const struct tarn_device *device)
{
	const struct tarn_backing *backing = device->handle;

	return backing && READ_ONCE(backing->counting);
}

/* The arguments are not evaluated while nothing counts. */
#define tarn_persist_count(device, field, amount)                                                            \
	do {                                                                                                 \
		if (static_branch_unlikely(&tarn_persist_counting) && tarn_counts(device))                   \
			this_cpu_add(((const struct tarn_backing *)(device)->handle)->counts->field,         \
				     amount);                                                                \
	} while (0)

#endif
