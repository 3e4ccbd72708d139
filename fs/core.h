/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core's C ABI, part one: mount, inodes, directories. (fs/file_core.h: file data.)
 *
 * Called by the glue (fs/linux/{super,inode,namei,dir}.c); implemented by fs/core.cpp, which only translates
 * to the C++ classes FileSystem, Inode and Namespace. Unless a line says otherwise a function may sleep,
 * takes the core's own locks (never the VFS's) and returns 0 or a negative errno. After an error nothing has
 * changed on the media.
 */
#ifndef TARN_FS_CORE_H
#define TARN_FS_CORE_H

#include "cxxrt/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_fs; /* one mounted file system (C++: FileSystem) */

/* Storage of the C++ part of an inode (InodeObject, fs/file/object.hpp), inside the kernel's inode container.
 * Built by tarn_inode_open or tarn_dir_create, destroyed by tarn_inode_close or tarn_inode_free; raw memory
 * before and after. */
#ifdef TARN_LOCKDEP
#define TARN_INODE_STORAGE 1024
#else
#define TARN_INODE_STORAGE 384
#endif

struct tarn_inode {
	TARN_ALIGN8 unsigned char storage[TARN_INODE_STORAGE];
};

/* ---- mount -------------------------------------------------------------------------------------------- */

enum tarn_access {
	TARN_READ_WRITE = 0,
	TARN_READ_ONLY = 1,
	TARN_AS_IT_IS = 2, /* read-only for good; nothing is replayed, so that what is there may be half of a change */
};

/* Checks the superblock, replays the journals (also for a read-only mount, when the device can be written),
 * loads what the mount needs, frees orphans (read-write only). `device` is copied. On failure *why is a
 * constant string of a few words; the details have been logged. */
int tarn_fs_open(const struct tarn_device *device, enum tarn_access access, struct tarn_fs **fs,
		 const char **why);
/* Ends it: everything durable in place when it could be. No inode may be open. */
void tarn_fs_close(struct tarn_fs *fs);
/* The administrator wants no further change: as after a failed flush, nothing is stored but what mappings have stored
 * already. What has returned is durable. Does not sleep. */
void tarn_fs_shut_down(struct tarn_fs *fs);
/* The device is gone: from now on nothing is stored, and tarn_fs_close will not touch the media. Does not
 * sleep. */
void tarn_fs_abandon(struct tarn_fs *fs);

/* Remount. To read-write: frees orphans; -EROFS when the device cannot be written, or damage was found since
 * mount. */
int tarn_fs_set_access(struct tarn_fs *fs, enum tarn_access access);
/* What finding damage does, beside failing the operation that meets it. At first TARN_DAMAGE_READ_ONLY. Damage of a journal
 * always makes the file system read-only. Does not sleep. */
enum tarn_damage { TARN_DAMAGE_READ_ONLY = 0, TARN_DAMAGE_CONTINUE = 1 };
void tarn_fs_set_on_damage(struct tarn_fs *fs, enum tarn_damage what);
/* True once changes are refused: mounted so, damage found, or shut down. Does not sleep. */
int tarn_fs_is_read_only(const struct tarn_fs *fs);

/* Every operation that has returned is durable. */
int tarn_fs_sync(struct tarn_fs *fs);
/* The same, and the media needs no replay: for freezing. */
int tarn_fs_settle(struct tarn_fs *fs);

struct tarn_statistics {
	unsigned long long blocks;	/* 4 KiB, of files and trees: without the fixed metadata */
	unsigned long long free;	/* reserve included */
	unsigned long long available;	/* for ordinary operations */
	unsigned long long inodes;	/* in use or possible */
	unsigned long long free_inodes; /* possible */
};
void tarn_fs_statistics(struct tarn_fs *fs, struct tarn_statistics *statistics);

/* The superblock's uuid (16 bytes, valid while mounted). Does not sleep. */
const unsigned char *tarn_fs_uuid(const struct tarn_fs *fs);

/* The label, NUL-terminated. */
#define TARN_LABEL_BYTES 64
void tarn_fs_label(struct tarn_fs *fs, char label[TARN_LABEL_BYTES]);
/* Durable on return. -EINVAL: longer than TARN_LABEL_BYTES - 1. */
int tarn_fs_set_label(struct tarn_fs *fs, const char *label);

/* Makes the file system `blocks` blocks large, or as large as the device was when it was mounted (0). -EINVAL: smaller than it
 * is; -ENOSPC: larger than the device; -EFBIG: larger than mkfs has left room for. */
