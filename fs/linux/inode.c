// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: inodes: their memory, their life, their attributes; symlinks and special files.
 *
 * Life: the slab's constructor has made the VFS half; tarn_iget or a create builds the core's half in the
 * same object; evict destroys it, the object itself is freed an RCU period later. Path walks under RCU look
 * at the VFS half only.
 *
 * Times: a change of a name or an attribute is logged by the core as it happens. Times of read, write and
 * mkwrite live in the VFS inode, marked dirty, and are logged by write_inode: by fsync, sync, freezing, the
 * flusher, before eviction.
 */
#include <linux/fs.h>
#include <linux/memremap.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/writeback.h>

#include "fs/file_core.h"
#include "fs/linux/glue.h"
#include "tarnfs/inode.h"

/* ---- memory ------------------------------------------------------------------------------------------- */

static struct kmem_cache *tarn_inode_cache;

static void tarn_inode_construct(void *object)
{
	struct tarn_vfs_inode *ours = object;

	ours->has_core = false;
	ours->pages_gone = false;
	inode_init_once(&ours->vfs);
}

int tarn_inode_cache_create(void)
{
	tarn_inode_cache = kmem_cache_create("tarnfs_inode", sizeof(struct tarn_vfs_inode), 0,
					     SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, tarn_inode_construct);
	return tarn_inode_cache ? 0 : -ENOMEM;
}

void tarn_inode_cache_destroy(void)
{
	rcu_barrier(); /* inodes that wait to be freed */
	kmem_cache_destroy(tarn_inode_cache);
}

struct inode *tarn_alloc_inode(struct super_block *sb)
{
	struct tarn_vfs_inode *ours = alloc_inode_sb(sb, tarn_inode_cache, GFP_KERNEL);

	return ours ? &ours->vfs : NULL;
}

void tarn_free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	kmem_cache_free(tarn_inode_cache, tarn_vfs(inode));
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void tarn_set_operations(struct inode *inode, const struct tarn_attributes *attributes)
{
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &tarn_file_inode_operations;
		inode->i_fop = &tarn_file_operations;
		inode->i_mapping->a_ops = &tarn_file_aops;
		inode->i_flags |= S_DAX;
		break;
	case S_IFDIR:
		inode->i_op = &tarn_dir_inode_operations;
		inode->i_fop = &tarn_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &tarn_link_inode_operations;
		break;
	default:
		inode->i_op = &tarn_special_inode_operations;
		init_special_inode(inode, inode->i_mode, new_decode_dev(attributes->device));
	}
}

/* Targets never change, so a copy lives as long as the inode and path walks under RCU may read it. */
static int tarn_load_link(struct inode *inode, unsigned int length)
{
	char *target = kmalloc(length + 1, GFP_KERNEL);
	int got;

	if (!target)
		return -ENOMEM;
	got = tarn_inode_read_link(tarn_core(inode), target, length);
	if (got != length) {
		kfree(target);
		return got < 0 ? tarn_check(inode->i_sb, got) : -EUCLEAN;
	}
	target[length] = '\0';
	inode->i_link = target;
	return 0;
}

int tarn_inode_setup(struct inode *inode, const struct tarn_attributes *attributes)
{
	inode->i_mode = attributes->mode;
	i_uid_write(inode, attributes->uid);
	i_gid_write(inode, attributes->gid);
	set_nlink(inode, attributes->links);
	i_size_write(inode, attributes->size);
	inode->i_blocks = attributes->blocks << (PAGE_SHIFT - SECTOR_SHIFT);
	inode->i_generation = attributes->generation;
	inode_set_atime_to_ts(inode, tarn_timespec(attributes->times.access));
	inode_set_mtime_to_ts(inode, tarn_timespec(attributes->times.modify));
	inode_set_ctime_to_ts(inode, tarn_timespec(attributes->times.change));
	tarn_set_operations(inode, attributes);
	tarn_inode_apply_flags(inode, attributes->flags);
	if (S_ISLNK(inode->i_mode) && !inode->i_link)
		return tarn_load_link(inode, attributes->size);
	return 0;
}

