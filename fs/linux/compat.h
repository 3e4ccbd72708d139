/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels we build on (6.1 and 6.12), spelled as the later one spells it. A new
 * kernel version is a change here and, where a signature changed, in the one function concerned.
 */
#ifndef TARN_LINUX_COMPAT_H
#define TARN_LINUX_COMPAT_H

#include <linux/fs.h>
#include <linux/posix_acl_xattr.h>
#include <linux/version.h>

#ifndef __LITTLE_ENDIAN
#error "tarnfs keeps its media format little-endian and does no conversion: big-endian machines are not supported"
#endif

/* Mounts that map ids: struct user_namespace until 6.2, struct mnt_idmap since. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
typedef struct mnt_idmap tarn_idmap;
#else
typedef struct user_namespace tarn_idmap;
#endif

/* Inode times: accessors since 6.6 (change time) and 6.7; stable updates of 6.1 have got some of them later.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define TARN_TIME_ACCESSORS(which, field)                                                                    \
	static inline struct timespec64 tarn_inode_get_##which(const struct inode *inode)                    \
	{                                                                                                    \
		return inode->field;                                                                         \
	}                                                                                                    \
	static inline struct timespec64 tarn_inode_set_##which(struct inode *inode, struct timespec64 ts)    \
	{                                                                                                    \
		return inode->field = ts;                                                                    \
	}
TARN_TIME_ACCESSORS(atime, i_atime)
TARN_TIME_ACCESSORS(mtime, i_mtime)
#define inode_get_atime	      tarn_inode_get_atime
#define inode_get_mtime	      tarn_inode_get_mtime
#define inode_set_atime_to_ts tarn_inode_set_atime
#define inode_set_mtime_to_ts tarn_inode_set_mtime
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
TARN_TIME_ACCESSORS(ctime, i_ctime)
#define inode_get_ctime		       tarn_inode_get_ctime
#define inode_set_ctime_to_ts	       tarn_inode_set_ctime
#define inode_set_ctime_current(inode) tarn_inode_set_ctime(inode, current_time(inode))
#endif

/* ACLs: since 6.2 filesystems get them by inode and set them by dentry; before, system.posix_acl_* had handlers. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
typedef struct dentry tarn_acl_target;
static inline struct inode *tarn_acl_inode(struct dentry *target)
{
	return d_inode(target);
}
#define TARN_ACL_XATTR_HANDLERS
#else
typedef struct inode tarn_acl_target;
static inline struct inode *tarn_acl_inode(struct inode *target)
{
	return target;
}
#define get_inode_acl get_acl
#define TARN_ACL_XATTR_HANDLERS &posix_acl_access_xattr_handler, &posix_acl_default_xattr_handler,
#endif

/* The super block knows how long its uuid is since 6.9, and then has the kernel answer FS_IOC_GETFSUUID and
 * FS_IOC_GETFSSYSFSPATH. */
static inline void tarn_set_uuid(struct super_block *sb, const u8 *uuid, unsigned int length)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	super_set_uuid(sb, uuid, length);
	super_set_sysfs_name_bdev(sb);
#else
	memcpy(sb->s_uuid.b, uuid, length);
#endif
}

/* Freezing a block device got its name in 6.8. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define bdev_freeze freeze_bdev
#define bdev_thaw   thaw_bdev
#endif

/* generic_fillattr takes the request mask since 6.6. */
static inline void tarn_fill_attributes(tarn_idmap *idmap, u32 request_mask, struct inode *inode,
					struct kstat *stat)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	generic_fillattr(idmap, request_mask, inode, stat);
#else
	generic_fillattr(idmap, inode, stat);
#endif
}

#endif