int tarn_fs_grow(struct tarn_fs *fs, unsigned long long blocks);
/* Its size in blocks, all included. Does not sleep. */
unsigned long long tarn_fs_blocks(const struct tarn_fs *fs);

/* ---- inodes ------------------------------------------------------------------------------------------- */

#define TARN_ROOT_INODE 1ULL
#define TARN_LINK_MAX	0x7fffffffU
#define TARN_NAME_MAX	255

struct tarn_name {
	const char *bytes;
	unsigned int length; /* -ENAMETOOLONG from 256 on */
};

struct tarn_times {
	struct tarn_time access, modify, change;
};

struct tarn_attributes {
	unsigned long long number;
	unsigned long long size;   /* as in struct tarnfs_inode */
	unsigned long long blocks; /* 4 KiB */
	unsigned int generation;
	unsigned int mode; /* as in stat(2) */
	unsigned int uid;
	unsigned int gid;
	unsigned int links;
	unsigned int device; /* new_encode_dev */
	struct tarn_times times;
	struct tarn_time birth;
	unsigned int flags; /* TARNFS_INODE_* */
	unsigned int project;
};

/* Builds the object of inode `number`, which a directory entry names, and reads its attributes. -EUCLEAN:
 * damaged, or there is no such inode. */
int tarn_inode_open(struct tarn_fs *fs, unsigned long long number, struct tarn_inode *inode,
		    struct tarn_attributes *attributes);
/* The same for a number that a file handle names, with a generation (0: any). -ESTALE: there is no such inode, or it has no
 * name. */
int tarn_inode_open_handle(struct tarn_fs *fs, unsigned long long number, unsigned int generation,
			   struct tarn_inode *inode, struct tarn_attributes *attributes);
/* Destroys the object; the media keeps the inode. */
void tarn_inode_close(struct tarn_inode *inode);
/* Destroys the object of an inode without links and frees it: blocks, then number, in as many transactions as
 * it takes. Where that fails or changes are not allowed the inode stays an orphan, freed at the next
 * read-write mount. */
void tarn_inode_free(struct tarn_inode *inode);

/* The record as it is. The glue's VFS inode may know newer times (write, mkwrite, read). */
void tarn_inode_attributes(struct tarn_inode *inode, struct tarn_attributes *attributes);

/* ---- extended attributes */

enum tarn_xattr_space { TARN_XATTR_USER = 1, TARN_XATTR_TRUSTED, TARN_XATTR_SECURITY, TARN_XATTR_SYSTEM };
#define TARN_XATTR_VALUE_MAX 65536

struct tarn_xattr {
	unsigned char space;
	struct tarn_name name; /* 1..255 bytes, without the name space */
	const void *value;
	unsigned int size; /* -E2BIG above TARN_XATTR_VALUE_MAX */
};
enum tarn_xattr_how {
	TARN_XATTR_EITHER,  /* set it, whether it is there or not */
	TARN_XATTR_CREATE,  /* -EEXIST */
	TARN_XATTR_REPLACE, /* -ENODATA */
	TARN_XATTR_REMOVE,  /* -ENODATA */
	TARN_XATTR_CLEAR,   /* remove it, if it is there */
};
struct tarn_xattr_change {
	struct tarn_xattr xattr;
	enum tarn_xattr_how how;
};

/* True when the inode has any. */
int tarn_inode_has_xattrs(struct tarn_inode *inode);
/* Copies a value. Returns its length, with `size` 0 nothing else. -ENODATA, -ERANGE. */
int tarn_xattr_get(struct tarn_inode *inode, unsigned int space, struct tarn_name name, void *buffer,
		   unsigned int size);
/* One name as tarn_xattr_list packs it; they follow each other at multiples of 8 bytes. */
struct tarn_xattr_name {
	unsigned long long cookie; /* ascending; stays with the attribute */
	unsigned char space;
	unsigned char length;
	char name[];
};
/* Fills `buffer` (at least 512 bytes, 8-byte aligned) with the names from `cookie` (at first 0) on, as many as fit.
 * Returns the bytes used; 0 when there are no more. */
int tarn_xattr_list(struct tarn_inode *inode, unsigned long long cookie, void *buffer, unsigned int size);

/* Makes mode, uid, gid and times what `attributes` says (the type bits of mode stay) and changes an extended attribute
 * (none if `change` is NULL), in one transaction. */
int tarn_inode_set_attributes(struct tarn_inode *inode, const struct tarn_attributes *attributes,
			      const struct tarn_xattr_change *change);
