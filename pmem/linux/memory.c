// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a bound namespace: its region, its struct pages, its dax device; and how long they live.
 *
 * Order of life: region, list of bad sectors, dax device, memory map. The map's failure callback uses the dax
 * device, so that goes after the map. Unbinding takes the disk away at once (disk.c). The memory stays as
 * long as somebody uses the dax device: a file system that is still mounted has struct pages in its hands. It
 * is given back when the last user has closed the disk; until then binding the namespace again fails with
 * EBUSY, so nobody else can get hold of pages that are still mapped somewhere. Those who merely have the disk
 * open hold nothing back. A page that is still pinned (DMA, a page in a pipe) holds all of the memory: the pin
 * may outlive file and mount, and memunmap_pages() does not wait for it.
 *
 * The struct tarn_pmem itself lives as long as its disk, and its memory.
 */
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#include "compat.h"
#include "tarn_pmem.h"

static atomic_t tarn_pmem_count = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(tarn_pmem_gone);

/* How often to look whether the last pin has gone. */
#define TARN_PIN_INTERVAL HZ

static void tarn_free_when_unpinned(struct work_struct *work);

struct tarn_pmem *tarn_pmem_alloc(struct device *dev, struct nd_namespace_common *ndns)
{
	struct tarn_pmem *pmem = kzalloc(sizeof(*pmem), GFP_KERNEL);

	if (!pmem)
		return NULL;
	atomic_inc(&tarn_pmem_count);
	pmem->dev = get_device(dev);
	pmem->ndns = ndns;
	pmem->region = to_nd_region(dev->parent);
	pmem->resource = to_nd_namespace_io(&ndns->dev)->res;
	strscpy(pmem->name, dev_name(&ndns->dev), sizeof(pmem->name));
	INIT_DELAYED_WORK(&pmem->free_later, tarn_free_when_unpinned);
	return pmem;
}

/* Once nothing is mapped any more no new pin can come: pages looked at once need not be looked at again. */
bool tarn_memory_is_pinned(struct tarn_pmem *pmem)
{
	const struct tarn_device *memory = &pmem->core.memory;

	if (!pmem->attached)
		return false;
	for (; pmem->unpinned_pages < memory->blocks; pmem->unpinned_pages++) {
		if (page_ref_count(pfn_to_page(memory->first_pfn + pmem->unpinned_pages)) > 1)
			return true;
		if (pmem->unpinned_pages % 65536 == 0)
			cond_resched();
	}
	return false;
}

static void tarn_free_now(struct tarn_pmem *pmem)
{
	tarn_memory_detach(pmem);
	sysfs_put(pmem->bad_state);
	put_device(pmem->dev);
	kfree(pmem);
	rcu_read_lock();
	if (atomic_dec_and_test(&tarn_pmem_count))
		wake_up(&tarn_pmem_gone);
	rcu_read_unlock();
}

static void tarn_free_when_unpinned(struct work_struct *work)
{
	struct tarn_pmem *pmem = container_of(to_delayed_work(work), struct tarn_pmem, free_later);

	if (tarn_memory_is_pinned(pmem)) {
		schedule_delayed_work(&pmem->free_later, TARN_PIN_INTERVAL);
		return;
	}
	dev_info(pmem->dev, "the memory is free again\n");
	if (pmem->holds_module)
		module_put(THIS_MODULE);
	tarn_free_now(pmem);
}

void tarn_pmem_free(struct tarn_pmem *pmem)
{
	if (!tarn_memory_is_pinned(pmem)) {
		tarn_free_now(pmem);
		return;
	}
	dev_warn(pmem->dev, "a page is still pinned: the memory stays reserved until it is not\n");
	pmem->holds_module = try_module_get(THIS_MODULE);
	schedule_delayed_work(&pmem->free_later, TARN_PIN_INTERVAL);
}

/* Closing a disk lets go of the module a moment before tarn_pmem_free() is called. */
void tarn_pmem_wait_gone(void)
{
	wait_event(tarn_pmem_gone, atomic_read(&tarn_pmem_count) == 0);
	synchronize_rcu(); /* the last one is done with tarn_pmem_gone */
}

