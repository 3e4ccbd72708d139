/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * A tree node: either a whole block, or the embedded root in an inode (TARNFS_ROOT_BYTES); an attribute tree's root is a
 * block. Slotted: an array of
 * 16-bit item offsets in key order grows up from the header, items (key, payload) are stored from the end downwards,
 * so an insertion moves offsets, not items. SPEC.md, "Trees".
 */
#ifndef TARNFS_NODE_H
#define TARNFS_NODE_H

#include "tarnfs/types.h"

#define TARNFS_NODE_MAGIC 0x5254 /* "TR" */
#define TARNFS_TREE_EXTENTS 1
#define TARNFS_TREE_DIRECTORY 2
#define TARNFS_TREE_ATTRIBUTES 3
#define TARNFS_TREE_MAX_LEVEL 8

struct tarnfs_node { /* 16 bytes: all of the header of an embedded root */
	tarn_u16 magic;
	tarn_u8 kind;    /* TARNFS_TREE_* */
	tarn_u8 level;   /* 0: leaf */
	tarn_u16 count;  /* slots in use */
	tarn_u16 heap;   /* offset of the lowest item byte in use; the node's size when there is none */
	tarn_u16 dead;   /* bytes in [heap, size) that belong to no item */
	tarn_u16 reserved;
	tarn_u32 generation; /* of the owning inode */
};

struct tarnfs_block_node { /* 32 bytes: header of a block node; slots follow */
	struct tarnfs_node node;
	tarn_u64 owner;  /* inode number */
	tarn_u64 self;   /* its own block number */
};

/* An item: 8-byte aligned, key first. Leaf payloads are in extent.h, dirent.h and xattr.h; an internal payload is the child's
 * block number (8 bytes), and the item's key is the lowest key the child may hold: a node's first item has the key of
 * its parent's item, 0 in the root. */
struct tarnfs_item {
	tarn_u64 key;
};

struct tarnfs_child_item {
	tarn_u64 key;
	tarn_u64 block;
};

#endif
