/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the VFS glue share: the kernel's side of a mount and of an inode, and who defines which
 * table.
 *
 * The glue translates: it takes the VFS's locks and refcounts, calls the core (fs/core.h, fs/file_core.h),
 * copies attributes into struct inode, and turns nothing into policy.
 */
#ifndef TARN_LINUX_GLUE_H
#define TARN_LINUX_GLUE_H

#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/fs_parser.h>

#include "cxxrt/linux/persist.h"
#include "fs/core.h"
#include "fs/linux/compat.h"

/* Why the core may not be called any more; only rises. */
enum tarn_stop {
	TARN_RUNS,
	TARN_SHUT_DOWN, /* asked for: nothing changes, and nothing is shown */
	TARN_GONE,	/* the device is being removed: its memory must not be touched */
};

/* What finding damage does. */
enum tarn_errors {
	TARN_ERRORS_NOT_GIVEN, /* as TARN_ERRORS_READ_ONLY; in a remount: as before */
	TARN_ERRORS_READ_ONLY,
	TARN_ERRORS_CONTINUE,
	TARN_ERRORS_PANIC,
};

/* sb->s_fs_info. Constant while mounted, but for `stopped` and `errors`. */
struct tarn_super {
	struct tarn_fs *fs;
	struct dax_device *dax;
	u64 dax_offset;		   /* bytes from the start of the dax device to block 0 */
	struct tarn_device device; /* as given to the core */
	struct tarn_backing backing; /* of device */
	struct dentry *debug;	     /* its debugfs directory */
	int stopped;		   /* enum tarn_stop */
	int errors;		   /* enum tarn_errors */
	bool no_recovery;	   /* mounted as it is, read-only for good */
	bool show_dax;		   /* dax was asked for by name: shown in /proc/mounts */
};

/* One allocation for both halves of an inode. The core's half lives from tarn_inode_open/tarn_dir_create to
 * evict, the memory until an RCU grace period after that. */
struct tarn_vfs_inode {
	struct tarn_inode core;
	bool has_core;	 /* core is constructed */
	bool pages_gone; /* the device went and took its struct pages along */
	struct inode vfs;
};

