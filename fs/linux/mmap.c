// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: mappings: faults, and the mapper that fs/dax works through (fs/dax/mapper.h).
 *
 * PTEs are installed by us, under the entry lock the core holds, and the kernel is told VM_FAULT_NOPAGE: a read-only PTE
 * that the kernel made writable after pfn_mkwrite would be writable without a dirty tag for a moment, and a write-back in
 * that moment would lose the store. A fault that finds the address occupied leaves it and lets the task fault again. Only a
 * store to a private mapping is given a page, for the kernel to copy.
 *
 * Locks: mmap_lock or the VMA's lock (kernel) -> freeze protection -> invalidate_lock, shared -> the core's.
 */
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>

#include "cxxrt/linux/page.h"
#include "fs/file_core.h"
#include "fs/linux/file.h"
#include "fs/linux/glue.h"
#include "fs/linux/trace.h"

/* ---- the mapper ------------------------------------------------------------------------------------------- */

static struct vm_fault *tarn_vmf(struct tarn_fault *fault)
{
	return (struct vm_fault *)fault;
}

static pte_t tarn_make_pte(const struct vm_area_struct *vma, unsigned long pfn, enum tarn_protection protection)
{
	pte_t pte = pte_mkyoung(pte_mkdevmap(pfn_pte(pfn, vma->vm_page_prot)));

	return protection == TARN_MAP_WRITE ? tarn_pte_mkwrite(pte_mkdirty(pte)) : pte;
}

struct tarn_installation {
	const struct vm_area_struct *vma;
	unsigned long start, size; /* addresses */
	unsigned long pfn;	   /* at `start` */
	enum tarn_protection protection;
};

/* Called with the page table locked. Making a PTE writable needs no TLB flush: at worst a CPU faults once more. */
static int tarn_install_pte(pte_t *pte, unsigned long address, void *data)
{
	const struct tarn_installation *wanted = data;
	unsigned long pfn = wanted->pfn + ((address - wanted->start) >> PAGE_SHIFT);
	pte_t old = ptep_get(pte);

	if (!pte_none(old)) {
		/* A marker, or in a private mapping the copy that another thread has just got: the next fault sees it. */
		if (!pte_present(old) || !(wanted->vma->vm_flags & VM_SHARED))
			return 0;
		if (pte_pfn(old) != pfn)
			return -EUCLEAN;
		if (wanted->protection == TARN_MAP_READ || pte_write(old))
			return 0;
	}
	set_pte_at(wanted->vma->vm_mm, address, pte, tarn_make_pte(wanted->vma, pfn, wanted->protection));
	return 0;
}

/* The zero page is a special page, as vmf_insert_mixed() makes it. */
static int tarn_install_zero_pte(pte_t *pte, unsigned long address, void *data)
{
	const struct tarn_installation *wanted = data;

	if (pte_none(ptep_get(pte)))
		set_pte_at(wanted->vma->vm_mm, address, pte,
			   pte_mkspecial(pfn_pte(my_zero_pfn(address), wanted->vma->vm_page_prot)));
	return 0;
}

/* A huge PMD came in meanwhile: nothing may be installed under it. */
static bool tarn_raced_with_huge(const struct vm_fault *vmf)
{
	return vmf->pmd && (pmd_trans_huge(*vmf->pmd) || pmd_devmap(*vmf->pmd));
}

static int tarn_install(struct vm_fault *vmf, struct tarn_installation *wanted, pte_fn_t install_one)
{
	if (tarn_raced_with_huge(vmf))
		return 0;
	return apply_to_page_range(vmf->vma->vm_mm, wanted->start, wanted->size, install_one, wanted);
}

static unsigned long tarn_address_of(const struct vm_fault *vmf, unsigned long long block)
{
	return vmf->vma->vm_start + ((block - vmf->vma->vm_pgoff) << PAGE_SHIFT);
}

