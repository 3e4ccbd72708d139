/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * An inode: 256 bytes. The inode table is itself a file (its inode is in the system block); inode group g occupies
 * its blocks [g * TARNFS_INODE_GROUP_BLOCKS, ...): inode bitmap, orphan bitmap, then the inodes. SPEC.md, "Inodes".
 */
#ifndef TARNFS_INODE_H
#define TARNFS_INODE_H

#include "tarnfs/bitmap.h"
#include "tarnfs/types.h"

#define TARNFS_INODE_MAGIC 0x444f4e49 /* "INOD" */
#define TARNFS_INODE_BYTES 256
#define TARNFS_INODES_PER_BLOCK (TARNFS_BLOCK_SIZE / TARNFS_INODE_BYTES)
#define TARNFS_INODE_GROUP_HEADER 2 /* blocks: inode bitmap, orphan bitmap */
#define TARNFS_INODE_GROUP_BLOCKS (TARNFS_INODE_GROUP_HEADER + TARNFS_BITMAP_BITS / TARNFS_INODES_PER_BLOCK)
#define TARNFS_INODE_CHUNK 64 /* inodes whose blocks are allocated together: one bitmap word, 4 blocks */

#define TARNFS_INO_TABLE 0 /* number stored in the inode table's own record (system block, slot 0) */
#define TARNFS_INO_ROOT 1

#define TARNFS_ROOT_BYTES 120   /* the embedded root node (node.h) or an inline symlink target */
#define TARNFS_LINK_MAX 0x7fffffff

struct tarnfs_inode {
	tarn_u32 magic;
	tarn_u32 crc;        /* CRC-32C of the 256 bytes with this field zero */
	tarn_u64 number;
	tarn_u32 generation; /* changes each time the number is reused */
	tarn_u16 mode;       /* type and permissions as in stat(2) */
	tarn_u16 reserved0;
	tarn_u32 uid;
	tarn_u32 gid;
	tarn_u32 links;      /* 0: orphan */
	tarn_u32 flags;      /* TARNFS_INODE_* */
	tarn_u64 size;       /* bytes; directories: number of entries; symlinks: length of the target */
	tarn_u64 blocks;     /* blocks allocated to it: data, tree nodes, values of extended attributes */
	tarn_s64 atime, mtime, ctime, btime; /* seconds since the epoch */
	tarn_u32 atime_ns, mtime_ns, ctime_ns, btime_ns;
	tarn_u64 parent;     /* directories: the parent's number (".."); otherwise 0 */
	tarn_u32 device;     /* device nodes: as the kernel's new_encode_dev */
	tarn_u32 project;
	tarn_u64 version;    /* change counter, TARNFS_VERSION_SEEN */
	tarn_u64 attributes; /* block of the attribute tree's root (xattr.h); 0: there is none */
	tarn_u8 root[TARNFS_ROOT_BYTES];
};

#define TARNFS_INODE_INLINE_LINK 0x001u /* symlink whose target is in root[] */
/* Asked for by users: chattr(1). */
#define TARNFS_INODE_SYNC 0x002u
#define TARNFS_INODE_IMMUTABLE 0x004u
#define TARNFS_INODE_APPEND 0x008u
#define TARNFS_INODE_NODUMP 0x010u
#define TARNFS_INODE_NOATIME 0x020u
#define TARNFS_INODE_DIRSYNC 0x040u
#define TARNFS_INODE_PROJECT_INHERITED 0x080u /* directories: what is made in them gets their project */
#define TARNFS_INODE_DAX 0x100u               /* kept and inherited, without effect: all access is DAX */
#define TARNFS_INODE_USER_FLAGS 0x1feu
#define TARNFS_INODE_FLAGS (TARNFS_INODE_INLINE_LINK | TARNFS_INODE_USER_FLAGS)

#define TARNFS_VERSION_SEEN 1ull /* in version: somebody has asked for it */

#endif
