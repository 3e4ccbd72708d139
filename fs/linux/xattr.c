// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: extended attributes (user., trusted., security.; system.posix_acl_* are acl.c's), and
 * what a new inode is made with.
 *
 * The VFS checks who may read and change what, and holds i_rwsem for a change. Nothing is cached here but for
 * one thing: an inode without attributes says so (S_NOSEC, no ACL), and then neither write(2) nor a
 * permission check asks the core.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "fs/linux/glue.h"

static struct tarn_name tarn_name_of(const char *name)
{
	return (struct tarn_name){ .bytes = name, .length = strlen(name) };
}

int tarn_xattr_read(struct inode *inode, unsigned int space, const char *name, void *buffer, size_t size)
{
	int length, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	length = tarn_xattr_get(tarn_core(inode), space, tarn_name_of(name), buffer,
				min_t(size_t, size, TARN_XATTR_VALUE_MAX));
	tarn_leave(entered);
	return length < 0 ? tarn_check(inode->i_sb, length) : length;
}

static int tarn_xattr_handle_get(const struct xattr_handler *handler, struct dentry *dentry,
				 struct inode *inode, const char *name, void *buffer, size_t size)
{
	return tarn_xattr_read(inode, handler->flags, name, buffer, size);
}

static int tarn_xattr_handle_set(const struct xattr_handler *handler, tarn_idmap *idmap,
				 struct dentry *dentry, struct inode *inode, const char *name,
				 const void *value, size_t size, int flags)
{
	struct tarn_xattr_change change = {
		.xattr = {
			.space = handler->flags,
			.name = tarn_name_of(name),
			.value = value,
			.size = size,
		},
		.how = !value			? TARN_XATTR_REMOVE :
		       flags & XATTR_CREATE	? TARN_XATTR_CREATE :
		       flags & XATTR_REPLACE	? TARN_XATTR_REPLACE :
						  TARN_XATTR_EITHER,
	};

	return tarn_change_xattr(inode, inode->i_mode, &change);
}

/* The flags are the name space. */
#define TARN_XATTR_HANDLER(its_name, its_prefix, space)                                                      \
	static const struct xattr_handler tarn_##its_name##_handler = {                                      \
		.prefix = its_prefix,                                                                        \
		.flags = space,                                                                              \
		.get = tarn_xattr_handle_get,                                                                \
		.set = tarn_xattr_handle_set,                                                                \
	}
TARN_XATTR_HANDLER(user, XATTR_USER_PREFIX, TARN_XATTR_USER);
TARN_XATTR_HANDLER(trusted, XATTR_TRUSTED_PREFIX, TARN_XATTR_TRUSTED);
TARN_XATTR_HANDLER(security, XATTR_SECURITY_PREFIX, TARN_XATTR_SECURITY);

const struct xattr_handler *tarn_xattr_handlers[] = {
	&tarn_user_handler,
	&tarn_trusted_handler,
	&tarn_security_handler,
	TARN_ACL_XATTR_HANDLERS NULL,
};

/* ---- listing ------------------------------------------------------------------------------------------ */

static const char *tarn_xattr_prefix(unsigned int space)
{
	switch (space) {
	case TARN_XATTR_USER:
		return XATTR_USER_PREFIX;
	case TARN_XATTR_SECURITY:
		return XATTR_SECURITY_PREFIX;
	case TARN_XATTR_SYSTEM:
		return XATTR_SYSTEM_PREFIX;
	default:
		return ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN) ? XATTR_TRUSTED_PREFIX : NULL;
	}
}

/* A list as listxattr(2) wants it; with `size` 0 only its length. */
struct tarn_name_list {
	char *list;
	size_t size;
	size_t used;
	u64 cookie; /* of the next */
};

