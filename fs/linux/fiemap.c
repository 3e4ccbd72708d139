// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and FS_IOC_FIEMAP: where on the device a file's blocks are. There is no delayed allocation and nothing is
 * shared, so an extent is written or unwritten; blocks behind the end are shown, as ext4 and XFS do.
 *
 * Locks: i_rwsem shared throughout, so that what is shown was there at one time, but for what faults have filled
 * meanwhile. The core's locks are held for one extent at a time, and not while the caller's memory is stored to.
 *
 * There is no ->bmap: whoever stores to the device below the mappings (FIBMAP, swapon) is refused with EINVAL.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>

#include "fs/file_core.h"
#include "fs/linux/file.h"
#include "fs/linux/glue.h"

static int tarn_next_extent(struct inode *inode, u64 block, struct tarn_extent *extent)
{
	int found, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	found = tarn_file_extent(tarn_core(inode), block, extent);
	tarn_leave(entered);
	return tarn_check(inode->i_sb, found);
}

/* Returns 1 when the caller's array is full. */
static int tarn_fill_extent(struct fiemap_extent_info *info, const struct tarn_extent *extent, bool is_last)
{
	u32 flags = extent->unwritten ? FIEMAP_EXTENT_UNWRITTEN : 0;

	return fiemap_fill_next_extent(info, extent->block << PAGE_SHIFT, extent->device_block << PAGE_SHIFT,
				       extent->count << PAGE_SHIFT, flags | (is_last ? FIEMAP_EXTENT_LAST : 0));
}

/* The next extent is looked up before one is shown: the last one of the file says so. */
static int tarn_fill_extents(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 end)
{
	struct tarn_extent extent, next;
	int found = tarn_next_extent(inode, start >> PAGE_SHIFT, &next);

	while (found > 0 && next.block << PAGE_SHIFT < end) {
		int full;

		extent = next;
		found = tarn_next_extent(inode, extent.block + extent.count, &next);
		if (found < 0)
			return found;
		full = tarn_fill_extent(info, &extent, !found);
		if (full)
			return full < 0 ? full : 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return min(found, 0);
}

int tarn_fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 length)
{
	int error;

	inode_lock_shared(inode);
	error = fiemap_prep(inode, info, start, &length, 0);
	if (!error)
		error = tarn_fill_extents(inode, info, start, start + length);
	inode_unlock_shared(inode);
	return error;
}
