/* SPDX-License-Identifier: GPL-2.0 */
/* What the C of a module knows about the pages of a DAX device. */
#ifndef TARN_LINUX_PAGE_H
#define TARN_LINUX_PAGE_H

#include <linux/mm.h>

/* An idle page of a DAX device has one reference, its driver's. */
static inline bool tarn_pfn_is_pinned(unsigned long pfn)
{
	return page_ref_count(pfn_to_page(pfn)) > 1;
}

#endif
