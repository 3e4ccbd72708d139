/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One bound namespace, and what the files of the glue call of one another.
 *
 *   driver.c  the nd driver: which namespaces are ours
 *   memory.c  region, struct pages; how long everything lives
 *   disk.c    the block device
 *   dax.c     direct access and memory failure
 *   media.c   what the core asks of the machine (the second half of pmem.h)
 */
#ifndef TARN_PMEM_LINUX_H
#define TARN_PMEM_LINUX_H

#include <linux/badblocks.h>
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/memremap.h>
#include <linux/workqueue.h>

#include "nd_private.h"
#include "pmem/pmem.h"

struct tarn_pmem {
	struct device *dev;
	struct nd_namespace_common *ndns;
	struct nd_region *region;
	struct resource resource; /* the whole namespace */
	char name[32];		  /* of the namespace, in /proc/iomem */
	bool attached;		  /* between tarn_memory_attach() and tarn_memory_detach() */
	struct tarn_pmem_geometry geometry;
	struct tarn_pmem_disk core;
	int synchronous;  /* stores are durable without a request to anybody: MAP_SYNC is possible */
	bool doubtful;	  /* nobody has said that there is memory */
	bool saw_failure; /* the kernel has reported a failed page of ours: some page may be marked */
	struct dev_pagemap pgmap;
	struct badblocks bad;
	struct kernfs_node *bad_state; /* the disk's sysfs file "badblocks", to wake who polls it */
	struct dax_device *dax;
	struct gendisk *disk;
	unsigned long long unpinned_pages; /* so many, from the first on, are known not to be pinned */
	struct delayed_work free_later;
	bool holds_module; /* free_later does */
};

/* memory.c. tarn_pmem_free() also detaches; where pages are pinned still, both when they are not.
 * tarn_pmem_wait_gone(): until every tarn_pmem has been freed. */
struct tarn_pmem *tarn_pmem_alloc(struct device *dev, struct nd_namespace_common *ndns);
void tarn_pmem_free(struct tarn_pmem *pmem);
void tarn_pmem_wait_gone(void);
int tarn_memory_attach(struct tarn_pmem *pmem);
void tarn_memory_detach(struct tarn_pmem *pmem);
/* Has anybody but us a reference to a page? Asked when nothing can be mapped any more. */
bool tarn_memory_is_pinned(struct tarn_pmem *pmem);

/* dax.c */
int tarn_dax_create(struct tarn_pmem *pmem);
void tarn_dax_destroy(struct tarn_pmem *pmem);
bool tarn_dax_in_use(struct tarn_pmem *pmem);
extern const struct dev_pagemap_ops tarn_pagemap_ops;

/* disk.c: makes the block device visible; takes it away again and frees pmem as soon as nobody uses it. */
int tarn_disk_create(struct tarn_pmem *pmem);
void tarn_disk_destroy(struct tarn_pmem *pmem);
/* Follows the region's read-only state. */
void tarn_disk_update_read_only(struct tarn_pmem *pmem);

/* media.c: the list of bad sectors as the platform knows it now. */
void tarn_media_refresh_bad(struct tarn_pmem *pmem);
/* Marks the pages of [offset, offset+length) as failed. */
void tarn_media_block(struct tarn_pmem *pmem, u64 offset, u64 length);

#endif