/* `handle`: NULL for what a directory names, or the generation that a file handle has. */
static int tarn_inode_read(struct inode *inode, const u32 *handle)
{
	struct tarn_fs *fs = tarn_fs(inode->i_sb);
	struct tarn_attributes attributes;
	int error = handle ? tarn_inode_open_handle(fs, inode->i_ino, *handle, tarn_core(inode), &attributes) :
			     tarn_inode_open(fs, inode->i_ino, tarn_core(inode), &attributes);

	if (error)
		return tarn_check(inode->i_sb, error);
	tarn_vfs(inode)->has_core = true;
	error = tarn_inode_setup(inode, &attributes);
	if (!error && !tarn_inode_has_xattrs(tarn_core(inode)))
		tarn_cache_no_xattrs(inode);
	return error;
}

static int tarn_note_inode(struct inode *inode, unsigned long number, void *found)
{
	*(bool *)found = inode->i_ino == number;
	return *(bool *)found ? -1 : 0;
}

/* iget_locked() gives nothing where there is no memory, and for an inode that is just being made: that one has no name
 * yet, and nobody a handle of it. */
static int tarn_iget_error(struct super_block *sb, u64 number)
{
	bool found = false;

	find_inode_nowait(sb, number, tarn_note_inode, &found);
	return found ? -ESTALE : -ENOMEM;
}

static struct inode *tarn_iget_as(struct super_block *sb, u64 number, const u32 *handle)
{
	struct inode *inode = iget_locked(sb, number);
	int error, entered;

	if (!inode)
		return ERR_PTR(tarn_iget_error(sb, number));
	if (!(inode->i_state & I_NEW))
		return inode;
	entered = tarn_enter(sb);
	error = entered;
	if (entered >= 0) {
		error = tarn_inode_read(inode, handle);
		tarn_leave(entered);
	}
	if (error) {
		iget_failed(inode);
		return ERR_PTR(error);
	}
	unlock_new_inode(inode);
	return inode;
}

struct inode *tarn_iget(struct super_block *sb, u64 number)
{
	return tarn_iget_as(sb, number, NULL);
}

struct inode *tarn_iget_handle(struct super_block *sb, u64 number, u32 generation)
{
	struct inode *inode = tarn_iget_as(sb, number, &generation);

	if (IS_ERR(inode) || !generation || inode->i_generation == generation)
		return inode;
	iput(inode);
	return ERR_PTR(-ESTALE);
}

static void tarn_evict_core(struct inode *inode)
{
	bool discard = !inode->i_nlink && !sb_rdonly(inode->i_sb);

	if (S_ISREG(inode->i_mode))
		tarn_file_evict(tarn_core(inode), discard ? TARN_EVICT_DISCARD : TARN_EVICT_KEEP);
	if (discard) {
		tarn_inode_free(tarn_core(inode));
		tarn_check(inode->i_sb, -EIO);
	} else {
		tarn_inode_close(tarn_core(inode));
	}
}

/* Nothing of the device may be touched. Its driver may free the struct pages at any time (nd_pmem), unless
 * we hold it off; tarn_pmem's stay until the unmount. */
static void tarn_evict_gone(struct inode *inode)
{
	struct tarn_super *super = tarn_super(inode->i_sb);
	struct dev_pagemap *pages = get_dev_pagemap(super->device.first_pfn, NULL);

	tarn_fs_abandon(super->fs);
	tarn_vfs(inode)->pages_gone = !pages;
	if (S_ISREG(inode->i_mode))
		tarn_file_evict(tarn_core(inode), TARN_EVICT_DISCARD);
	tarn_vfs(inode)->pages_gone = false;
	tarn_inode_close(tarn_core(inode));
	put_dev_pagemap(pages);
}

