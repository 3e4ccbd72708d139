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
#include "cxxrt/linux/persist.h"
#include "cxxrt/runtime.h"

#define TARN_LINE_BYTES 64

DEFINE_STATIC_KEY_FALSE(tarn_persist_counting);

void tarn_persist_copy(const struct tarn_device *device, void *target, const void *source, tarn_size_t length)
{
	tarn_persist_count(device, bytes_streamed, length);
	memcpy_flushcache(target, source, length);
}

void tarn_persist_log(const struct tarn_device *device, void *target, const void *source, tarn_size_t length)
{
	tarn_persist_count(device, bytes_journal, length);
	tarn_persist_copy(device, target, source, length);
}

void tarn_persist_zero(const struct tarn_device *device, void *target, tarn_size_t length)
{
	const void *zeroes = page_address(ZERO_PAGE(0));

	tarn_persist_count(device, bytes_streamed, length);
	while (length) {
		tarn_size_t part = min_t(tarn_size_t, length, PAGE_SIZE);

		memcpy_flushcache(target, zeroes, part);
		target += part;
		length -= part;
	}
}

static u64 tarn_lines(const void *target, tarn_size_t length)
{
	unsigned long first = (unsigned long)target / TARN_LINE_BYTES;

	return ((unsigned long)target + length - 1) / TARN_LINE_BYTES - first + 1;
}

void tarn_persist_write_back(const struct tarn_device *device, const void *target, tarn_size_t length)
{
	if (!device->write_back)
		return;
	tarn_persist_count(device, lines_written_back, tarn_lines(target, length));
	arch_wb_cache_pmem((void *)target, length);
}

/* The handle of a TARN_DEVICE_FLUSH device knows its block device. */
int tarn_persist_fence(const struct tarn_device *device)
{
	tarn_persist_count(device, fences, 1);
	pmem_wmb();
	if (device->class_ == TARN_DEVICE_SYNC)
		return 0;
	tarn_persist_count(device, device_flushes, 1);
	return blkdev_issue_flush(((struct tarn_backing *)device->handle)->bdev);
}

int tarn_device_is_pinned(const struct tarn_device *device, unsigned long long block)
{
	return device->first_pfn && tarn_pfn_is_pinned(device->first_pfn + block);
}

/* ---- counters --------------------------------------------------------------------------------------------- */

int tarn_persist_counts_create(struct tarn_backing *backing)
{
	backing->counts = alloc_percpu(struct tarn_persist_counts);
	return backing->counts ? 0 : -ENOMEM;
}

void tarn_persist_counts_destroy(struct tarn_backing *backing)
{
	tarn_persist_set_counting(backing, false);
	free_percpu(backing->counts);
	backing->counts = NULL;
}

void tarn_persist_set_counting(struct tarn_backing *backing, bool counting)
{
	if (counting == backing->counting)
		return;
	WRITE_ONCE(backing->counting, counting);
	if (counting)
		static_branch_inc(&tarn_persist_counting);
	else
		static_branch_dec(&tarn_persist_counting);
}

void tarn_persist_counts_read(const struct tarn_backing *backing, struct tarn_persist_counts *sum)
{
	int cpu;

	*sum = (struct tarn_persist_counts){};
	for_each_possible_cpu(cpu) {
		const struct tarn_persist_counts *counts = per_cpu_ptr(backing->counts, cpu);

		sum->fences += READ_ONCE(counts->fences);
		sum->device_flushes += READ_ONCE(counts->device_flushes);
		sum->lines_written_back += READ_ONCE(counts->lines_written_back);
		sum->bytes_streamed += READ_ONCE(counts->bytes_streamed);
		sum->bytes_journal += READ_ONCE(counts->bytes_journal);
	}
}
