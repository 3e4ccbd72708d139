// SPDX-License-Identifier: GPL-2.0
/*
 * tarn_pmem: a driver for libnvdimm's namespaces that gives each a block device with direct access.
 *
 * A namespace arrives twice when it is in fsdax mode: first as itself; its info block makes libnvdimm create
 * a child device (pfnX.Y), and that is what a disk is made of. Raw namespaces are served themselves. Which of
 * the two, and with which numbers, the core judges (pmem/geometry.hpp). The info block is read through a
 * mapping of libnvdimm's own, which is closed again before memory.c makes ours.
 *
 * Locks: probe, remove and notify run under the device's lock, taken by the driver core.
 */
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "tarn_pmem.h"

static enum tarn_pmem_personality tarn_personality(struct device *dev)
{
	if (is_nd_pfn(dev))
		return TARN_PMEM_PFN_DEVICE;
	if (is_nd_btt(dev))
		return TARN_PMEM_BTT_DEVICE;
	return is_nd_dax(dev) ? TARN_PMEM_DAX_DEVICE : TARN_PMEM_NAMESPACE;
}

static enum tarn_pmem_claim tarn_claim(const struct nd_namespace_common *ndns)
{
	switch (ndns->claim_class) {
	case NVDIMM_CCLASS_NONE:
		return TARN_PMEM_CLAIM_NONE;
	case NVDIMM_CCLASS_PFN:
		return TARN_PMEM_CLAIM_PFN;
	case NVDIMM_CCLASS_BTT:
	case NVDIMM_CCLASS_BTT2:
		return TARN_PMEM_CLAIM_BTT;
	case NVDIMM_CCLASS_DAX:
		return TARN_PMEM_CLAIM_DAX;
	default:
		return TARN_PMEM_CLAIM_UNKNOWN;
	}
}

static void tarn_describe(struct tarn_pmem *pmem, struct tarn_pmem_namespace *ns)
{
	const struct resource *res = &to_nd_namespace_io(&pmem->ndns->dev)->res;

	*ns = (struct tarn_pmem_namespace){
		.start = res->start,
		.bytes = resource_size(res),
		.map_align = memremap_compat_align(),
		.page_bytes = PAGE_SIZE,
		.page_struct_bytes = sizeof(struct page),
		.personality = tarn_personality(pmem->dev),
		.claim = tarn_claim(pmem->ndns),
		.force_raw = pmem->ndns->force_raw,
	};
	export_uuid(ns->uuid, nd_dev_to_uuid(&pmem->ndns->dev));
}

static void tarn_read_info_block(struct tarn_pmem *pmem, const struct tarn_pmem_namespace *ns, void *block,
				 struct tarn_pmem_judgement *judgement)
{
	int rc = nvdimm_read_bytes(pmem->ndns, TARN_PMEM_INFO_BLOCK_OFFSET, block, TARN_PMEM_INFO_BLOCK_BYTES,
				   0);

	tarn_pmem_judge_info_block(ns, rc ? NULL : block, judgement);
}

/* libnvdimm has read the same info block: does it come to the same numbers? */
static int tarn_compare_pagemap(struct tarn_pmem *pmem, const struct tarn_pmem_geometry *geometry)
{
	const struct range *range = &pmem->pgmap.range;

	if (range->start == geometry->map_start && range_len(range) == geometry->map_bytes &&
	    !(pmem->pgmap.flags & PGMAP_ALTMAP_VALID) == !geometry->memory_map_inside)
		return 0;
	dev_err(pmem->dev, "refused: libnvdimm would map %#llx-%#llx, the info block says %#llx+%#llx\n",
		range->start, range->end, geometry->map_start, geometry->map_bytes);
	return -EUCLEAN;
}

/*
 * For a pfn device: has libnvdimm write the info block if there is none yet, and prepare the memory map. It
 * is only asked when the core has found the block, if there is one, to be sound.
 */
static int tarn_setup_pfn(struct tarn_pmem *pmem, const struct tarn_pmem_namespace *ns, void *block,
			  struct tarn_pmem_judgement *judgement)
{
	int rc = nvdimm_setup_pfn(to_nd_pfn(pmem->dev), &pmem->pgmap);

	if (rc) {
		dev_err(pmem->dev, "refused: libnvdimm cannot set up fsdax mode here (%d)\n", rc);
		return rc;
	}
	tarn_read_info_block(pmem, ns, block, judgement);
	if (judgement->verdict != TARN_PMEM_SERVE)
		return 0;
	return tarn_compare_pagemap(pmem, &judgement->geometry);
}

static int tarn_inspect_block(struct tarn_pmem *pmem, const struct tarn_pmem_namespace *ns, void *block,
			      struct tarn_pmem_judgement *judgement)
{
	bool is_pfn = ns->personality == TARN_PMEM_PFN_DEVICE;

	tarn_read_info_block(pmem, ns, block, judgement);
	switch (judgement->verdict) {
	case TARN_PMEM_SERVE:
	case TARN_PMEM_FORMAT:
		return is_pfn ? tarn_setup_pfn(pmem, ns, block, judgement) : 0;
	case TARN_PMEM_ANNOUNCE:
		return nd_pfn_probe(pmem->dev, pmem->ndns);
	default:
		return 0;
	}
}

/*
 * libnvdimm may fail between disabling the namespace and enabling it again, and does not say so: then what is
 * left of it is for devres to find. What it allocated for a pfn device that works has to stay.
 */
