/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * A bitmap block: one block that tracks TARNFS_BITMAP_BITS things. Three uses: blocks of a block group
 * (63 x 2 MiB), inode numbers of an inode group, orphans of an inode group. SPEC.md, "Bitmaps".
 */
#ifndef TARNFS_BITMAP_H
#define TARNFS_BITMAP_H

#include "tarnfs/types.h"

#define TARNFS_BITMAP_MAGIC 0x50414d42 /* "BMAP" */
#define TARNFS_BITMAP_BITS 32256       /* (4096 - 64) * 8 */

#define TARNFS_BITMAP_BLOCKS 1
#define TARNFS_BITMAP_INODES 2
#define TARNFS_BITMAP_ORPHANS 3

struct tarnfs_bitmap {
	tarn_u32 magic;
	tarn_u32 kind;       /* TARNFS_BITMAP_* */
	tarn_u64 index;      /* which group */
	tarn_u32 bits;       /* TARNFS_BITMAP_BITS; those of blocks behind the end of the file system are clear */
	tarn_u32 set;        /* bits set: derived, never logged; recovery recounts what it replays */
	tarn_u64 reserved[5];
	tarn_u64 words[504]; /* bit b is bit (b % 64) of words[b / 64]; set means in use */
};

#endif