/* Makes the flags that users may ask for, and the project, what is given, in one transaction; flags that the inode cannot
 * have are left out. */
int tarn_inode_set_flags(struct tarn_inode *inode, unsigned int flags, unsigned int project, struct tarn_time now);
/* A number that is larger after each change of the inode or its contents, over remounts and crashes too. Durable when it is
 * returned, so there may be a record to write: with freeze protection held. -EROFS, -EIO: that cannot be. */
int tarn_inode_query_version(struct tarn_inode *inode, unsigned long long *version);
/* Makes the times durable: for times that were only kept in the VFS inode. */
int tarn_inode_write_times(struct tarn_inode *inode, const struct tarn_times *times);
/* Copies a symlink's target, no NUL. Returns its length, which is 1..`size`, or a negative errno. */
int tarn_inode_read_link(struct tarn_inode *inode, char *buffer, unsigned int size);

/* ---- directories: each change is one transaction, durable on return ----------------------------------- */

/* *number of the entry. -ENOENT: none. */
int tarn_dir_find(struct tarn_inode *dir, struct tarn_name name, unsigned long long *number);

struct tarn_new_inode {
	unsigned int mode; /* with type */
	unsigned int uid;
	unsigned int gid;
	unsigned int device;	 /* character and block devices: new_encode_dev */
	struct tarn_name target; /* symlinks: 1..4095 bytes */
	struct tarn_time now;
	const struct tarn_xattr *xattrs; /* that it is made with, each name once */
	unsigned int xattr_count;
};
/* Makes an inode of any type and its entry; builds its object in `child` (untouched on error). */
int tarn_dir_create(struct tarn_inode *dir, struct tarn_name name, const struct tarn_new_inode *what,
		    struct tarn_inode *child, struct tarn_attributes *attributes);
/* Makes a regular file near `dir` that has no name: an orphan, until tarn_dir_link gives it one. */
int tarn_dir_create_nameless(struct tarn_inode *dir, const struct tarn_new_inode *what, struct tarn_inode *child,
			     struct tarn_attributes *attributes);
/* Another name for `inode` (not a directory), or a first one where the caller knows that it may have one. -EMLINK. -EXDEV, of
 * tarn_dir_rename and tarn_dir_exchange too: the directory takes inodes of its own project only. */
int tarn_dir_link(struct tarn_inode *dir, struct tarn_name name, struct tarn_inode *inode,
		  struct tarn_time now);
/* Removes `name`, which names `inode`; a directory must be empty (-ENOTEMPTY). With the last link the inode
 * becomes an orphan: tarn_inode_free it when it is no longer open. */
int tarn_dir_unlink(struct tarn_inode *dir, struct tarn_name name, struct tarn_inode *inode,
		    struct tarn_time now);

struct tarn_rename {
	struct tarn_inode *from_dir;
	struct tarn_name from;
	struct tarn_inode *to_dir; /* may be from_dir */
	struct tarn_name to;
	struct tarn_inode *moved;  /* what `from` names */
	struct tarn_inode *target; /* what `to` names, or NULL; loses that name as by tarn_dir_unlink */
	struct tarn_time now;
	const struct tarn_new_inode *left; /* NULL, or what `from` names afterwards: no directory, no symlink */
};
/* The caller has made sure that `moved` is not above to_dir and is another inode than `target`. */
int tarn_dir_rename(const struct tarn_rename *rename);
/* `moved` and `target`, which is there, change names. Nor is `target` above from_dir. */
int tarn_dir_exchange(const struct tarn_rename *rename);

/* The number of the directory that `dir` is in; the root's is its own. */
unsigned long long tarn_dir_parent(struct tarn_inode *dir);

/* One entry as tarn_dir_read packs it; entries follow each other at multiples of 8 bytes. */
struct tarn_dir_entry {
	unsigned long long cookie; /* >= TARN_COOKIE_FIRST, ascending; stays with the entry */
	unsigned long long number;
	unsigned char type; /* DT_* */
	unsigned char length;
	char name[];
};
#define TARN_COOKIE_FIRST 65536ULL
/* Fills `buffer` (at least 512 bytes, 8-byte aligned) with the entries from `cookie` on, as many as fit.
 * Returns the bytes used; 0 when there are no more. */
int tarn_dir_read(struct tarn_inode *dir, unsigned long long cookie, void *buffer, unsigned int size);

#ifdef __cplusplus
}
#endif
#endif