void tarn_evict_inode(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;
	bool writes = !inode->i_nlink && !is_bad_inode(inode) && READ_ONCE(tarn_super(sb)->stopped) == TARN_RUNS;
	int entered;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (!tarn_vfs(inode)->has_core)
		return;
	/* Freeing an inode waits while the file system is frozen: not in who takes its device away or shuts it down,
	 * who may be the last to let go of it (tarn_file_unmap_all). */
	if (writes)
		sb_start_intwrite(sb);
	entered = tarn_enter_device(sb);
	if (entered >= 0) {
		tarn_evict_core(inode);
		tarn_leave(entered);
	} else {
		tarn_evict_gone(inode);
	}
	tarn_vfs(inode)->has_core = false;
	if (writes)
		sb_end_intwrite(sb);
}

/* ---- attributes --------------------------------------------------------------------------------------- */

void tarn_inode_times(struct inode *inode, struct tarn_times *times)
{
	times->access = tarn_time_of(inode_get_atime(inode));
	times->modify = tarn_time_of(inode_get_mtime(inode));
	times->change = tarn_time_of(inode_get_ctime(inode));
}

void tarn_inode_refresh(struct inode *inode)
{
	struct tarn_attributes attributes;

	tarn_inode_attributes(tarn_core(inode), &attributes);
	set_nlink(inode, attributes.links);
	inode->i_blocks = attributes.blocks << (PAGE_SHIFT - SECTOR_SHIFT);
	inode_set_ctime_to_ts(inode, tarn_timespec(attributes.times.change));
	if (!S_ISDIR(inode->i_mode))
		return;
	i_size_write(inode, attributes.size);
	inode_set_mtime_to_ts(inode, tarn_timespec(attributes.times.modify));
}

int tarn_write_inode(struct inode *inode, struct writeback_control *wbc)
{
	struct super_block *sb = inode->i_sb;
	struct tarn_times times;
	int error, entered;

	if (tarn_fs_is_read_only(tarn_fs(sb)))
		return 0;
	entered = tarn_enter(sb);
	if (entered < 0)
		return entered;
	tarn_inode_times(inode, &times);
	error = tarn_check(sb, tarn_inode_write_times(tarn_core(inode), &times));
	tarn_leave(entered);
	return error;
}

int tarn_fsync_metadata(struct file *file, loff_t start, loff_t end, int datasync)
{
	/* What data needs is durable as it happens; times are no part of it. */
	return datasync ? 0 : sync_inode_metadata(file_inode(file), 1);
}

/* Makes the media say what the VFS inode says, and changes an extended attribute if `change` is not NULL. */
static int tarn_log_attributes(struct inode *inode, const struct tarn_xattr_change *change)
{
	struct tarn_attributes attributes = {
		.mode = inode->i_mode,
		.uid = i_uid_read(inode),
		.gid = i_gid_read(inode),
	};
	int error, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	tarn_inode_times(inode, &attributes.times);
	error = tarn_check(inode->i_sb, tarn_inode_set_attributes(tarn_core(inode), &attributes, change));
	tarn_leave(entered);
	return error;
}

int tarn_change_xattr(struct inode *inode, umode_t mode, const struct tarn_xattr_change *change)
{
	struct timespec64 ctime = inode_get_ctime(inode);
	umode_t old_mode = inode->i_mode;
	int error;

	inode->i_mode = mode;
	inode_set_ctime_current(inode);
	error = tarn_log_attributes(inode, change);
	if (error) {
		inode->i_mode = old_mode;
		inode_set_ctime_to_ts(inode, ctime);
	}
	return error;
}

