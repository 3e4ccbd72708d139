/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between kernel versions that tarn_pmem has to know. No other file of it looks at the
 * version.
 */
#ifndef TARN_PMEM_COMPAT_H
#define TARN_PMEM_COMPAT_H

#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/err.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "tarn_pmem needs Linux 6.1 or later"
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#error "tarn_pmem does not know the block layer of Linux 6.9 and 6.10, which was between two interfaces"
#endif

/* What direct_access() says of a bad page: page faults tell a poisoned page from an I/O error since 6.5. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define TARN_PMEM_POISON_ERRNO (-EHWPOISON)
#else
#define TARN_PMEM_POISON_ERRNO (-EIO)
#endif

/* What the disk looks like to the block layer. */
struct tarn_pmem_limits {
	unsigned int sector_bytes; /* smallest request */
	unsigned int zero_sectors; /* largest write-zeroes request */
	unsigned int discard_sectors;
};

/* Allocates a disk with these limits, a write cache, FUA and DAX. Returns it or an ERR_PTR. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static inline struct gendisk *tarn_compat_alloc_disk(const struct tarn_pmem_limits *limits, int node)
{
	struct queue_limits lim = {
		.logical_block_size = limits->sector_bytes,
		.physical_block_size = PAGE_SIZE,
		.max_hw_sectors = UINT_MAX,
		.max_hw_discard_sectors = limits->discard_sectors,
		.discard_granularity = limits->sector_bytes,
		.max_write_zeroes_sectors = limits->zero_sectors,
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_SYNCHRONOUS | BLK_FEAT_DAX,
	};

	return blk_alloc_disk(&lim, node);
}
#else
static inline struct gendisk *tarn_compat_alloc_disk(const struct tarn_pmem_limits *limits, int node)
{
	struct gendisk *disk = blk_alloc_disk(node);
	struct request_queue *q;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	q = disk->queue;
	blk_queue_logical_block_size(q, limits->sector_bytes);
	blk_queue_physical_block_size(q, PAGE_SIZE);
	blk_queue_max_hw_sectors(q, UINT_MAX);
	blk_queue_max_discard_sectors(q, limits->discard_sectors);
	q->limits.discard_granularity = limits->sector_bytes;
	blk_queue_max_write_zeroes_sectors(q, limits->zero_sectors);
	blk_queue_write_cache(q, true, true);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_flag_set(QUEUE_FLAG_DAX, q);
	return disk;
}
#endif

#endif
