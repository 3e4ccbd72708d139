/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The superblock: what mkfs decided. Block 0, and a replica in what was the last block when it was made.
 * Changed only by mkfs, label change and grow; never by an ordinary operation, never logged.
 * SPEC.md, "Superblock".
 */
#ifndef TARNFS_SUPERBLOCK_H
#define TARNFS_SUPERBLOCK_H

#include "tarnfs/types.h"

#define TARNFS_SUPER_MAGIC 0x31302d53464e5254ULL /* the bytes "TRNFS-01" */
#define TARNFS_STATFS_MAGIC 0x5441524e           /* statfs f_type: "TARN" */
#define TARNFS_FORMAT_VERSION 1
#define TARNFS_LABEL_BYTES 64 /* including at least one NUL */
#define TARNFS_MAX_JOURNALS 64

/* Unknown bits refuse: incompat any mount; ro_compat a read-write mount; compat nothing. */
#define TARNFS_KNOWN_COMPAT 0ULL
#define TARNFS_KNOWN_RO_COMPAT 0ULL
#define TARNFS_KNOWN_INCOMPAT 0ULL

struct tarnfs_superblock {
	tarn_u64 magic;
	tarn_u32 crc;            /* CRC-32C of the 4096-byte block with this field zero */
	tarn_u32 version;        /* TARNFS_FORMAT_VERSION */
	tarn_u8 uuid[16];
	tarn_u8 label[TARNFS_LABEL_BYTES]; /* UTF-8, NUL padded */
	tarn_u64 compat;
	tarn_u64 ro_compat;
	tarn_u64 incompat;
	tarn_u64 blocks;         /* size of the file system in blocks */
	tarn_u64 created;        /* seconds since the epoch */
	tarn_u64 hash_seed[2];   /* SipHash key of directory name hashes */
	tarn_u64 journal_start;  /* first block of journal 0 */
	tarn_u32 journals;       /* 1..TARNFS_MAX_JOURNALS */
	tarn_u32 journal_blocks; /* blocks of each journal, its header block included */
	tarn_u64 bitmap_start;   /* first block of the group bitmap table, which has room up to first_data; block
	                            `bitmap_start + g` is group g's */
	tarn_u64 groups;         /* block groups: ceil(blocks / TARNFS_BITMAP_BITS) */
	tarn_u64 system_block;   /* block of system inodes: slot 0 is the inode table's inode */
	tarn_u64 first_data;     /* first block that is not fixed metadata */
	tarn_u64 replica;        /* block of the replica: the last one when the file system was made */
	tarn_u8 reserved[4096 - 208];
};

#endif
