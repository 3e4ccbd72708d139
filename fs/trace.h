/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the core tells a tracer, where the glue does not see it for itself (faults; entries, by tarn_mapper_attach and
 * tarn_mapper_detach). Implemented by fs/linux/trace.c, where each costs its call while nobody traces; so they stand
 * only beside much dearer things. None sleeps.
 */
#ifndef TARN_FS_TRACE_H
#define TARN_FS_TRACE_H

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_inode;

/* A write-back of blocks [first, last] of a file has come to its end, with `pages` pages that were dirty. */
void tarn_trace_write_back(struct tarn_inode *inode, unsigned long long first, unsigned long long last,
			   unsigned long long pages, int error);
/* The entry of the 2 MiB from `block` on becomes 512 of 4 KiB; those that are not needed are detached next. */
void tarn_trace_split(struct tarn_inode *inode, unsigned long long block, unsigned long long pfn);

#ifdef __cplusplus
}
#endif
#endif
