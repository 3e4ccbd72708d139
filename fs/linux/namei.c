// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: operations on names. The VFS holds i_rwsem of every directory (and removed or moved
 * inode) concerned and has checked permissions, name length and that a rename does not put a directory below
 * itself.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/slab.h>

#include "fs/linux/glue.h"

static struct tarn_name tarn_name_of(const struct dentry *dentry)
{
	return (struct tarn_name){.bytes = dentry->d_name.name, .length = dentry->d_name.len};
}

static struct tarn_time tarn_now(struct inode *inode)
{
	return tarn_time_of(current_time(inode));
}

static struct dentry *tarn_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = NULL;
	unsigned long long number;
	int error, entered;

	if (dentry->d_name.len > TARN_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	entered = tarn_enter(dir->i_sb);
	if (entered < 0)
		return ERR_PTR(entered);
	error = tarn_check(dir->i_sb, tarn_dir_find(tarn_core(dir), tarn_name_of(dentry), &number));
	tarn_leave(entered);
	if (!error)
		inode = tarn_iget(dir->i_sb, number);
	else if (error != -ENOENT)
		inode = ERR_PTR(error);
	return d_splice_alias(inode, dentry);
}

/* ---- making ------------------------------------------------------------------------------------------- */

/* On the media it exists now. Somebody may have found it already, by a file handle that he has made up: then that inode is
 * the one, and `*made` becomes it. */
static int tarn_publish(struct inode **made, const struct tarn_attributes *attributes)
{
	struct inode *inode = *made;

	inode->i_ino = attributes->number;
	tarn_vfs(inode)->has_core = true;
	if (likely(!insert_inode_locked(inode)))
		return tarn_inode_setup(inode, attributes);
	tarn_inode_close(tarn_core(inode));
	tarn_vfs(inode)->has_core = false;
	inode = tarn_iget(inode->i_sb, attributes->number);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	iput(*made);
	*made = inode;
	return 0;
}

static struct tarn_new_inode tarn_describe(struct inode *dir, const struct inode *inode, unsigned int device,
					   struct tarn_name target, const struct tarn_new_xattrs *xattrs)
{
	return (struct tarn_new_inode){
		.mode = inode->i_mode,
		.uid = i_uid_read(inode),
		.gid = i_gid_read(inode),
		.device = device,
		.target = target,
		.now = tarn_now(dir),
		.xattrs = xattrs->list,
		.xattr_count = xattrs->count,
	};
}

/* `dentry` is NULL for an inode without a name. */
static int tarn_create_with(struct inode *dir, struct dentry *dentry, struct inode **made, unsigned int device,
			    struct tarn_name target, const struct tarn_new_xattrs *xattrs)
{
	struct inode *inode = *made;
	struct tarn_new_inode what = tarn_describe(dir, inode, device, target, xattrs);
	struct tarn_attributes attributes;
	int error, entered = tarn_enter(dir->i_sb);

	if (entered < 0)
		return entered;
	if (dentry)
		error = tarn_dir_create(tarn_core(dir), tarn_name_of(dentry), &what, tarn_core(inode), &attributes);
	else
		error = tarn_dir_create_nameless(tarn_core(dir), &what, tarn_core(inode), &attributes);
	if (!error) {
		if (dentry)
			tarn_inode_refresh(dir);
		error = tarn_publish(made, &attributes);
		/* Who found it first may have changed them. */
		if (!error && (*made)->i_state & I_NEW)
			tarn_cache_new_xattrs(*made, xattrs);
	}
	tarn_leave(entered);
	return tarn_check(dir->i_sb, error);
}

/* With what it inherits. */
static int tarn_create_in(struct inode *dir, struct dentry *dentry, struct inode **made, unsigned int device,
			  struct tarn_name target)
{
	struct tarn_new_xattrs xattrs;
	int error = tarn_new_xattrs(dir, dentry ? &dentry->d_name : NULL, *made, &xattrs);

	if (!error)
		error = tarn_create_with(dir, dentry, made, device, target, &xattrs);
	tarn_put_new_xattrs(&xattrs);
	return error;
}

/* A new inode of any type. `target` is a symlink's, else NULL. */
static int tarn_make(tarn_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode, dev_t device,
		     const char *target)
{
	struct tarn_name target_name = {.bytes = target, .length = target ? strlen(target) : 0};
	struct inode *inode = new_inode(dir->i_sb);
	int error = -ENOMEM;

	if (!inode)
		return -ENOMEM;
	inode_init_owner(idmap, inode, dir, mode);
	if (target)
		inode->i_link = kstrdup(target, GFP_KERNEL);
	if (!target || inode->i_link)
		error = tarn_create_in(dir, dentry, &inode, new_encode_dev(device), target_name);
	if (error) {
		iput(inode);
		return error;
	}
	if (likely(inode->i_state & I_NEW)) {
		d_instantiate_new(dentry, inode);
	} else if (S_ISDIR(mode)) {
		/* It has a dentry already, and may not have two: the next lookup puts that in its place. */
		d_drop(dentry);
		iput(inode);
	} else {
		d_instantiate(dentry, inode);
	}
	return 0;
}

/* O_TMPFILE. The VFS knows which of them may get a name, by tarn_link. */
static int tarn_tmpfile(tarn_idmap *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	struct inode *inode = new_inode(dir->i_sb);
	int error;

	if (!inode)
		return -ENOMEM;
	inode_init_owner(idmap, inode, dir, mode);
	error = tarn_create_in(dir, NULL, &inode, 0, (struct tarn_name){});
	if (error) {
		iput(inode);
		return error;
	}
	set_nlink(inode, 1); /* d_tmpfile takes it away */
	d_tmpfile(file, inode);
	unlock_new_inode(inode);
	return finish_open_simple(file, 0);
}

