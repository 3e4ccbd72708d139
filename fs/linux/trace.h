/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tarnfs's tracepoints: /sys/kernel/tracing/events/tarnfs. Each costs the nop of a jump label while it is off.
 *
 *   tarnfs_fault, tarnfs_mkwrite   a fault has been dealt with; mkwrite: a store where a page was mapped read-only
 *   tarnfs_entry_insert, _remove   pages of a file begin to be tracked, or are no longer; 1, or 512 for 2 MiB
 *   tarnfs_entry_split             512 pages tracked as one are from now on tracked one by one
 *   tarnfs_write_back              what was stored through mappings of a range has been made durable, or not
 *
 * Offsets and counts are in pages. All but fs/linux/mmap.c reach them through fs/trace.h.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tarnfs

#if !defined(TARN_LINUX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TARN_LINUX_TRACE_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/tracepoint.h>

#include "fs/file_core.h"

TRACE_DEFINE_ENUM(TARN_FAULT_READ);
TRACE_DEFINE_ENUM(TARN_FAULT_WRITE);
TRACE_DEFINE_ENUM(TARN_FAULT_MKWRITE);
TRACE_DEFINE_ENUM(TARN_FAULT_COPY);

/* All that faults end in here. The kernel's own list (VM_FAULT_RESULT_TRACE) is not for sparse. */
#define TARN_TRACE_FAULT_RESULTS                                                                             \
	{ 0, "PAGE" }, { (__force unsigned int)VM_FAULT_LOCKED, "LOCKED" },                                  \
	{ (__force unsigned int)VM_FAULT_NOPAGE, "NOPAGE" },                                                 \
	{ (__force unsigned int)VM_FAULT_FALLBACK, "FALLBACK" },                                             \
	{ (__force unsigned int)VM_FAULT_SIGBUS, "SIGBUS" }, { (__force unsigned int)VM_FAULT_OOM, "OOM" }

#define TARN_TRACE_FAULT_KINDS                                                                               \
	{ TARN_FAULT_READ, "read" }, { TARN_FAULT_WRITE, "write" }, { TARN_FAULT_MKWRITE, "mkwrite" },            \
	{ TARN_FAULT_COPY, "copy" }

DECLARE_EVENT_CLASS(tarnfs_fault_class,
	TP_PROTO(const struct vm_fault *vmf, enum tarn_fault_kind kind, unsigned int pages, unsigned int result, u64 duration),
	TP_ARGS(vmf, kind, pages, result, duration),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned long, address)
		__field(pgoff_t, pgoff)
		__field(int, kind)
		__field(unsigned int, pages)
		__field(unsigned int, result)
		__field(u64, duration)
	),
	TP_fast_assign(
		__entry->dev = file_inode(vmf->vma->vm_file)->i_sb->s_dev;
		__entry->ino = file_inode(vmf->vma->vm_file)->i_ino;
		__entry->address = vmf->address;
		__entry->pgoff = vmf->pgoff;
		__entry->kind = kind;
		__entry->pages = pages;
		__entry->result = result;
		__entry->duration = duration;
	),
	TP_printk("dev %d:%d ino %llu address 0x%lx pgoff %lu type %s size %s result %s ns %llu",
		MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->address, __entry->pgoff,
		__print_symbolic(__entry->kind, TARN_TRACE_FAULT_KINDS), __entry->pages == 1 ? "4K" : "2M",
		__print_symbolic(__entry->result, TARN_TRACE_FAULT_RESULTS), __entry->duration)
);

#define TARN_FAULT_EVENT(name)                                                                               \
	DEFINE_EVENT(tarnfs_fault_class, name,                                                               \
		TP_PROTO(const struct vm_fault *vmf, enum tarn_fault_kind kind, unsigned int pages,          \
			 unsigned int result, u64 duration),                                                 \
		TP_ARGS(vmf, kind, pages, result, duration))

TARN_FAULT_EVENT(tarnfs_fault);
TARN_FAULT_EVENT(tarnfs_mkwrite);

DECLARE_EVENT_CLASS(tarnfs_entry_class,
	TP_PROTO(const struct inode *inode, u64 pgoff, u64 pfn, u64 pages),
	TP_ARGS(inode, pgoff, pfn, pages),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, pgoff)
		__field(u64, pfn)
		__field(u64, pages)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->pgoff = pgoff;
		__entry->pfn = pfn;
		__entry->pages = pages;
	),
	TP_printk("dev %d:%d ino %llu pgoff %llu pfn 0x%llx pages %llu", MAJOR(__entry->dev), MINOR(__entry->dev),
		__entry->ino, __entry->pgoff, __entry->pfn, __entry->pages)
);

#define TARN_ENTRY_EVENT(name)                                                                               \
	DEFINE_EVENT(tarnfs_entry_class, name,                                                               \
		TP_PROTO(const struct inode *inode, u64 pgoff, u64 pfn, u64 pages),                          \
		TP_ARGS(inode, pgoff, pfn, pages))

TARN_ENTRY_EVENT(tarnfs_entry_insert);
TARN_ENTRY_EVENT(tarnfs_entry_remove);
TARN_ENTRY_EVENT(tarnfs_entry_split);

TRACE_EVENT(tarnfs_write_back,
	TP_PROTO(const struct inode *inode, u64 first, u64 last, u64 pages, int result),
	TP_ARGS(inode, first, last, pages, result),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, first)
		__field(u64, last)
		__field(u64, pages)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->first = first;
		__entry->last = last;
		__entry->pages = pages;
		__entry->result = result;
	),
	TP_printk("dev %d:%d ino %llu first %llu last %llu pages %llu bytes %llu result %d", MAJOR(__entry->dev),
		MINOR(__entry->dev), __entry->ino, __entry->first, __entry->last, __entry->pages,
		__entry->pages << PAGE_SHIFT, __entry->result)
);

#endif

/* Below, the path of this file is put together by the preprocessor, to which "linux" is 1. */
#undef linux
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH fs/linux
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