static void tarn_end_inspection(struct tarn_pmem *pmem, void *group, int rc)
{
	if (!group)
		return;
	if (rc) {
		devres_release_group(pmem->dev, group);
		return;
	}
	devm_namespace_disable(pmem->dev, pmem->ndns);
	devres_remove_group(pmem->dev, group);
}

static int tarn_inspect(struct tarn_pmem *pmem, const struct tarn_pmem_namespace *ns,
			struct tarn_pmem_judgement *judgement)
{
	void *block = kmalloc(TARN_PMEM_INFO_BLOCK_BYTES, GFP_KERNEL);
	void *group = devres_open_group(pmem->dev, NULL, GFP_KERNEL);
	int rc = -ENOMEM;

	if (block && group)
		rc = devm_namespace_enable(pmem->dev, pmem->ndns, ALIGN(TARN_PMEM_INFO_RESERVE, PAGE_SIZE));
	if (rc == -EBUSY)
		dev_err(pmem->dev, "refused: the memory is in use; is a file system from before an unbind "
				   "still mounted?\n");
	if (!rc)
		rc = tarn_inspect_block(pmem, ns, block, judgement);
	tarn_end_inspection(pmem, group, rc);
	kfree(block);
	return rc;
}

static int tarn_report(struct tarn_pmem *pmem, const struct tarn_pmem_judgement *judgement)
{
	switch (judgement->verdict) {
	case TARN_PMEM_SERVE:
		return 0;
	case TARN_PMEM_ANNOUNCE: /* its pfn device will come */
		return -ENXIO;
	case TARN_PMEM_LEAVE:
		dev_info(pmem->dev, "left to another driver: %s\n", judgement->reason);
		return judgement->error;
	case TARN_PMEM_REFUSE:
		if (judgement->found || judgement->needed)
			dev_err(pmem->dev, "refused: %s (%#llx, expected %#llx)\n", judgement->reason,
				judgement->found, judgement->needed);
		else
			dev_err(pmem->dev, "refused: %s\n", judgement->reason);
		return judgement->error;
	default:
		dev_err(pmem->dev, "refused: libnvdimm wrote no info block\n");
		return -EIO;
	}
}

/* Finds out whether the namespace is ours and where its data is. */
static int tarn_examine(struct tarn_pmem *pmem)
{
	struct tarn_pmem_judgement judgement;
	struct tarn_pmem_namespace ns;
	int rc = 0;

	tarn_describe(pmem, &ns);
	tarn_pmem_judge(&ns, &judgement);
	if (judgement.verdict == TARN_PMEM_INSPECT)
		rc = tarn_inspect(pmem, &ns, &judgement);
	if (rc)
		return rc;
	pmem->geometry = judgement.geometry;
	return tarn_report(pmem, &judgement);
}

/* libnvdimm does not let go of the namespace. It speaks up itself about misalignment only. */
static int tarn_report_platform(struct device *dev, int error)
{
	if (error == -EBUSY)
		dev_err(dev, "refused: the namespace below is bound to a driver; unbind that first\n");
	else if (error == -EACCES)
		dev_err(dev, "refused: the namespace is locked\n");
	return error;
}

static int tarn_probe(struct device *dev)
{
	struct nd_namespace_common *ndns = nvdimm_namespace_common_probe(dev);
	struct tarn_pmem *pmem;
	int rc;

	if (IS_ERR(ndns))
		return tarn_report_platform(dev, PTR_ERR(ndns));
	pmem = tarn_pmem_alloc(dev, ndns);
	if (!pmem)
		return -ENOMEM;
	rc = tarn_examine(pmem);
	if (!rc)
		rc = tarn_memory_attach(pmem);
	if (!rc)
		rc = tarn_disk_create(pmem);
	if (rc) {
		tarn_pmem_free(pmem);
		return rc;
	}
	dev_set_drvdata(dev, pmem);
	return 0;
}

static void tarn_remove(struct device *dev)
{
	tarn_disk_destroy(dev_get_drvdata(dev));
}

static void tarn_shutdown(struct device *dev)
{
	struct tarn_pmem *pmem = dev_get_drvdata(dev);

	if (tarn_pmem_flush(&pmem->core))
		dev_warn(dev, "the last flush failed: recent writes may not be durable\n");
}

static void tarn_notify(struct device *dev, enum nvdimm_event event)
{
	struct tarn_pmem *pmem = dev_get_drvdata(dev);

	switch (event) {
	case NVDIMM_REVALIDATE_POISON:
		tarn_media_refresh_bad(pmem);
		break;
	case NVDIMM_REVALIDATE_REGION:
		tarn_disk_update_read_only(pmem);
		break;
	default:
		dev_warn_once(dev, "unknown event %d\n", event);
		break;
	}
}

static struct nd_device_driver tarn_driver = {
	.probe = tarn_probe,
	.remove = tarn_remove,
	.shutdown = tarn_shutdown,
	.notify = tarn_notify,
	.drv = {
		.name = "tarn_pmem",
	},
	.type = ND_DRIVER_NAMESPACE_IO | ND_DRIVER_NAMESPACE_PMEM,
};

static int __init tarn_pmem_init(void)
{
	return nd_driver_register(&tarn_driver);
}
module_init(tarn_pmem_init);

static void __exit tarn_pmem_exit(void)
{
	nd_driver_unregister(&tarn_driver);
	tarn_pmem_wait_gone();
}
module_exit(tarn_pmem_exit);

/* No MODULE_ALIAS for namespaces: installing this module must not change who drives a machine's existing
 * disks. */
MODULE_DESCRIPTION("Persistent memory block device with direct access");
MODULE_LICENSE("GPL");