int tarn_mapper_install(struct tarn_fault *fault, unsigned long long block, unsigned long long count,
			unsigned long long pfn, enum tarn_protection protection)
{
	struct vm_fault *vmf = tarn_vmf(fault);
	struct tarn_installation wanted = {
		.vma = vmf->vma,
		.start = tarn_address_of(vmf, block),
		.size = count << PAGE_SHIFT,
		.pfn = pfn,
		.protection = protection,
	};

	/* The entries are tagged, the PTEs not there yet: a sync that begins after the first store finds the inode. */
	if (protection == TARN_MAP_WRITE)
		__mark_inode_dirty(file_inode(vmf->vma->vm_file), I_DIRTY_PAGES);
	return tarn_install(vmf, &wanted, tarn_install_pte);
}

int tarn_mapper_install_zero(struct tarn_fault *fault, unsigned long long block, unsigned long long count)
{
	struct vm_fault *vmf = tarn_vmf(fault);
	struct tarn_installation wanted = {
		.vma = vmf->vma,
		.start = tarn_address_of(vmf, block),
		.size = count << PAGE_SHIFT,
	};

	return tarn_install(vmf, &wanted, tarn_install_zero_pte);
}

/* 2 MiB of zeroes for all holes; made when first wanted, and kept. The kernel's own is not exported. */
static struct page *tarn_huge_zero;

static struct page *tarn_get_huge_zero(void)
{
	struct page *page = READ_ONCE(tarn_huge_zero), *theirs;

	if (page)
		return page;
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, HPAGE_PMD_ORDER);
	if (!page)
		return NULL;
	theirs = cmpxchg(&tarn_huge_zero, NULL, page);
	if (!theirs)
		return page;
	__free_pages(page, HPAGE_PMD_ORDER);
	return theirs;
}

void tarn_huge_zero_destroy(void)
{
	if (tarn_huge_zero)
		__free_pages(tarn_huge_zero, HPAGE_PMD_ORDER);
}

int tarn_mapper_install_huge(struct tarn_fault *fault, unsigned long long pfn, enum tarn_protection protection)
{
	struct vm_fault *vmf = tarn_vmf(fault);
	pmd_t old = READ_ONCE(*vmf->pmd);
	vm_fault_t result;

	if (protection == TARN_MAP_WRITE)
		__mark_inode_dirty(file_inode(vmf->vma->vm_file), I_DIRTY_PAGES);
	if (!pmd_none(old)) {
		/* Where page tables hang already PTEs are what the kernel deals with. */
		if (!pmd_trans_huge(old) && !pmd_devmap(old))
			return 0;
		if (pmd_pfn(old) != pfn)
			return -EUCLEAN;
	}
	result = vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV | PFN_MAP), protection == TARN_MAP_WRITE);
	if (result & VM_FAULT_OOM)
		return -ENOMEM;
	return result & VM_FAULT_ERROR ? -EUCLEAN : 0;
}

/*
 * As vmf_insert_pfn_pmd() does it on 6.1. Since 6.12 it makes a PMD like this one special, and fork then copies it, as it
 * has read it before it took the locks: into a child that a zap has just been to, where the zeroes would stay. An ordinary
 * one is left to the child's own fault. Needs no page table beside it: x86 wants none deposited.
 */
int tarn_mapper_install_huge_zero(struct tarn_fault *fault)
{
	struct vm_fault *vmf = tarn_vmf(fault);
	struct mm_struct *mm = vmf->vma->vm_mm;
	struct page *zeroes = tarn_get_huge_zero();
	spinlock_t *lock;

	if (!zeroes)
		return -ENOMEM;
	lock = pmd_lock(mm, vmf->pmd);
	if (pmd_none(*vmf->pmd))
		set_pmd_at(mm, vmf->address & PMD_MASK, vmf->pmd, pmd_mkhuge(mk_pmd(zeroes, vmf->vma->vm_page_prot)));
	spin_unlock(lock);
	return 0;
}

void tarn_mapper_lend(struct tarn_fault *fault, unsigned long long pfn)
{
	tarn_vmf(fault)->page = pfn_to_page(pfn);
	get_page(tarn_vmf(fault)->page);
}

/* Nothing pins a hole. The page lock, which is the kernel's to release when the copy is mapped, is what truncation waits
 * for (tarn_wait_for_zero_copies). */
