// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints themselves, and the way to them from the core (fs/trace.h).
 */
#include "fs/linux/glue.h"
#include "fs/trace.h"

#define CREATE_TRACE_POINTS
#include "fs/linux/trace.h"

void tarn_trace_write_back(struct tarn_inode *inode, unsigned long long first, unsigned long long last,
			   unsigned long long pages, int error)
{
	trace_tarnfs_write_back(tarn_vfs_of(inode), first, last, pages, error);
}

void tarn_trace_split(struct tarn_inode *inode, unsigned long long block, unsigned long long pfn)
{
	trace_tarnfs_entry_split(tarn_vfs_of(inode), block, pfn, TARN_HUGE_BLOCKS);
}
