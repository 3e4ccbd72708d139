// SPDX-License-Identifier: GPL-2.0
/*
 * Direct access to the memory behind the disk, and failures of that memory.
 *
 * Callers of an operation have seen the device alive, under the dax lock that kill_dax() waits for. But
 * kill_dax() may have begun since, and then dax_get_private() gives NULL.
 *
 * The map's failure callback may run until the map is gone. After kill_dax() it finds a dead device and
 * reports nothing.
 */
#include <linux/dax.h>
#include <linux/mm.h>
#include <linux/pfn_t.h>
#include <linux/uio.h>

#include "tarn_pmem.h"

static long tarn_dax_direct_access(struct dax_device *dax, pgoff_t page, long pages,
				   enum dax_access_mode mode, void **kaddr, pfn_t *pfn)
{
	struct tarn_pmem *pmem = dax_get_private(dax);
	long reach;

	if (!pmem)
		return -ENXIO;
	reach = tarn_pmem_reach(&pmem->core, page, pages,
				mode == DAX_RECOVERY_WRITE ? TARN_PMEM_RECOVERY : TARN_PMEM_ACCESS);
	if (reach <= 0)
		return reach;
	if (kaddr)
		*kaddr = pmem->core.memory.base + PFN_PHYS(page);
	if (pfn)
		*pfn = phys_to_pfn_t(pmem->geometry.data_start + PFN_PHYS(page), PFN_DEV | PFN_MAP);
	return reach;
}

static int tarn_dax_zero_page_range(struct dax_device *dax, pgoff_t page, size_t pages)
{
	struct tarn_pmem *pmem = dax_get_private(dax);

	if (!pmem)
		return -ENXIO;
	if (page > pmem->core.memory.blocks || pages > pmem->core.memory.blocks)
		return -ERANGE;
	return tarn_pmem_zero(&pmem->core, PFN_PHYS(page), PFN_PHYS(pages));
}

/* The caller holds off readers of the range through its own locks; they see the bad sectors until the end. */
static size_t tarn_dax_recovery_write(struct dax_device *dax, pgoff_t page, void *addr, size_t bytes,
				      struct iov_iter *from)
{
	struct tarn_pmem *pmem = dax_get_private(dax);
	u64 offset = PFN_PHYS(page) + offset_in_page(addr);
	size_t copied;

	if (!pmem)
		return 0;
	if (addr != pmem->core.memory.base + offset || tarn_pmem_begin_write(&pmem->core, offset, bytes))
		return 0;
	copied = _copy_from_iter_flushcache(addr, bytes, from);
	tarn_pmem_end_write(&pmem->core, offset, copied);
	return copied;
}

static const struct dax_operations tarn_dax_operations = {
	.direct_access = tarn_dax_direct_access,
	.zero_page_range = tarn_dax_zero_page_range,
	.recovery_write = tarn_dax_recovery_write,
};

/*
 * When this returns 0 for real memory, the kernel takes the page out of its linear map. Then it must carry
 * the mark that tarn_media_is_blocked() looks for, whether or not the holder has set it.
 */
static int tarn_pagemap_memory_failure(struct dev_pagemap *pgmap, unsigned long pfn, unsigned long pages,
				       int flags)
{
	struct tarn_pmem *pmem = container_of(pgmap, struct tarn_pmem, pgmap);
	bool real = !(flags & MF_SW_SIMULATED);
	unsigned long long offset, length;
	int rc;

	WRITE_ONCE(pmem->saw_failure, true);
	rc = tarn_pmem_failure(&pmem->core, PFN_PHYS(pfn), PFN_PHYS(pages), real, &offset, &length);
	if (rc)
		return rc;
	rc = dax_holder_notify_failure(pmem->dax, offset, length, flags);
	if (!rc && real)
		tarn_media_block(pmem, offset, length);
	return rc;
}

const struct dev_pagemap_ops tarn_pagemap_ops = {
	.memory_failure = tarn_pagemap_memory_failure,
};

int tarn_dax_create(struct tarn_pmem *pmem)
{
	pmem->dax = alloc_dax(pmem, &tarn_dax_operations);
	if (!pmem->dax)
		return -EOPNOTSUPP;
	if (IS_ERR(pmem->dax))
		return PTR_ERR(pmem->dax);
	set_dax_nocache(pmem->dax);
	set_dax_nomc(pmem->dax);
	if (pmem->synchronous)
		set_dax_synchronous(pmem->dax);
	dax_write_cache(pmem->dax, pmem->core.memory.write_back);
	return 0;
}

void tarn_dax_destroy(struct tarn_pmem *pmem)
{
	kill_dax(pmem->dax); /* once more after disk.c did, or for the first time when there never was a disk
			      */
	put_dax(pmem->dax);
}

/* After kill_dax() there are no new users. One reference is ours. */
bool tarn_dax_in_use(struct tarn_pmem *pmem)
{
	return atomic_read(&dax_inode(pmem->dax)->i_count) > 1;
}