static int tarn_add_name(struct tarn_name_list *names, const struct tarn_xattr_name *name)
{
	const char *prefix = tarn_xattr_prefix(name->space);
	size_t length = prefix ? strlen(prefix) + name->length + 1 : 0;

	names->cookie = name->cookie + 1;
	if (!prefix)
		return 0;
	if (names->size && length > names->size - names->used)
		return -ERANGE;
	if (names->size)
		snprintf(names->list + names->used, length, "%s%.*s", prefix, name->length, name->name);
	names->used += length;
	return 0;
}

/* Adds the names that fit into `buffer`. Returns 0 when there are no more. */
static int tarn_add_names(struct inode *inode, void *buffer, struct tarn_name_list *names)
{
	int used, at, error = 0, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	used = tarn_check(inode->i_sb, tarn_xattr_list(tarn_core(inode), names->cookie, buffer, PAGE_SIZE));
	tarn_leave(entered);
	for (at = 0; at < used && !error;) {
		const struct tarn_xattr_name *name = buffer + at;

		error = tarn_add_name(names, name);
		at += ALIGN(offsetof(struct tarn_xattr_name, name) + name->length, 8);
	}
	return error ? error : used;
}

/* Names go through a page of our own, so many at a time: one that is set or removed meanwhile may be missed,
 * no other. */
ssize_t tarn_listxattr(struct dentry *dentry, char *list, size_t size)
{
	struct tarn_name_list names = { .list = list, .size = size };
	void *buffer = (void *)__get_free_page(GFP_KERNEL);
	int more;

	if (!buffer)
		return -ENOMEM;
	do
		more = tarn_add_names(d_inode(dentry), buffer, &names);
	while (more > 0);
	free_page((unsigned long)buffer);
	return more < 0 ? more : names.used;
}

/* ---- new inodes --------------------------------------------------------------------------------------- */

/* The security module's array lives no longer than this call. */
static int tarn_copy_labels(struct inode *inode, const struct xattr *label, void *context)
{
	struct tarn_new_xattrs *xattrs = context;

	for (; label->name; label++) {
		size_t name_size = strlen(label->name) + 1;
		char *copy;

		if (xattrs->count == ARRAY_SIZE(xattrs->list))
			return -E2BIG;
		copy = kmalloc(name_size + label->value_len, GFP_KERNEL);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, label->name, name_size);
		memcpy(copy + name_size, label->value, label->value_len);
		xattrs->list[xattrs->count++] = (struct tarn_xattr){
			.space = TARN_XATTR_SECURITY,
			.name = { .bytes = copy, .length = name_size - 1 },
			.value = copy + name_size,
			.size = label->value_len,
		};
	}
	return 0;
}

int tarn_new_xattrs(struct inode *dir, const struct qstr *name, struct inode *inode,
		    struct tarn_new_xattrs *xattrs)
{
	int error;

	xattrs->count = 0;
	error = tarn_inherit_acls(dir, inode, xattrs);
	xattrs->acls = xattrs->count;
	if (!error)
		error = security_inode_init_security(inode, dir, name, tarn_copy_labels, xattrs);
	return error;
}

void tarn_put_new_xattrs(struct tarn_new_xattrs *xattrs)
{
	unsigned int i;

	posix_acl_release(xattrs->access_acl);
	posix_acl_release(xattrs->default_acl);
	for (i = 0; i < xattrs->count; i++)
		kvfree(i < xattrs->acls ? xattrs->list[i].value : xattrs->list[i].name.bytes);
}

void tarn_cache_new_xattrs(struct inode *inode, const struct tarn_new_xattrs *xattrs)
{
	if (!xattrs->count) {
		tarn_cache_no_xattrs(inode);
		return;
	}
	set_cached_acl(inode, ACL_TYPE_ACCESS, xattrs->access_acl);
	set_cached_acl(inode, ACL_TYPE_DEFAULT, xattrs->default_acl);
}

void tarn_cache_no_xattrs(struct inode *inode)
{
	cache_no_acl(inode);
	inode_has_no_xattr(inode);
}
