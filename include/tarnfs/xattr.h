/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * An extended attribute: leaf item of an attribute tree, whose root is the block that tarnfs_inode.attributes names.
 * Key: bits 16..62 the hash of the name space's byte and the name, bits 0..15 a disambiguator, as in dirent.h. The
 * name is zero-padded so that what follows begins on a multiple of 8: a value of at most TARNFS_XATTR_INLINE bytes,
 * zero-padded as well, or else the numbers of the blocks that hold it. SPEC.md, "Extended attributes".
 */
#ifndef TARNFS_XATTR_H
#define TARNFS_XATTR_H

#include "tarnfs/types.h"

#define TARNFS_XATTR_NAME_MAX 255
#define TARNFS_XATTR_VALUE_MAX 65536
#define TARNFS_XATTR_INLINE 512

#define TARNFS_XATTR_USER 1
#define TARNFS_XATTR_TRUSTED 2
#define TARNFS_XATTR_SECURITY 3
#define TARNFS_XATTR_SYSTEM 4

struct tarnfs_xattr_item {
	tarn_u64 key;
	tarn_u8 space;       /* TARNFS_XATTR_* */
	tarn_u8 name_length; /* 1..255, without the name space */
	tarn_u16 reserved;
	tarn_u32 value_length;
	tarn_u8 name[];      /* no NUL */
};

#endif