void tarn_mapper_lend_zero(struct tarn_fault *fault)
{
	struct page *zero = ZERO_PAGE(0);

	get_page(zero);
	lock_page(zero);
	tarn_vmf(fault)->page = zero;
}

void tarn_wait_for_zero_copies(void)
{
	lock_page(ZERO_PAGE(0));
	unlock_page(ZERO_PAGE(0));
}

void tarn_mapper_zap(struct tarn_inode *inode, unsigned long long block, unsigned long long count)
{
	unmap_mapping_pages(tarn_vfs_of(inode)->i_mapping, block, count, false);
}

int tarn_mapper_is_pinned(unsigned long long pfn, unsigned long long count)
{
	for (; count; count--, pfn++)
		if (tarn_pfn_is_pinned(pfn))
			return 1;
	return 0;
}

void tarn_mapper_attach(struct tarn_inode *inode, unsigned long long block, unsigned long long pfn,
			unsigned long long count)
{
	trace_tarnfs_entry_insert(tarn_vfs_of(inode), block, pfn, count);
	for (; count; count--, pfn++, block++) {
		struct page *page = pfn_to_page(pfn);

		page->index = block;
		WRITE_ONCE(page->mapping, tarn_vfs_of(inode)->i_mapping);
	}
}

void tarn_mapper_detach(struct tarn_inode *inode, unsigned long long pfn, unsigned long long count)
{
	if (unlikely(tarn_vfs(tarn_vfs_of(inode))->pages_gone))
		return;
	trace_tarnfs_entry_remove(tarn_vfs_of(inode), pfn_to_page(pfn)->index, pfn, count);
	for (; count; count--, pfn++) {
		struct page *page = pfn_to_page(pfn);

		WRITE_ONCE(page->mapping, NULL);
		page->index = 0;
	}
}

/*
 * The kernel asks mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) whether a file still has dirty pages, most of all when the
 * flusher takes I_DIRTY_PAGES away after writepages: a page dirtied in between would be forgotten by sync. Our entries are
 * not in i_pages, which stays empty; only its mark is kept up to date.
 */
static void tarn_set_mark(struct tarn_inode *inode, bool dirty)
{
	struct xarray *pages = &tarn_vfs_of(inode)->i_mapping->i_pages;
	unsigned long flags;

	xa_lock_irqsave(pages, flags);
	if (dirty)
		pages->xa_flags |= XA_FLAGS_MARK(PAGECACHE_TAG_DIRTY);
	else
		pages->xa_flags &= ~XA_FLAGS_MARK(PAGECACHE_TAG_DIRTY);
	xa_unlock_irqrestore(pages, flags);
}

void tarn_mapper_mark_dirty(struct tarn_inode *inode)
{
	tarn_set_mark(inode, true);
}

void tarn_mapper_mark_clean(struct tarn_inode *inode)
{
	tarn_set_mark(inode, false);
}

/* ---- faults ----------------------------------------------------------------------------------------------- */

static vm_fault_t tarn_fault_result(int error)
{
	if (!error)
		return VM_FAULT_NOPAGE;
	return error == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/*
 * How many pages one fault maps at most, the neighbours that exist included: 1 (none but the one) to 64, rounded down to a
 * power of two. Can be changed at any time.
 */
#define TARN_FAULT_AROUND_MOST 64
static unsigned int tarn_fault_around = 16;

static int tarn_set_fault_around(const char *value, const struct kernel_param *param)
{
	return param_set_uint_minmax(value, param, 1, TARN_FAULT_AROUND_MOST);
}

static const struct kernel_param_ops tarn_fault_around_operations = {
	.set = tarn_set_fault_around,
	.get = param_get_uint,
};
module_param_cb(fault_around, &tarn_fault_around_operations, &tarn_fault_around, 0644);
MODULE_PARM_DESC(fault_around, "pages that one 4 KiB fault maps at most: 1 to 64, a power of two (16)");

/* The aligned window around the address, as far as the mapping goes; it does not cross a page table's end. */
static struct tarn_fault_request tarn_fault_request(const struct vm_fault *vmf, enum tarn_fault_kind kind)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long size = rounddown_pow_of_two(READ_ONCE(tarn_fault_around)) << PAGE_SHIFT;
	unsigned long start = max(round_down(vmf->address, size), vma->vm_start);
	unsigned long last = min(round_down(vmf->address, size) + size - PAGE_SIZE, vma->vm_end - PAGE_SIZE);

	return (struct tarn_fault_request){
		.block = vmf->pgoff,
		.first = linear_page_index(vma, start),
		.end = linear_page_index(vma, last) + 1,
		.kind = kind,
	};
}

