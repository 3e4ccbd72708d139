// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and file handles: what open_by_handle_at(2) and the kernel's NFS server need to find an inode again that somebody
 * has seen before, over remounts and power cuts.
 *
 * A handle is the inode's number and generation and, where asked for, those of the directory it was found in. A number whose
 * inode has gone, or is another one now, is -ESTALE, and so is one that was never given out: handles come from anywhere.
 */
#include <linux/exportfs.h>
#include <linux/fs.h>

#include "fs/linux/glue.h"

/* Words of a handle: FILEID_INO64_GEN has the first three, FILEID_INO64_GEN_PARENT all. */
enum { TARN_HANDLE_ALONE = 3, TARN_HANDLE_WITH_PARENT = 6 };
/* Known to the headers since 6.6. */
enum { TARN_FILEID_ALONE = 0x81, TARN_FILEID_WITH_PARENT = 0x82 };

static void tarn_pack_handle(u32 *words, const struct inode *inode)
{
	words[0] = inode->i_ino >> 32;
	words[1] = inode->i_ino;
	words[2] = inode->i_generation;
}

static int tarn_encode_handle(struct inode *inode, u32 *words, int *room, struct inode *parent)
{
	int length = parent ? TARN_HANDLE_WITH_PARENT : TARN_HANDLE_ALONE;
	bool fits = *room >= length;

	*room = length;
	if (!fits)
		return FILEID_INVALID;
	tarn_pack_handle(words, inode);
	if (parent)
		tarn_pack_handle(words + TARN_HANDLE_ALONE, parent);
	return parent ? TARN_FILEID_WITH_PARENT : TARN_FILEID_ALONE;
}

/* No generation is 0: that would stand for any. */
static struct dentry *tarn_open_handle(struct super_block *sb, const u32 *words)
{
	u64 number = (u64)words[0] << 32 | words[1];

	return d_obtain_alias(words[2] ? tarn_iget_handle(sb, number, words[2]) : ERR_PTR(-ESTALE));
}

static struct dentry *tarn_handle_to_dentry(struct super_block *sb, struct fid *handle, int length, int type)
{
	if (length < TARN_HANDLE_ALONE || (type != TARN_FILEID_ALONE && type != TARN_FILEID_WITH_PARENT))
		return NULL;
	return tarn_open_handle(sb, handle->raw);
}

static struct dentry *tarn_handle_to_parent(struct super_block *sb, struct fid *handle, int length, int type)
{
	if (length < TARN_HANDLE_WITH_PARENT || type != TARN_FILEID_WITH_PARENT)
		return NULL;
	return tarn_open_handle(sb, handle->raw + TARN_HANDLE_ALONE);
}

/* The directory may be removed meanwhile, and what it was in as well. */
static struct dentry *tarn_get_parent(struct dentry *child)
{
	struct inode *inode = d_inode(child);
	u64 number;
	int entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return ERR_PTR(entered);
	number = tarn_dir_parent(tarn_core(inode));
	tarn_leave(entered);
	return d_obtain_alias(tarn_iget_handle(inode->i_sb, number, 0));
}

/* What an operation on names or attributes does is durable when it returns. */
static int tarn_commit_metadata(struct inode *inode)
{
	return 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
/* Later kernels ask for it by STATX_CHANGE_COOKIE. Where there is none, what the server makes of times. */
static u64 tarn_fetch_version(struct inode *inode)
{
	struct timespec64 ctime = inode_get_ctime(inode);
	unsigned long long version;

	if (!tarn_query_version(inode, &version))
		return version;
	return ((u64)ctime.tv_sec << 30) + ctime.tv_nsec;
}
#endif

const struct export_operations tarn_export_operations = {
	.encode_fh = tarn_encode_handle,
	.fh_to_dentry = tarn_handle_to_dentry,
	.fh_to_parent = tarn_handle_to_parent,
	.get_parent = tarn_get_parent,
	.commit_metadata = tarn_commit_metadata,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	.fetch_iversion = tarn_fetch_version,
#endif
};