static void tarn_examine_durability(struct tarn_pmem *pmem)
{
	struct tarn_pmem_durability durability = {
		.has_flush = nvdimm_has_flush(pmem->region),
		.synchronous = is_nvdimm_sync(pmem->region),
		.has_cache = nvdimm_has_cache(pmem->region),
	};

	tarn_pmem_decide_durability(&durability);
	if (durability.remark)
		dev_info(pmem->dev, "%s\n", durability.remark);
	pmem->synchronous = durability.synchronous;
	pmem->doubtful = durability.doubtful;
	pmem->core.memory.class_ = durability.class_;
	pmem->core.memory.write_back = durability.write_back;
}

static int tarn_reserve(struct tarn_pmem *pmem)
{
	struct resource *res = &pmem->resource;

	if (region_intersects(pmem->geometry.map_start, pmem->geometry.map_bytes, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		dev_err(pmem->dev, "refused: %pR overlaps system RAM\n", res);
		return -EBUSY;
	}
	if (!request_mem_region(res->start, resource_size(res), pmem->name)) {
		dev_err(pmem->dev, "refused: %pR is in use\n", res);
		return -EBUSY;
	}
	return 0;
}

static int tarn_map(struct tarn_pmem *pmem)
{
	const struct tarn_pmem_geometry *geometry = &pmem->geometry;
	struct dev_pagemap *pgmap = &pmem->pgmap;
	void *addr;

	pgmap->range.start = geometry->map_start;
	pgmap->range.end = geometry->map_start + geometry->map_bytes - 1;
	pgmap->nr_range = 1;
	pgmap->type = MEMORY_DEVICE_FS_DAX;
	pgmap->ops = &tarn_pagemap_ops;
	pgmap->owner = pmem;
	addr = memremap_pages(pgmap, dev_to_node(pmem->dev));
	if (IS_ERR(addr)) {
		dev_err(pmem->dev, "refused: no struct pages for %#llx bytes at %#llx (%ld)\n",
			geometry->map_bytes, geometry->map_start, PTR_ERR(addr));
		return PTR_ERR(addr);
	}
	pmem->core.memory.base = (unsigned char *)addr + (geometry->data_start - geometry->map_start);
	pmem->core.memory.blocks = geometry->data_bytes >> PAGE_SHIFT;
	pmem->core.memory.first_pfn = PHYS_PFN(geometry->data_start);
	pmem->core.media = pmem;
	pmem->core.poison_errno = TARN_PMEM_POISON_ERRNO;
	return 0;
}

/* The address of a legacy region comes from the kernel's command line or from firmware that says no more than
 * that. */
static int tarn_find_memory(struct tarn_pmem *pmem)
{
	if (!pmem->doubtful || tarn_pmem_is_backed(&pmem->core))
		return 0;
	dev_err(pmem->dev, "refused: there is no memory at %pR\n", &pmem->resource);
	return -ENXIO;
}

static void tarn_release(struct tarn_pmem *pmem)
{
	release_mem_region(pmem->resource.start, resource_size(&pmem->resource));
}

static int tarn_make_bad_list(struct tarn_pmem *pmem)
{
	int rc = badblocks_init(&pmem->bad, 1);

	if (!rc)
		tarn_media_refresh_bad(pmem);
	return rc;
}

int tarn_memory_attach(struct tarn_pmem *pmem)
{
	int rc = tarn_reserve(pmem);

	if (rc)
		return rc;
	tarn_examine_durability(pmem);
	rc = tarn_make_bad_list(pmem);
	if (rc)
		goto release;
	rc = tarn_dax_create(pmem);
	if (rc)
		goto exit_bad;
	rc = tarn_map(pmem);
	if (rc)
		goto destroy_dax;
	pmem->attached = true;
	return tarn_find_memory(pmem); /* on failure the caller frees pmem, and with it all of this */

destroy_dax:
	tarn_dax_destroy(pmem);
exit_bad:
	badblocks_exit(&pmem->bad);
release:
	tarn_release(pmem);
	return rc;
}

void tarn_memory_detach(struct tarn_pmem *pmem)
{
	if (!pmem->attached)
		return;
	pmem->attached = false;
	memunmap_pages(&pmem->pgmap);
	tarn_dax_destroy(pmem);
	badblocks_exit(&pmem->bad);
	tarn_release(pmem);
}