static inline struct tarn_super *tarn_super(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct tarn_fs *tarn_fs(const struct super_block *sb)
{
	return tarn_super(sb)->fs;
}

static inline struct tarn_vfs_inode *tarn_vfs(const struct inode *inode)
{
	return container_of(inode, struct tarn_vfs_inode, vfs);
}

/* The core's half; the way to call the core with a struct inode. */
static inline struct tarn_inode *tarn_core(const struct inode *inode)
{
	return &tarn_vfs(inode)->core;
}

/* The VFS's half of what the core hands back (struct tarn_inode *). */
static inline struct inode *tarn_vfs_of(struct tarn_inode *core)
{
	return &container_of(core, struct tarn_vfs_inode, core)->vfs;
}

static inline struct tarn_time tarn_time_of(struct timespec64 ts)
{
	return (struct tarn_time){.seconds = ts.tv_sec, .nanoseconds = ts.tv_nsec};
}

static inline struct timespec64 tarn_timespec(struct tarn_time time)
{
	return (struct timespec64){.tv_sec = time.seconds, .tv_nsec = time.nanoseconds};
}

/* A line in the kernel's log, in the form the core's have. */
#define tarn_error(sb, format, ...) pr_err("tarnfs (%pg): " format "\n", (sb)->s_bdev, ##__VA_ARGS__)

/* ---- super.c ------------------------------------------------------------------------------------------ */

/* Every call into the core that may touch the media stands between these two: the device's memory stays
 * mapped until tarn_leave, however long that takes. tarn_enter returns what tarn_leave wants, or -EIO when
 * the device is gone or the file system was shut down. Nests; tarn_leave in the same task. Does not sleep. */
int tarn_enter(const struct super_block *sb);
/* The same for who tidies up, and for stat(2), also after a shutdown: -EIO only when the device is gone. */
int tarn_enter_device(const struct super_block *sb);
void tarn_leave(int entered);

/* Called with the errno of a core call that may have found damage or shut the volume down: shows a volume
 * that became read-only as such (SB_RDONLY), or panics, as errors= says. Returns `error`. Does not sleep. */
int tarn_check(struct super_block *sb, int error);

/* From now on every call fails with EIO, and what is mapped with SIGBUS; only unmounting is left. May sleep; no lock
 * held. */
void tarn_shut_down(struct super_block *sb);

/* ---- options.c ---------------------------------------------------------------------------------------- */

struct fs_context;
struct seq_file;

extern const struct fs_parameter_spec tarn_parameters[];
/* fs_context_operations::parse_param; super_operations::show_options. */
int tarn_parse_param(struct fs_context *fc, struct fs_parameter *parameter);
int tarn_show_options(struct seq_file *seq, struct dentry *root);

/* ---- ioctl.c ------------------------------------------------------------------------------------------ */

/* file_operations::unlocked_ioctl of regular files and directories. */
long tarn_ioctl(struct file *file, unsigned int command, unsigned long argument);

/* ---- inode.c ------------------------------------------------------------------------------------------ */

int tarn_inode_cache_create(void);
void tarn_inode_cache_destroy(void);
struct inode *tarn_alloc_inode(struct super_block *sb);
void tarn_free_inode(struct inode *inode);
void tarn_evict_inode(struct inode *inode);
int tarn_write_inode(struct inode *inode, struct writeback_control *wbc);

/* The inode of a number that a directory names, or an ERR_PTR. May sleep. */
struct inode *tarn_iget(struct super_block *sb, u64 number);
/* The same for a number from a file handle, with its generation, or 0 for any: -ESTALE where it names nothing. */
struct inode *tarn_iget_handle(struct super_block *sb, u64 number, u32 generation);
/* Fills a new VFS inode from what the core says, operation tables included. */
int tarn_inode_setup(struct inode *inode, const struct tarn_attributes *attributes);
/* Copies what a core operation may have changed into the VFS inode: links, size (not of regular files: their
 * i_size belongs to file.c), blocks, change time, for directories also modification time. i_rwsem held
 * exclusive. */
void tarn_inode_refresh(struct inode *inode);
/* The VFS inode's times, for core calls that log them. */
void tarn_inode_times(struct inode *inode, struct tarn_times *times);

/* Changes an extended attribute and makes the mode `mode`: durable, with the change time, or an error and nothing is
 * changed. i_rwsem held exclusive. */
int tarn_change_xattr(struct inode *inode, umode_t mode, const struct tarn_xattr_change *change);

/* Everything of setattr but the size, after setattr_prepare: applies `attr` to the VFS inode and makes it
 * durable. i_rwsem held exclusive. */
int tarn_setattr_attributes(tarn_idmap *idmap, struct inode *inode, struct iattr *attr);
/* inode_operations::setattr of what has no size to change (directories, symlinks, special files). */
int tarn_setattr(tarn_idmap *idmap, struct dentry *dentry, struct iattr *attr);
/* inode_operations::getattr of every inode: i_blocks from the core, birth time, attribute flags. */
int tarn_getattr(tarn_idmap *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
		 unsigned int query_flags);
/* ->fsync where only the times may not be durable yet (directories); also the metadata half of a file's. */
int tarn_fsync_metadata(struct file *file, loff_t start, loff_t end, int datasync);

/* The change counter, for NFS. */
int tarn_query_version(struct inode *inode, unsigned long long *version);

/* ---- flags.c ------------------------------------------------------------------------------------------ */

/* Makes i_flags what the flags of the media (TARNFS_INODE_*) say. */
void tarn_inode_apply_flags(struct inode *inode, u32 media);
/* inode_operations::fileattr_get and fileattr_set of files and directories. */
int tarn_fileattr_get(struct dentry *dentry, struct fileattr *fa);
int tarn_fileattr_set(tarn_idmap *idmap, struct dentry *dentry, struct fileattr *fa);

/* ---- xattr.c and acl.c -------------------------------------------------------------------------------- */

extern const struct xattr_handler *tarn_xattr_handlers[];
ssize_t tarn_listxattr(struct dentry *dentry, char *list, size_t size);
/* The value of an attribute, whose name is without its prefix. Returns its length. `size` 0: nothing is copied. */
int tarn_xattr_read(struct inode *inode, unsigned int space, const char *name, void *buffer, size_t size);

/* inode_operations of what may have ACLs. */
struct posix_acl *tarn_get_inode_acl(struct inode *inode, int type, bool rcu);
int tarn_set_acl(tarn_idmap *idmap, tarn_acl_target *target, struct posix_acl *acl, int type);

/* What an inode's mode, changed to i_mode already, makes of its access ACL, if it has one; zero it before. Both are to be
 * logged together; then, with the outcome, tarn_finish_chmod_acl. */
struct tarn_acl_change {
	struct tarn_xattr_change change;
	struct posix_acl *acl; /* NULL: there is nothing to change */
};
int tarn_chmod_acl(struct inode *inode, struct tarn_acl_change *change);
void tarn_finish_chmod_acl(struct inode *inode, struct tarn_acl_change *change, int error);

/* What a new inode is made with: ACLs from its directory, labels from the security module. */
struct tarn_new_xattrs {
	unsigned int count;
	unsigned int acls; /* the first of them */
	struct posix_acl *access_acl, *default_acl;
	struct tarn_xattr list[8];
};
/* Finds out, and what its mode is then. Whatever it returns, tarn_put_new_xattrs is to be called. */
int tarn_new_xattrs(struct inode *dir, const struct qstr *name, struct inode *inode, struct tarn_new_xattrs *xattrs);
int tarn_inherit_acls(struct inode *dir, struct inode *inode, struct tarn_new_xattrs *xattrs);
void tarn_put_new_xattrs(struct tarn_new_xattrs *xattrs);
/* The inode has been made with them. */
void tarn_cache_new_xattrs(struct inode *inode, const struct tarn_new_xattrs *xattrs);
/* The inode has no extended attribute: nobody needs to ask. */
void tarn_cache_no_xattrs(struct inode *inode);

/* ---- debug.c ------------------------------------------------------------------------------------------ */

/* The mount's directory in debugfs, from when it is mounted until the mount or its device goes: then it is removed, the
 * second time without effect, one caller at a time. Waits for readers. */
void tarn_debug_add(struct super_block *sb);
void tarn_debug_remove(struct super_block *sb);
/* The module's directory. */
void tarn_debug_init(void);
void tarn_debug_exit(void);

/* ---- operation tables --------------------------------------------------------------------------------- */

extern const struct super_operations tarn_super_operations;	    /* super.c */
extern const struct export_operations tarn_export_operations;	    /* export.c */
extern const struct inode_operations tarn_dir_inode_operations;	    /* namei.c */
extern const struct inode_operations tarn_link_inode_operations;    /* inode.c: symlinks */
extern const struct inode_operations tarn_special_inode_operations; /* inode.c */
extern const struct file_operations tarn_dir_operations;	    /* dir.c */

/* Regular files: file.c and mmap.c. */
extern const struct inode_operations tarn_file_inode_operations;
extern const struct file_operations tarn_file_operations;
extern const struct address_space_operations tarn_file_aops;

/* mmap.c: something on the device went bad or goes away (dax holder's notify_failure): unmaps every file's
 * pages, under each file's invalidate_lock, so that faults that came before are over and later ones meet
 * tarn_enter. May sleep. */
void tarn_file_unmap_all(struct super_block *sb);
/* mmap.c: the module goes. */
void tarn_huge_zero_destroy(void);
/* Waits until copies of the zero page that faults were told of, with invalidate_lock held shared, are mapped; the caller
 * holds it exclusive. */
void tarn_wait_for_zero_copies(void);

#endif
