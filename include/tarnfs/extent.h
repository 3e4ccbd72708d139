/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * An extent: leaf item of a block map. Key: first file block. Value: packed device block, length, state.
 * SPEC.md, "Block maps".
 */
#ifndef TARNFS_EXTENT_H
#define TARNFS_EXTENT_H

#include "tarnfs/types.h"

#define TARNFS_EXTENT_BLOCK_BITS 44
#define TARNFS_EXTENT_LENGTH_BITS 19
#define TARNFS_EXTENT_MAX_LENGTH ((1u << TARNFS_EXTENT_LENGTH_BITS) - 1) /* blocks: just under 2 GiB */

struct tarnfs_extent_item {
	tarn_u64 key;   /* first file block */
	tarn_u64 value; /* bits 0..43 device block, 44..62 length in blocks (1..), 63 unwritten */
};

#endif
