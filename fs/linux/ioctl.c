// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: ioctls of the file system as a whole, on any file or directory of it (include/tarnfs/ioctl.h).
 */
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/uaccess.h>

#include "fs/linux/glue.h"
#include "tarnfs/ioctl.h"

/* Freezing writes back what is dirty and lets nobody change anything until we are done. Who has it frozen already
 * (-EBUSY) has done both. */
static int tarn_shut_down_synced(struct super_block *sb)
{
	int error = bdev_freeze(sb->s_bdev);

	if (error && error != -EBUSY)
		return error;
	tarn_shut_down(sb);
	if (!error)
		bdev_thaw(sb->s_bdev);
	return 0;
}

static long tarn_ioctl_shut_down(struct super_block *sb, const u32 __user *argument)
{
	u32 how;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user(how, argument))
		return -EFAULT;
	if (how > TARNFS_SHUTDOWN_NOLOGFLUSH)
		return -EINVAL;
	if (READ_ONCE(tarn_super(sb)->stopped) != TARN_RUNS)
		return 0;
	if (how == TARNFS_SHUTDOWN_SYNC)
		return tarn_shut_down_synced(sb);
	tarn_shut_down(sb);
	return 0;
}

/* No persistent memory knows what is free in it. */
static long tarn_ioctl_trim(void)
{
	return capable(CAP_SYS_ADMIN) ? -EOPNOTSUPP : -EPERM;
}

long tarn_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct super_block *sb = file_inode(file)->i_sb;

	switch (command) {
	case TARNFS_IOC_SHUTDOWN:
		return tarn_ioctl_shut_down(sb, (const u32 __user *)argument);
	case FITRIM:
		return tarn_ioctl_trim();
	default:
		return -ENOTTY;
	}
}
