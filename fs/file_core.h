/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core's C ABI, part two: the contents of regular files. (fs/core.h: mount, inodes, directories.)
 *
 * Called by fs/linux/{file,mmap}.c; implemented by fs/file. Functions return 0 or a count, or a negative errno; all may
 * sleep. Which VFS locks the caller holds stands at each function: the core relies on it and takes none of them.
 * `inode` is a regular file's everywhere.
 */
#ifndef TARN_FILE_CORE_H
#define TARN_FILE_CORE_H

#include "fs/core.h"
#include "fs/dax/counts.h"
#include "fs/dax/mapper.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_FILE_SIZE_MAX 0x7ffffffffffff000ULL /* s_maxbytes */

/* ---- what the glue provides ------------------------------------------------------------------------------- */

struct tarn_user; /* the caller's memory, with a position that moves on: the kernel's struct iov_iter */

/* Stores up to `length` bytes from the caller's memory with non-temporal stores, page faults disabled: pages that are
 * not resident end the copy. Does not sleep. Returns the bytes stored. */
tarn_size_t tarn_user_copy_in(const struct tarn_device *device, struct tarn_user *from, void *media,
			      tarn_size_t length);
/* Copy `length` bytes, or as many zeroes, to the caller's memory; may fault pages in. Return the bytes delivered: fewer
 * only where the caller's memory ends or the device could not be read. */
tarn_size_t tarn_user_copy_out(struct tarn_user *to, const void *media, tarn_size_t length);
tarn_size_t tarn_user_zero_out(struct tarn_user *to, tarn_size_t length);

/* ---- mappings --------------------------------------------------------------------------------------------- */

enum tarn_fault_kind {
	TARN_FAULT_READ = 0,
	TARN_FAULT_WRITE = 1, /* a store to a shared mapping */
	TARN_FAULT_MKWRITE = 2, /* the same, where a page is mapped read-only already */
	TARN_FAULT_COPY = 3,	/* a store to a private mapping, where nothing is mapped: the kernel copies the page. 4 KiB */
};
struct tarn_fault_request {
	unsigned long long block; /* of the file, where it happened */
	/* Blocks that may be mapped along, this one among them: one page table and one mapping cover [first, end). */
	unsigned long long first, end;
	enum tarn_fault_kind kind;
};
/* Serves a fault, and neighbours of its block that need no waiting. invalidate_lock held (shared will do); for a write
 * also freeze protection. -ENXIO: beyond the end of the file. -ENOSPC, -EROFS ... */
int tarn_file_fault(struct tarn_inode *inode, struct tarn_fault *fault, const struct tarn_fault_request *request);
/* The same for the 512 blocks from `block` on, a multiple of 512, by one PMD, which the mapping covers and the fault allows;
 * the rest of the request means nothing. 1: not possible, 4 KiB at a time will do; it has been counted why. */
int tarn_file_fault_huge(struct tarn_inode *inode, struct tarn_fault *fault, const struct tarn_fault_request *request);

/* Counts a fault of 2 MiB that the caller did not even try: TARN_COUNT_FALLBACK_UNALIGNED. Does not sleep. */
void tarn_file_count(struct tarn_inode *inode, enum tarn_count what);
/* What has been counted on this mount. Does not sleep. */
unsigned long long tarn_fs_counted(struct tarn_fs *fs, enum tarn_count what);

/* Stores through shared mappings and write-backs need no more than a fence: MAP_SYNC may be granted. */
int tarn_file_supports_map_sync(struct tarn_inode *inode);

/* ---- read and write --------------------------------------------------------------------------------------- */

/* Copies up to `length` bytes from `offset` on to the caller's memory. Returns how many; 0 at the end of the file;
 * -EFAULT if not one byte could be delivered. i_rwsem held (shared will do), no other lock. */
long long tarn_file_read(struct tarn_inode *inode, unsigned long long offset, unsigned long long length,
			 struct tarn_user *to);

struct tarn_write {
	unsigned long long offset; /* in: where; offset + length <= TARN_FILE_SIZE_MAX */
	unsigned long long length; /* in: bytes wanted */
	struct tarn_user *from;
	struct tarn_times times;   /* logged where the record is logged anyway */
	int unfenced;              /* 0 at first; then this and the rest is the core's: bytes are not durable yet */
	unsigned long long grown;  /* the size becomes at least this in the end */
};
/* One bounded step of a write, of at most TARN_WRITE_STEP bytes. Returns how many bytes are stored; 0 if not one byte of
 * the source was resident: fault it in and come again. The caller moves offset and length on. i_rwsem held exclusive. */
#define TARN_WRITE_STEP (64 * 4096)
long long tarn_file_write(struct tarn_inode *inode, struct tarn_write *write);
/* A write of these bytes would only overwrite blocks that are there, and its fences wait for nobody: it may be done
 * where sleeping is not wanted. i_rwsem held exclusive. */
int tarn_file_is_overwrite(struct tarn_inode *inode, unsigned long long offset, unsigned long long length);
/* After the last step, whatever it returned: makes the bytes written durable and part of the file. Same thread, i_rwsem
 * still held. */
