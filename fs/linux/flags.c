// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: the flags of inodes (chattr(1), xfs_io's chattr and chproj). The VFS has checked who may change what,
 * and obeys most of them by itself; what is made in a directory inherits in the core.
 */
#include <linux/fs.h>
#include <linux/fileattr.h> /* includes nothing of what it needs */

#include "fs/linux/glue.h"
#include "tarnfs/inode.h"

static const struct tarn_flag {
	u32 media; /* TARNFS_INODE_* */
	u32 user;  /* FS_*_FL */
	u32 vfs;   /* S_*, or 0 */
} tarn_flags[] = {
	{ TARNFS_INODE_SYNC, FS_SYNC_FL, S_SYNC },
	{ TARNFS_INODE_IMMUTABLE, FS_IMMUTABLE_FL, S_IMMUTABLE },
	{ TARNFS_INODE_APPEND, FS_APPEND_FL, S_APPEND },
	{ TARNFS_INODE_NODUMP, FS_NODUMP_FL, 0 },
	{ TARNFS_INODE_NOATIME, FS_NOATIME_FL, S_NOATIME },
	{ TARNFS_INODE_DIRSYNC, FS_DIRSYNC_FL, S_DIRSYNC },
	{ TARNFS_INODE_PROJECT_INHERITED, FS_PROJINHERIT_FL, 0 },
	{ TARNFS_INODE_DAX, FS_DAX_FL, 0 },
};

#define TARN_USER_FLAGS (FS_COMMON_FL | FS_DIRSYNC_FL)
#define TARN_VFS_FLAGS	(S_SYNC | S_IMMUTABLE | S_APPEND | S_NOATIME | S_DIRSYNC)

void tarn_inode_apply_flags(struct inode *inode, u32 media)
{
	unsigned int vfs = 0;
	size_t i;

	if (likely(!(media & TARNFS_INODE_USER_FLAGS) && !(inode->i_flags & TARN_VFS_FLAGS)))
		return;
	for (i = 0; i < ARRAY_SIZE(tarn_flags); i++)
		if (media & tarn_flags[i].media)
			vfs |= tarn_flags[i].vfs;
	inode_set_flags(inode, vfs, TARN_VFS_FLAGS);
}

int tarn_fileattr_get(struct dentry *dentry, struct fileattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct tarn_attributes attributes;
	u32 user = 0;
	size_t i;
	int entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	tarn_inode_attributes(tarn_core(inode), &attributes);
	tarn_leave(entered);
	for (i = 0; i < ARRAY_SIZE(tarn_flags); i++)
		if (attributes.flags & tarn_flags[i].media)
			user |= tarn_flags[i].user;
	fileattr_fill_flags(fa, user);
	fa->fsx_projid = attributes.project;
	return 0;
}

int tarn_fileattr_set(tarn_idmap *idmap, struct dentry *dentry, struct fileattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct tarn_attributes attributes;
	u32 media = 0;
	size_t i;
	int error, entered;

	if ((fa->flags & ~TARN_USER_FLAGS) || (fa->fsx_xflags & ~FS_XFLAG_COMMON))
		return -EOPNOTSUPP;
	for (i = 0; i < ARRAY_SIZE(tarn_flags); i++)
		if (fa->flags & tarn_flags[i].user)
			media |= tarn_flags[i].media;
	entered = tarn_enter(inode->i_sb);
	if (entered < 0)
		return entered;
	error = tarn_check(inode->i_sb, tarn_inode_set_flags(tarn_core(inode), media, fa->fsx_projid,
							     tarn_time_of(current_time(inode))));
	if (!error) {
		tarn_inode_attributes(tarn_core(inode), &attributes);
		tarn_inode_apply_flags(inode, attributes.flags);
		tarn_inode_refresh(inode);
	}
	tarn_leave(entered);
	return error;
}