static int tarn_create(tarn_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		       bool exclusive)
{
	return tarn_make(idmap, dir, dentry, mode, 0, NULL);
}

static int tarn_mkdir(tarn_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	return tarn_make(idmap, dir, dentry, mode | S_IFDIR, 0, NULL);
}

static int tarn_mknod(tarn_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode, dev_t device)
{
	return tarn_make(idmap, dir, dentry, mode, device, NULL);
}

static int tarn_symlink(tarn_idmap *idmap, struct inode *dir, struct dentry *dentry, const char *target)
{
	return tarn_make(idmap, dir, dentry, S_IFLNK | 0777, 0, target);
}

/* ---- linking and removing ----------------------------------------------------------------------------- */

static int tarn_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	int error, entered = tarn_enter(dir->i_sb);

	if (entered < 0)
		return entered;
	error = tarn_check(dir->i_sb, tarn_dir_link(tarn_core(dir), tarn_name_of(dentry), tarn_core(inode),
						    tarn_now(dir)));
	if (!error) {
		tarn_inode_refresh(dir);
		tarn_inode_refresh(inode);
	}
	tarn_leave(entered);
	if (error)
		return error;
	ihold(inode);
	d_instantiate(dentry, inode);
	return 0;
}

/* Also rmdir: the core knows which. */
static int tarn_unlink(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int error, entered = tarn_enter(dir->i_sb);

	if (entered < 0)
		return entered;
	error = tarn_check(dir->i_sb, tarn_dir_unlink(tarn_core(dir), tarn_name_of(dentry), tarn_core(inode),
						      tarn_now(dir)));
	if (!error) {
		tarn_inode_refresh(dir);
		tarn_inode_refresh(inode);
	}
	tarn_leave(entered);
	return error;
}

/* `left` is NULL, or what is left under the old name. */
static int tarn_rename_with(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
			    unsigned int flags, const struct tarn_new_inode *left)
{
	struct inode *moved = d_inode(from), *target = d_inode(to);
	struct tarn_rename rename = {
		.from_dir = tarn_core(from_dir),
		.from = tarn_name_of(from),
		.to_dir = tarn_core(to_dir),
		.to = tarn_name_of(to),
		.moved = tarn_core(moved),
		.target = target ? tarn_core(target) : NULL,
		.now = tarn_now(from_dir),
		.left = left,
	};
	int error, entered = tarn_enter(from_dir->i_sb);

	if (entered < 0)
		return entered;
	error = tarn_check(from_dir->i_sb,
			   flags & RENAME_EXCHANGE ? tarn_dir_exchange(&rename) : tarn_dir_rename(&rename));
	if (!error) {
		tarn_inode_refresh(from_dir);
		tarn_inode_refresh(to_dir);
		/* A directory that is moved may be unlocked, with somebody else changing and refreshing the
		 * rest of it. */
		inode_set_ctime_to_ts(moved, tarn_timespec(rename.now));
		if (flags & RENAME_EXCHANGE)
			inode_set_ctime_to_ts(target, tarn_timespec(rename.now));
		else if (target)
			tarn_inode_refresh(target);
	}
	tarn_leave(entered);
	return error;
}

/* Leaves a character device for an overlay, with what it inherits. The VFS has no use for its inode yet: this one only says
 * what it is made with, and a later lookup finds it. */
static int tarn_rename_whiteout(tarn_idmap *idmap, struct inode *from_dir, struct dentry *from, struct inode *to_dir,
				struct dentry *to, unsigned int flags)
{
	struct inode *inode = new_inode(from_dir->i_sb);
	struct tarn_new_xattrs xattrs;
	struct tarn_new_inode whiteout;
	int error;

	if (!inode)
		return -ENOMEM;
	inode_init_owner(idmap, inode, from_dir, S_IFCHR | WHITEOUT_MODE);
	error = tarn_new_xattrs(from_dir, &from->d_name, inode, &xattrs);
	if (!error) {
		whiteout = tarn_describe(from_dir, inode, WHITEOUT_DEV, (struct tarn_name){}, &xattrs);
		error = tarn_rename_with(from_dir, from, to_dir, to, flags, &whiteout);
	}
	tarn_put_new_xattrs(&xattrs);
	iput(inode);
	return error;
}

static int tarn_rename(tarn_idmap *idmap, struct inode *from_dir, struct dentry *from, struct inode *to_dir,
		       struct dentry *to, unsigned int flags)
{
	/* The VFS has seen to RENAME_NOREPLACE: there is no target then. */
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_WHITEOUT)
		return tarn_rename_whiteout(idmap, from_dir, from, to_dir, to, flags);
	return tarn_rename_with(from_dir, from, to_dir, to, flags, NULL);
}

const struct inode_operations tarn_dir_inode_operations = {
	.lookup = tarn_lookup,
	.create = tarn_create,
	.link = tarn_link,
	.unlink = tarn_unlink,
	.symlink = tarn_symlink,
	.mkdir = tarn_mkdir,
	.rmdir = tarn_unlink,
	.mknod = tarn_mknod,
	.rename = tarn_rename,
	.tmpfile = tarn_tmpfile,
	.setattr = tarn_setattr,
	.getattr = tarn_getattr,
	.fileattr_get = tarn_fileattr_get,
	.fileattr_set = tarn_fileattr_set,
	.listxattr = tarn_listxattr,
	.get_inode_acl = tarn_get_inode_acl,
	.set_acl = tarn_set_acl,
};
