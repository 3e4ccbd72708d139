// SPDX-License-Identifier: GPL-2.0
/*
 * cxxrt on Linux: persistence. Non-temporal copies and the best cache-line write-back of the CPU come from the kernel
 * (memcpy_flushcache, arch_wb_cache_pmem: clwb, clflushopt or clflush); neither issues a fence, tarn_persist_fence does.
 */
#include <linux/blkdev.h>
#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "cxxrt/linux/page.h"
#include "cxxrt/runtime.h"

void tarn_persist_copy(const struct tarn_device *device, void *target, const void *source, tarn_size_t length)
{
	memcpy_flushcache(target, source, length);
}

void tarn_persist_zero(const struct tarn_device *device, void *target, tarn_size_t length)
{
	const void *zeroes = page_address(ZERO_PAGE(0));

	while (length) {
		tarn_size_t part = min_t(tarn_size_t, length, PAGE_SIZE);

		memcpy_flushcache(target, zeroes, part);
		target += part;
		length -= part;
	}
}

void tarn_persist_write_back(const struct tarn_device *device, const void *target, tarn_size_t length)
{
	if (device->write_back)
		arch_wb_cache_pmem((void *)target, length);
}

/* `handle` of a TARN_DEVICE_FLUSH device is its struct block_device. */
int tarn_persist_fence(const struct tarn_device *device)
{
	pmem_wmb();
	if (device->class_ == TARN_DEVICE_SYNC)
		return 0;
	return blkdev_issue_flush(device->handle);
}

int tarn_device_is_pinned(const struct tarn_device *device, unsigned long long block)
{
	return device->first_pfn && tarn_pfn_is_pinned(device->first_pfn + block);
}
