// SPDX-License-Identifier: GPL-2.0
/*
 * What the core asks of the machine: bad sectors, poison, machine-check-safe loads, flushes. `media` is
 * always the struct tarn_pmem. Numbers of sectors are cut to what struct badblocks takes.
 */
#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "tarn_pmem.h"

/* struct badblocks counts in int. A multiple of a page. */
#define TARN_BAD_STRIDE ((u64)1 << 30)
/* nvdimm_clear_poison() counts in unsigned int. */
#define TARN_CLEAR_STRIDE ((u64)1 << 30)

static void tarn_bad_changed(struct tarn_pmem *pmem)
{
	if (pmem->bad_state)
		sysfs_notify_dirent(pmem->bad_state);
}

int tarn_media_first_bad(void *media, unsigned long long sector, unsigned long long sectors,
			 unsigned long long *first, unsigned long long *count)
{
	struct tarn_pmem *pmem = media;

	while (sectors && READ_ONCE(pmem->bad.count)) {
		u64 stride = min_t(u64, sectors, TARN_BAD_STRIDE);
		sector_t bad_first;
		int bad_count;

		if (badblocks_check(&pmem->bad, sector, stride, &bad_first, &bad_count)) {
			*first = bad_first;
			*count = bad_count;
			return 1;
		}
		sector += stride;
		sectors -= stride;
	}
	return 0;
}

void tarn_media_add_bad(void *media, unsigned long long sector, unsigned long long sectors)
{
	struct tarn_pmem *pmem = media;

	while (sectors) {
		u64 stride = min_t(u64, sectors, TARN_BAD_STRIDE);

		if (badblocks_set(&pmem->bad, sector, stride, 1))
			dev_warn_ratelimited(pmem->dev,
					     "the list of bad sectors is full: sector %llu is not in it\n",
					     sector);
		sector += stride;
		sectors -= stride;
	}
	tarn_bad_changed(pmem);
}

void tarn_media_forget_bad(void *media, unsigned long long sector, unsigned long long sectors)
{
	struct tarn_pmem *pmem = media;

	if (!READ_ONCE(pmem->bad.count))
		return;
	while (sectors) {
		u64 stride = min_t(u64, sectors, TARN_BAD_STRIDE);

		badblocks_clear(&pmem->bad, sector, stride);
		sector += stride;
		sectors -= stride;
	}
	tarn_bad_changed(pmem);
}

void tarn_media_refresh_bad(struct tarn_pmem *pmem)
{
	struct range range = {
		.start = pmem->geometry.data_start,
		.end = pmem->geometry.data_start + pmem->geometry.data_bytes - 1,
	};

	nvdimm_badblocks_populate(pmem->region, &pmem->bad, &range);
	tarn_bad_changed(pmem);
}

static struct page *tarn_page(struct tarn_pmem *pmem, u64 page)
{
	return pfn_to_page(pmem->core.memory.first_pfn + page);
}

int tarn_media_is_blocked(void *media, unsigned long long page, unsigned long long pages)
{
	struct tarn_pmem *pmem = media;

	if (!READ_ONCE(pmem->saw_failure))
		return 0;
	for (; pages; page++, pages--)
		if (PageHWPoison(tarn_page(pmem, page)))
			return 1;
	return 0;
}

#ifdef CONFIG_MEMORY_FAILURE
static void tarn_set_failed(struct page *page)
{
	SetPageHWPoison(page);
}

static bool tarn_clear_failed(struct page *page)
{
	return TestClearPageHWPoison(page);
}
#else
static void tarn_set_failed(struct page *page)
{
}

static bool tarn_clear_failed(struct page *page)
{
	return false;
}
#endif

void tarn_media_block(struct tarn_pmem *pmem, u64 offset, u64 length)
{
	u64 page = offset >> PAGE_SHIFT;

	for (; page << PAGE_SHIFT < offset + length; page++)
		tarn_set_failed(tarn_page(pmem, page));
}

void tarn_media_unblock(void *media, unsigned long long page, unsigned long long pages)
{
	struct tarn_pmem *pmem = media;

	for (; pages; page++, pages--) {
		if (!tarn_clear_failed(tarn_page(pmem, page)))
			continue;
		clear_mce_nospec(pmem->core.memory.first_pfn + page);
		arch_invalidate_pmem(pmem->core.memory.base + (page << PAGE_SHIFT), PAGE_SIZE);
	}
}

long long tarn_media_clear_poison(void *media, unsigned long long offset, unsigned long long length)
{
	struct tarn_pmem *pmem = media;
	u64 first_page = offset >> PAGE_SHIFT;
	u64 end_page = DIV_ROUND_UP_ULL(offset + length, PAGE_SIZE);
	u64 done = 0;

	while (done < length) {
		u64 stride = min_t(u64, length - done, TARN_CLEAR_STRIDE);
		long cleared =
			nvdimm_clear_poison(pmem->dev, pmem->geometry.data_start + offset + done, stride);

		if (cleared < 0)
			return done ? (long long)done : cleared;
		done += cleared;
		if (cleared < stride)
			break;
	}
	/* A failed page may be unmapped; its lines are dropped when it comes back, in tarn_media_unblock().
	 */
	if (!tarn_media_is_blocked(pmem, first_page, end_page - first_page))
		arch_invalidate_pmem(pmem->core.memory.base + offset, done);
	return done;
}

tarn_size_t tarn_media_load(void *media, void *target, const void *source, tarn_size_t length)
{
	return copy_mc_to_kernel(target, source, length);
}

int tarn_media_flush(void *media)
{
	struct tarn_pmem *pmem = media;
	unsigned int noio = memalloc_noio_save();
	int rc = nvdimm_flush(pmem->region, NULL);

	memalloc_noio_restore(noio);
	return rc;
}

void tarn_media_pause(void *media)
{
	cond_resched();
}
