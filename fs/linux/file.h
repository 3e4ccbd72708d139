/* SPDX-License-Identifier: GPL-2.0 */
/* What file.c, mmap.c and fiemap.c share. */
#ifndef TARN_LINUX_FILE_H
#define TARN_LINUX_FILE_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define tarn_pte_mkwrite(pte) pte_mkwrite_novma(pte)
#else
#define tarn_pte_mkwrite(pte) pte_mkwrite(pte)
#endif

static inline void tarn_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* fiemap.c: inode_operations::fiemap */
int tarn_fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 length);
/* mmap.c: file_operations::mmap */
int tarn_mmap(struct file *file, struct vm_area_struct *vma);

#endif
