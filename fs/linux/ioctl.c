// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: ioctls of the file system as a whole, on any file or directory of it (include/tarnfs/ioctl.h), and the
 * generation of an inode. Flags are in flags.c.
 */
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/uaccess.h>

#include "fs/linux/glue.h"
#include "tarnfs/ioctl.h"

static_assert(TARNFS_IOC_GROW == _IOWR(0xda, 1, __u64));
static_assert(TARNFS_IOC_SHUTDOWN == _IOR('X', 125, __u32));

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

static long tarn_ioctl_get_label(struct super_block *sb, char __user *argument)
{
	char label[FSLABEL_MAX] = "";
	int entered = tarn_enter(sb);

	if (entered < 0)
		return entered;
	tarn_fs_label(tarn_fs(sb), label);
	tarn_leave(entered);
	return copy_to_user(argument, label, sizeof(label)) ? -EFAULT : 0;
}

static int tarn_set_label(struct super_block *sb, const char *label)
{
	int error, entered = tarn_enter(sb);

	if (entered < 0)
		return entered;
	error = tarn_check(sb, tarn_fs_set_label(tarn_fs(sb), label));
	tarn_leave(entered);
	return error;
}

static long tarn_ioctl_set_label(struct file *file, const char __user *argument)
{
	char label[TARN_LABEL_BYTES + 1] = "";
	int error;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(label, argument, TARN_LABEL_BYTES))
		return -EFAULT;
	error = mnt_want_write_file(file);
	if (error)
		return error;
	error = tarn_set_label(file_inode(file)->i_sb, label);
	mnt_drop_write_file(file);
	return error;
}

static int tarn_grow(struct super_block *sb, u64 *blocks)
{
	int error, entered = tarn_enter(sb);

	if (entered < 0)
		return entered;
	error = tarn_check(sb, tarn_fs_grow(tarn_fs(sb), *blocks));
	*blocks = tarn_fs_blocks(tarn_fs(sb));
	tarn_leave(entered);
	return error;
}

static long tarn_ioctl_grow(struct file *file, u64 __user *argument)
{
	u64 blocks;
	int error;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user(blocks, argument))
		return -EFAULT;
	error = mnt_want_write_file(file);
	if (error)
		return error;
	error = tarn_grow(file_inode(file)->i_sb, &blocks);
	mnt_drop_write_file(file);
	return error ? error : put_user(blocks, argument);
}

long tarn_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct super_block *sb = file_inode(file)->i_sb;

	switch (command) {
	case TARNFS_IOC_SHUTDOWN:
		return tarn_ioctl_shut_down(sb, (const u32 __user *)argument);
	case FS_IOC_GETFSLABEL:
		return tarn_ioctl_get_label(sb, (char __user *)argument);
	case FS_IOC_SETFSLABEL:
		return tarn_ioctl_set_label(file, (const char __user *)argument);
	case TARNFS_IOC_GROW:
		return tarn_ioctl_grow(file, (u64 __user *)argument);
	case FITRIM:
		return tarn_ioctl_trim();
	case FS_IOC_GETVERSION:
		return put_user(file_inode(file)->i_generation, (u32 __user *)argument);
	default:
		return -ENOTTY;
	}
}