int tarn_setattr_attributes(tarn_idmap *idmap, struct inode *inode, struct iattr *attr)
{
	struct tarn_acl_change acl = {};
	struct timespec64 atime = inode_get_atime(inode), mtime = inode_get_mtime(inode),
			  ctime = inode_get_ctime(inode);
	umode_t mode = inode->i_mode;
	kuid_t uid = inode->i_uid;
	kgid_t gid = inode->i_gid;
	int error = 0;

	setattr_copy(idmap, inode, attr);
	if (attr->ia_valid & ATTR_MODE)
		error = tarn_chmod_acl(inode, &acl);
	if (!error)
		error = tarn_log_attributes(inode, acl.acl ? &acl.change : NULL);
	tarn_finish_chmod_acl(inode, &acl, error);
	if (!error)
		return 0;
	inode->i_mode = mode;
	inode->i_uid = uid;
	inode->i_gid = gid;
	inode_set_atime_to_ts(inode, atime);
	inode_set_mtime_to_ts(inode, mtime);
	inode_set_ctime_to_ts(inode, ctime);
	return error;
}

int tarn_setattr(tarn_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	int error = setattr_prepare(idmap, dentry, attr);

	return error ? error : tarn_setattr_attributes(idmap, d_inode(dentry), attr);
}

/* Telling a version may write a record, which has no place in a frozen file system; nobody waits for that. */
int tarn_query_version(struct inode *inode, unsigned long long *version)
{
	struct super_block *sb = inode->i_sb;
	int error, entered;

	if (!sb_start_write_trylock(sb))
		return -EAGAIN;
	entered = tarn_enter(sb);
	error = entered;
	if (entered >= 0) {
		error = tarn_inode_query_version(tarn_core(inode), version);
		tarn_leave(entered);
	}
	sb_end_write(sb);
	return error == -EROFS ? error : tarn_check(sb, error);
}

/* The number never goes back, whatever happens: STATX_ATTR_CHANGE_MONOTONIC. Without one the server makes do with times. */
static void tarn_fill_version(struct inode *inode, u32 request_mask, struct kstat *stat)
{
#ifdef STATX_CHANGE_COOKIE
	unsigned long long version;

	if (!(request_mask & STATX_CHANGE_COOKIE) || tarn_query_version(inode, &version))
		return;
	stat->change_cookie = version;
	stat->result_mask |= STATX_CHANGE_COOKIE;
	stat->attributes |= STATX_ATTR_CHANGE_MONOTONIC;
	stat->attributes_mask |= STATX_ATTR_CHANGE_MONOTONIC;
#endif
}

int tarn_getattr(tarn_idmap *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
		 unsigned int query_flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct tarn_attributes attributes;
	int entered = tarn_enter_device(inode->i_sb); /* df, fsfreeze and umount look at the root after a shutdown, too */

	if (entered < 0)
		return entered;
	tarn_inode_attributes(tarn_core(inode), &attributes);
	tarn_leave(entered);
	tarn_fill_attributes(idmap, request_mask, inode, stat);
	stat->blocks = attributes.blocks << (PAGE_SHIFT - SECTOR_SHIFT);
	stat->btime = tarn_timespec(attributes.birth);
	stat->result_mask |= STATX_BTIME;
	generic_fill_statx_attr(inode, stat);
	if (attributes.flags & TARNFS_INODE_NODUMP)
		stat->attributes |= STATX_ATTR_NODUMP;
	stat->attributes_mask |= STATX_ATTR_NODUMP;
	tarn_fill_version(inode, request_mask, stat);
	return 0;
}

/* ---- symlinks and special files ----------------------------------------------------------------------- */

const struct inode_operations tarn_link_inode_operations = {
	.get_link = simple_get_link,
	.setattr = tarn_setattr,
	.getattr = tarn_getattr,
	.listxattr = tarn_listxattr,
};

const struct inode_operations tarn_special_inode_operations = {
	.setattr = tarn_setattr,
	.getattr = tarn_getattr,
	.listxattr = tarn_listxattr,
	.get_inode_acl = tarn_get_inode_acl,
	.set_acl = tarn_set_acl,
};
