/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * A directory entry: leaf item of a directory tree. Key: bits 16..62 the name's hash (47 bits of SipHash-2-4 with the
 * superblock's seed), bits 0..15 a disambiguator among names of equal hash; keys below 65536 are never used, so that
 * a key serves as readdir position. "." and ".." are not stored. SPEC.md, "Directories".
 */
#ifndef TARNFS_DIRENT_H
#define TARNFS_DIRENT_H

#include "tarnfs/types.h"

#define TARNFS_NAME_MAX 255

struct tarnfs_dirent_item {
	tarn_u64 key;
	tarn_u64 inode;
	tarn_u8 type;        /* DT_* as in readdir(3) */
	tarn_u8 name_length; /* 1..255 */
	tarn_u8 name[];      /* no NUL; the item is zero-padded to a multiple of 8 */
};

#endif