typedef int (*tarn_fault_function)(struct tarn_inode *inode, struct tarn_fault *fault,
				   const struct tarn_fault_request *request);

static int tarn_serve_fault(struct vm_fault *vmf, tarn_fault_function serve, const struct tarn_fault_request *request)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	int error, entered;

	filemap_invalidate_lock_shared(inode->i_mapping);
	entered = tarn_enter(inode->i_sb);
	error = entered;
	if (entered >= 0) {
		error = serve(tarn_core(inode), (struct tarn_fault *)vmf, request);
		if (error < 0)
			tarn_check(inode->i_sb, error);
		tarn_leave(entered);
	}
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return error;
}

static int tarn_serve_store(struct vm_fault *vmf, tarn_fault_function serve, const struct tarn_fault_request *request)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	int error;

	sb_start_pagefault(inode->i_sb);
	error = file_update_time(vmf->vma->vm_file);
	if (!error)
		error = tarn_serve_fault(vmf, serve, request);
	sb_end_pagefault(inode->i_sb);
	return error;
}

/* 0: nobody wants to know. */
static u64 tarn_trace_begin(void)
{
	return trace_tarnfs_fault_enabled() || trace_tarnfs_mkwrite_enabled() ? ktime_get_ns() : 0;
}

static vm_fault_t tarn_trace_end(const struct vm_fault *vmf, enum tarn_fault_kind kind, unsigned int pages,
				 vm_fault_t result, u64 begin)
{
	u64 duration = begin ? ktime_get_ns() - begin : 0;

	if (kind == TARN_FAULT_MKWRITE)
		trace_tarnfs_mkwrite(vmf, kind, pages, (__force unsigned int)result, duration);
	else
		trace_tarnfs_fault(vmf, kind, pages, (__force unsigned int)result, duration);
	return result;
}

/* What the kernel is to do with the page that it is lent. */
static vm_fault_t tarn_lent(const struct vm_fault *vmf)
{
	return vmf->page == ZERO_PAGE(0) ? VM_FAULT_LOCKED : 0;
}

static vm_fault_t tarn_pte_fault(struct vm_fault *vmf, enum tarn_fault_kind kind)
{
	struct tarn_fault_request request = tarn_fault_request(vmf, kind);
	bool is_store = kind == TARN_FAULT_WRITE || kind == TARN_FAULT_MKWRITE;
	u64 begin = tarn_trace_begin();
	int error = is_store ? tarn_serve_store(vmf, tarn_file_fault, &request) :
			       tarn_serve_fault(vmf, tarn_file_fault, &request);
	vm_fault_t result = !error && kind == TARN_FAULT_COPY ? tarn_lent(vmf) : tarn_fault_result(error);

	return tarn_trace_end(vmf, kind, 1, result, begin);
}

static vm_fault_t tarn_fault(struct vm_fault *vmf)
{
	if (!(vmf->flags & FAULT_FLAG_WRITE))
		return tarn_pte_fault(vmf, TARN_FAULT_READ);
	return tarn_pte_fault(vmf, vmf->vma->vm_flags & VM_SHARED ? TARN_FAULT_WRITE : TARN_FAULT_COPY);
}

/* A store to a shared mapping where a read-only PTE is there already. */
static vm_fault_t tarn_mkwrite(struct vm_fault *vmf)
{
	return tarn_pte_fault(vmf, TARN_FAULT_MKWRITE);
}

/* The 2 MiB around the address are in the mapping, and lie in the file as they do in memory. */
static bool tarn_covers_huge(const struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = vmf->address & PMD_MASK;

	return start >= vma->vm_start && vma->vm_end - start >= PMD_SIZE &&
	       IS_ALIGNED(linear_page_index(vma, start), TARN_HUGE_BLOCKS);
}