int tarn_file_write_end(struct tarn_inode *inode, struct tarn_write *write);

/* The file's size. i_rwsem or invalidate_lock held. */
unsigned long long tarn_file_size(struct tarn_inode *inode);
/* lseek: the next byte from `offset` on that is data, or in a hole. The end of the file is a hole, and so is what
 * fallocate has allocated and nobody has written. -ENXIO: none. i_rwsem held (shared will do). */
enum tarn_seek { TARN_SEEK_DATA = 0, TARN_SEEK_HOLE = 1 };
long long tarn_file_seek(struct tarn_inode *inode, unsigned long long offset, enum tarn_seek what);

/* What is mapped from `block` on: an extent, or what of it lies there; blocks behind the end of the file too. 1, or 0: no
 * more. i_rwsem held (shared will do): without it the block may be somebody else's by now. */
struct tarn_extent {
	unsigned long long block, count; /* of the file */
	unsigned long long device_block;
	int unwritten;
};
int tarn_file_extent(struct tarn_inode *inode, unsigned long long block, struct tarn_extent *extent);

/* ---- truncate --------------------------------------------------------------------------------------------- */

/* Changes the size, durable on return; the same size frees what fallocate has put behind it. i_rwsem and invalidate_lock
 * held exclusive; when it shrinks, everything behind the new size has been unmapped. -EBUSY: a page that would go is
 * pinned; nothing has changed: drop invalidate_lock, wait, unmap again, try again. */
int tarn_file_resize(struct tarn_inode *inode, unsigned long long size, const struct tarn_times *times);

/* ---- fallocate -------------------------------------------------------------------------------------------- */

enum tarn_fallocate_kind {
	TARN_FALLOCATE_KEEP = 0,  /* contents stay */
	TARN_FALLOCATE_PUNCH = 1, /* the range becomes a hole */
	TARN_FALLOCATE_ZERO = 2,  /* the range becomes zeroes */
	TARN_FALLOCATE_COLLAPSE = 3, /* the range goes, and what is behind it moves up */
	TARN_FALLOCATE_INSERT = 4, /* what lies from `offset` on moves on by `length`; the range becomes a hole */
};
struct tarn_fallocate {
	unsigned long long offset; /* in: where; offset + length <= TARN_FILE_SIZE_MAX */
	unsigned long long length;
	enum tarn_fallocate_kind kind;
	int keep_size; /* otherwise the size becomes at least offset + length */
	struct tarn_times times;
	int has_begun; /* 0 at first; then this and the rest is the core's */
	unsigned long long clear_from, clear_end, allocate_from;
};
/* One step, of one record at most, durable on return. Returns 1 when there is more to do: the caller comes again, or
 * leaves it at that. In the end TARN_FALLOCATE_KEEP and TARN_FALLOCATE_ZERO have given all of the range blocks of its own.
 * i_rwsem held exclusive; but for TARN_FALLOCATE_KEEP also invalidate_lock, from the first step to the last. -EBUSY: as of
 * tarn_file_resize, only from the first step. After -ENOSPC what earlier steps have done stays, without the larger size.
 * Collapsing and inserting: -EINVAL for what is not a multiple of 4096, or reaches the end of the file (an insertion: begins
 * there); -EFBIG where the file would be too large. Everything from `offset` on has been unmapped, as for tarn_file_resize.
 * What moves does so in one record: the last step. */
int tarn_file_fallocate(struct tarn_inode *inode, struct tarn_fallocate *request);

/* ---- sync and evict --------------------------------------------------------------------------------------- */

/* Makes what was stored through mappings of bytes [first, last] before the call durable. No lock needed. */
int tarn_file_sync(struct tarn_inode *inode, unsigned long long first, unsigned long long last);

/* Nobody maps the file any more, as far as the caller can see: forgets what it may, so that memory is bounded by what is
 * dirty or in use. A page that is still pinned is kept, as dirty. Returns 1 if something is dirty now. No lock needed. */
int tarn_file_trim(struct tarn_inode *inode);

/* Entries of all files that tarn_fs_reclaim may remove, about. Does not sleep. */
unsigned long long tarn_fs_reclaimable(struct tarn_fs *fs);
/* Memory is wanted: looks at up to `count` entries, and un-maps and forgets those that are clean and not in use. Returns how
 * many. Waits for nothing but the locks of page tables, whatever the caller holds. */
unsigned long long tarn_fs_reclaim(struct tarn_fs *fs, unsigned long long count);

enum tarn_evict {
	TARN_EVICT_KEEP = 0,    /* the file stays: dirty blocks are made durable */
	TARN_EVICT_DISCARD = 1, /* the file goes: its blocks are freed next */
};
/* The inode leaves memory: forgets all its pages, pinned ones too. Nobody has it open or mapped. -EIO: what was dirty is
 * not durable. */
int tarn_file_evict(struct tarn_inode *inode, enum tarn_evict how);

#ifdef __cplusplus
}
#endif
#endif
