/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pmem core runs on in KUnit: ordinary memory for the disk, the kernel's own struct badblocks for the list of bad
 * sectors, and a platform whose manners a case chooses. machine.c answers the tarn_media_ functions with it.
 */
#ifndef TARN_KUNIT_PMEM_MACHINE_H
#define TARN_KUNIT_PMEM_MACHINE_H

#include "pmem/pmem.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_kunit_machine {
	struct tarn_pmem_disk disk;
	unsigned long long clear_limit; /* bytes that one call clears */
	int clear_error;                /* negative: it clears nothing */
	long long blocked_page;         /* the page that the kernel has marked, or -1 */
	unsigned int clears, pauses, unblocks;
	void *list;
};

/* `pages` of zeroed memory; the disk claims to be `claimed` pages large (the rest must not be touched). NULL: no memory. */
struct tarn_kunit_machine *tarn_kunit_machine_create(unsigned long pages, unsigned long long claimed);
void tarn_kunit_machine_destroy(struct tarn_kunit_machine *machine);

#ifdef __cplusplus
}
#endif
#endif
