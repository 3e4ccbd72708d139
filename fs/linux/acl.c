// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: POSIX ACLs: the attributes system.posix_acl_access and system.posix_acl_default, kept
 * as user space sees them, with ids of the initial user namespace.
 *
 * The VFS caches them in the inode. An ACL and the mode that goes with it change in one transaction:
 * chmod(2), and an ACL that says what a mode can say.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "fs/linux/glue.h"

static const char *tarn_acl_name(int type)
{
	return type == ACL_TYPE_ACCESS ? XATTR_POSIX_ACL_ACCESS : XATTR_POSIX_ACL_DEFAULT;
}

/* The value of an ACL's attribute, or NULL where there is none; *size is its length. */
static void *tarn_read_acl(struct inode *inode, int type, int *size)
{
	void *value = NULL;

	do {
		kvfree(value);
		value = NULL;
		*size = tarn_xattr_read(inode, TARN_XATTR_SYSTEM, tarn_acl_name(type), NULL, 0);
		if (*size <= 0)
			break;
		value = kvmalloc(*size, GFP_KERNEL);
		if (!value)
			return ERR_PTR(-ENOMEM);
		*size = tarn_xattr_read(inode, TARN_XATTR_SYSTEM, tarn_acl_name(type), value, *size);
	} while (*size == -ERANGE); /* it has grown meanwhile */
	if (*size < 0) {
		kvfree(value);
		return *size == -ENODATA ? NULL : ERR_PTR(*size);
	}
	return value;
}

struct posix_acl *tarn_get_inode_acl(struct inode *inode, int type, bool rcu)
{
	struct posix_acl *acl;
	void *value;
	int size;

	if (rcu)
		return ERR_PTR(-ECHILD);
	value = tarn_read_acl(inode, type, &size);
	if (IS_ERR_OR_NULL(value))
		return ERR_CAST(value);
	acl = posix_acl_from_xattr(inode->i_sb->s_user_ns, value, size);
	kvfree(value);
	if (!IS_ERR(acl) || PTR_ERR(acl) == -ENOMEM)
		return acl;
	tarn_error(inode->i_sb, "inode %lu: impossible ACL", inode->i_ino);
	return ERR_PTR(-EUCLEAN);
}

/* What makes `acl`, NULL for none, the inode's. `change->value` is to be freed. */
static int tarn_acl_xattr(struct inode *inode, int type, const struct posix_acl *acl,
			  struct tarn_xattr *xattr)
{
	const char *name = tarn_acl_name(type);
	size_t size = acl ? posix_acl_xattr_size(acl->a_count) : 0;
	void *value = acl ? kvmalloc(size, GFP_KERNEL) : NULL;
	int error = 0;

	if (acl && !value)
		return -ENOMEM;
	if (acl)
		error = posix_acl_to_xattr(inode->i_sb->s_user_ns, acl, value, size);
	if (error < 0) {
		kvfree(value);
		return error;
	}
	*xattr = (struct tarn_xattr){
		.space = TARN_XATTR_SYSTEM,
		.name = { .bytes = name, .length = strlen(name) },
		.value = value,
		.size = size,
	};
	return 0;
}

int tarn_set_acl(tarn_idmap *idmap, tarn_acl_target *target, struct posix_acl *acl, int type)
{
	struct inode *inode = tarn_acl_inode(target);
	struct tarn_xattr_change change = {};
	umode_t mode = inode->i_mode;
	int error = 0;

	if (type == ACL_TYPE_ACCESS && acl)
		error = posix_acl_update_mode(idmap, inode, &mode, &acl);
	if (!error)
		error = tarn_acl_xattr(inode, type, acl, &change.xattr);
	if (error)
		return error;
	change.how = acl ? TARN_XATTR_EITHER : TARN_XATTR_CLEAR;
	error = tarn_change_xattr(inode, mode, &change);
	kvfree(change.xattr.value);
	if (!error)
		set_cached_acl(inode, type, acl);
	return error;
}

/* ---- chmod -------------------------------------------------------------------------------------------- */

int tarn_chmod_acl(struct inode *inode, struct tarn_acl_change *change)
{
	struct posix_acl *acl = S_ISLNK(inode->i_mode) ? NULL : get_inode_acl(inode, ACL_TYPE_ACCESS);
	int error;

	if (IS_ERR_OR_NULL(acl))
		return PTR_ERR_OR_ZERO(acl);
	error = __posix_acl_chmod(&acl, GFP_KERNEL, inode->i_mode);
	if (error)
		return error;
	change->acl = acl;
	change->change.how = TARN_XATTR_EITHER;
	return tarn_acl_xattr(inode, ACL_TYPE_ACCESS, acl, &change->change.xattr);
}

void tarn_finish_chmod_acl(struct inode *inode, struct tarn_acl_change *change, int error)
{
	if (!change->acl)
		return;
	if (!error)
		set_cached_acl(inode, ACL_TYPE_ACCESS, change->acl);
	posix_acl_release(change->acl);
	kvfree(change->change.xattr.value);
}

/* ---- new inodes --------------------------------------------------------------------------------------- */

static int tarn_add_acl(struct inode *inode, int type, const struct posix_acl *acl,
			struct tarn_new_xattrs *xattrs)
{
	int error = acl ? tarn_acl_xattr(inode, type, acl, &xattrs->list[xattrs->count]) : 0;

	xattrs->count += acl && !error;
	return error;
}

int tarn_inherit_acls(struct inode *dir, struct inode *inode, struct tarn_new_xattrs *xattrs)
{
	int error;

	xattrs->access_acl = xattrs->default_acl = NULL;
	error = posix_acl_create(dir, &inode->i_mode, &xattrs->default_acl, &xattrs->access_acl);
	if (!error)
		error = tarn_add_acl(inode, ACL_TYPE_DEFAULT, xattrs->default_acl, xattrs);
	if (!error)
		error = tarn_add_acl(inode, ACL_TYPE_ACCESS, xattrs->access_acl, xattrs);
	return error;
}
