/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted of the mappings of a mount: the names that fs/dax, fs/file and the glue have in common.
 */
#ifndef TARN_DAX_COUNTS_H
#define TARN_DAX_COUNTS_H

enum tarn_count {
	/* Faults served with 4 KiB, and with 2 MiB, in the order of enum tarn_fault_kind. */
	TARN_COUNT_READ,
	TARN_COUNT_WRITE,
	TARN_COUNT_MKWRITE,
	TARN_COUNT_COPY,
	TARN_COUNT_HUGE_READ,
	TARN_COUNT_HUGE_WRITE,
	TARN_COUNT_HUGE_MKWRITE,
	TARN_COUNT_AROUND, /* pages, zero pages among them, that faults of 4 KiB have mapped beside their own */

	/* Faults of 2 MiB left to 4 KiB, by reason. */
	TARN_COUNT_FALLBACK_UNALIGNED, /* the mapping, or where it lies in the file */
	TARN_COUNT_FALLBACK_END,	   /* the file ends before */
	TARN_COUNT_FALLBACK_ENTRIES,   /* some of the blocks are tracked one by one already */
	TARN_COUNT_FALLBACK_SCATTERED, /* not one aligned run of one kind */
	TARN_COUNT_FALLBACK_NO_SPACE,  /* no aligned run is free */
	TARN_COUNT_FALLBACK_NO_MEMORY,

	/* Now: entries with a page, and those of them that are dirty. */
	TARN_COUNT_ENTRIES,
	TARN_COUNT_HUGE_ENTRIES,
	TARN_COUNT_DIRTY,
	TARN_COUNT_HUGE_DIRTY,
	TARN_COUNT_RECLAIMED, /* entries removed because memory was wanted */

	TARN_COUNTS
};

#endif