/* The kernel sets orig_pmd only where it has found something. */
static enum tarn_fault_kind tarn_pmd_fault_kind(const struct vm_fault *vmf)
{
	if (!(vmf->flags & FAULT_FLAG_WRITE))
		return TARN_FAULT_READ;
	return pmd_none(vmf->orig_pmd) ? TARN_FAULT_WRITE : TARN_FAULT_MKWRITE;
}

/* A store to a private mapping needs a page of its own; so does who pins one of its pages for long. */
static vm_fault_t tarn_serve_pmd_fault(struct vm_fault *vmf, enum tarn_fault_kind kind)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct tarn_fault_request request = { .kind = kind };
	int result;

	if ((vmf->flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE)) && !(vmf->vma->vm_flags & VM_SHARED))
		return VM_FAULT_FALLBACK;
	if (!tarn_covers_huge(vmf)) {
		tarn_file_count(tarn_core(inode), TARN_COUNT_FALLBACK_UNALIGNED);
		return VM_FAULT_FALLBACK;
	}
	request.block = linear_page_index(vmf->vma, vmf->address & PMD_MASK);
	result = kind == TARN_FAULT_READ ? tarn_serve_fault(vmf, tarn_file_fault_huge, &request) :
					   tarn_serve_store(vmf, tarn_file_fault_huge, &request);
	return result > 0 ? VM_FAULT_FALLBACK : tarn_fault_result(result);
}

static vm_fault_t tarn_pmd_fault(struct vm_fault *vmf)
{
	enum tarn_fault_kind kind = tarn_pmd_fault_kind(vmf);
	u64 begin = tarn_trace_begin();

	return tarn_trace_end(vmf, kind, TARN_HUGE_BLOCKS, tarn_serve_pmd_fault(vmf, kind), begin);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
static vm_fault_t tarn_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	return order == PMD_ORDER ? tarn_pmd_fault(vmf) : VM_FAULT_FALLBACK;
}
#else
static vm_fault_t tarn_huge_fault(struct vm_fault *vmf, enum page_entry_size size)
{
	return size == PE_SIZE_PMD ? tarn_pmd_fault(vmf) : VM_FAULT_FALLBACK;
}
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
/* Maps nothing, but that it is there lets the kernel call the others under the VMA's lock alone. */
static vm_fault_t tarn_map_pages(struct vm_fault *vmf, pgoff_t first, pgoff_t last)
{
	return 0;
}
#endif

/* That there is a page_mkwrite or pfn_mkwrite is also what makes the kernel map read-only first. */
static const struct vm_operations_struct tarn_vm_operations = {
	.fault = tarn_fault,
	.huge_fault = tarn_huge_fault,
	.page_mkwrite = tarn_mkwrite,
	.pfn_mkwrite = tarn_mkwrite,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	.map_pages = tarn_map_pages,
#endif
};

int tarn_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);

	if ((vma->vm_flags & VM_SYNC) && !tarn_file_supports_map_sync(tarn_core(inode)))
		return -EOPNOTSUPP;
	file_accessed(file);
	vma->vm_ops = &tarn_vm_operations;
	tarn_vm_flags_set(vma, VM_MIXEDMAP);
	return 0;
}

/* ---- the device goes away --------------------------------------------------------------------------------- */

static void tarn_unmap_inode(struct inode *inode)
{
	filemap_invalidate_lock(inode->i_mapping);
	unmap_mapping_range(inode->i_mapping, 0, 0, 0);
	filemap_invalidate_unlock(inode->i_mapping);
}

void tarn_file_unmap_all(struct super_block *sb)
{
	struct inode *inode, *previous = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		spin_lock(&inode->i_lock);
		if ((inode->i_state & (I_FREEING | I_WILL_FREE | I_NEW)) || !mapping_mapped(inode->i_mapping)) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		__iget(inode);
		spin_unlock(&inode->i_lock);
		spin_unlock(&sb->s_inode_list_lock);
		tarn_unmap_inode(inode);
		iput(previous);
		previous = inode; /* keeps our place in the list */
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(previous);
}
