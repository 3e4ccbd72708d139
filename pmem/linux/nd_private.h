/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What libnvdimm and dax export to their drivers but declare only in drivers/nvdimm/nd.h and drivers/dax/.
 * The structures behind these pointers stay opaque here: their layout is not part of what is exported.
 */
#ifndef TARN_PMEM_ND_PRIVATE_H
#define TARN_PMEM_ND_PRIVATE_H

#include <linux/libnvdimm.h>
#include <linux/nd.h>
#include <linux/ndctl.h>
#include <linux/range.h>

struct dax_device;
struct nd_pfn;

#if IS_ENABLED(CONFIG_BTT)
bool is_nd_btt(struct device *dev);
#else /* a kernel without sector-atomic namespaces has no such device */
static inline bool is_nd_btt(struct device *dev)
{
	return false;
}
#endif
bool is_nd_pfn(struct device *dev);
bool is_nd_dax(const struct device *dev);
struct nd_pfn *to_nd_pfn(struct device *dev);

struct nd_namespace_common *nvdimm_namespace_common_probe(struct device *dev);
const char *nvdimm_namespace_disk_name(struct nd_namespace_common *ndns, char *name);
const uuid_t *nd_dev_to_uuid(struct device *dev);
unsigned int pmem_sector_size(struct nd_namespace_common *ndns);

int devm_namespace_enable(struct device *dev, struct nd_namespace_common *ndns, resource_size_t size);
void devm_namespace_disable(struct device *dev, struct nd_namespace_common *ndns);
int nd_pfn_probe(struct device *dev, struct nd_namespace_common *ndns);
int nvdimm_setup_pfn(struct nd_pfn *nd_pfn, struct dev_pagemap *pgmap);

void nvdimm_badblocks_populate(struct nd_region *region, struct badblocks *bad, const struct range *range);
long nvdimm_clear_poison(struct device *dev, phys_addr_t physical, unsigned int length);
struct inode *dax_inode(struct dax_device *dax);
void nvdimm_check_and_set_ro(struct gendisk *disk);

#endif
