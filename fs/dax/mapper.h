/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mapper: what fs/dax needs from the world of page tables and struct page.
 *
 * Implemented by fs/linux/mmap.c, and by a fake address space in the host tests. Only LockedEntry and LockedRange
 * (fs/dax/tracker.hpp) call these functions, always under the lock of the entries concerned: that, not anything in
 * here, is what keeps page tables and tags in step. Blocks are 4 KiB, by index in the file.
 */
#ifndef TARN_DAX_MAPPER_H
#define TARN_DAX_MAPPER_H

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_inode; /* whose pages these are: fs/core.h */
struct tarn_fault; /* one page fault being served; the kernel's struct vm_fault */

enum tarn_protection {
	TARN_MAP_READ = 0,  /* a later store faults again */
	TARN_MAP_WRITE = 1, /* writable and dirty; turns a read-only PTE of the same page into a writable one */
};

/* Puts the PTEs of blocks [block, block + count), whose pages are consecutive from `pfn` on, into the page table where the
 * fault happened; that and the mapping cover them all. May sleep (page tables; no re-entry into the file system). 0, also
 * when an address is occupied in a way that the kernel deals with by faulting again; -ENOMEM; -EUCLEAN when another page
 * is mapped at one of them. */
int tarn_mapper_install(struct tarn_fault *fault, unsigned long long block, unsigned long long count,
			unsigned long long pfn, enum tarn_protection protection);
/* The same with the shared zero page, read-only. */
int tarn_mapper_install_zero(struct tarn_fault *fault, unsigned long long block, unsigned long long count);

/* Both for a fault that a PMD may serve: its 512 blocks with the pages from `pfn` on, which is a multiple of 512, or with
 * the shared zero pages. Results as above; -ENOMEM also where no 2 MiB of zeroes could be had. */
#define TARN_HUGE_BLOCKS 512
int tarn_mapper_install_huge(struct tarn_fault *fault, unsigned long long pfn, enum tarn_protection protection);
int tarn_mapper_install_huge_zero(struct tarn_fault *fault);

/* For a fault that is a store to a private mapping: lends the kernel the page, or the zero page, to copy, and maps
 * nothing. The page is pinned until the copy is mapped. Who cuts the file off afterwards un-maps private copies, too, and
 * waits for those of the zero page that are still being made. May sleep. */
void tarn_mapper_lend(struct tarn_fault *fault, unsigned long long pfn);
void tarn_mapper_lend_zero(struct tarn_fault *fault);

/* Removes every PTE, in every process, that maps file blocks [block, block + count), zero pages included, and every PMD
 * that maps one of them; private copies stay. When it returns no CPU can reach the pages through a mapping made before. May sleep. */
void tarn_mapper_zap(struct tarn_inode *inode, unsigned long long block, unsigned long long count);

/* Non-zero if somebody besides us holds a reference to one of `count` pages: DMA or the kernel may read or write it without
 * a PTE. After a zap the answer "no" is final until the page is mapped again. */
int tarn_mapper_is_pinned(unsigned long long pfn, unsigned long long count);

/* `count` pages now back / no longer back this block of this file and those behind it (for futexes in shared mappings). */
void tarn_mapper_attach(struct tarn_inode *inode, unsigned long long block, unsigned long long pfn,
			unsigned long long count);
void tarn_mapper_detach(struct tarn_inode *inode, unsigned long long pfn, unsigned long long count);

/* The first entry became dirty / the last one clean: whether write-back has to visit this file. Called under the
 * tracker's spin lock. */
void tarn_mapper_mark_dirty(struct tarn_inode *inode);
void tarn_mapper_mark_clean(struct tarn_inode *inode);

#ifdef __cplusplus
}
#endif
#endif
