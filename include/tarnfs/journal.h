/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The redo journals: each a header block followed by a ring of records. SPEC.md, "Journals and recovery".
 */
#ifndef TARNFS_JOURNAL_H
#define TARNFS_JOURNAL_H

#include "tarnfs/types.h"

#define TARNFS_JOURNAL_MAGIC 0x4c4e524a /* "JRNL" */
#define TARNFS_RECORD_MAGIC 0x44524352  /* "RCRD" */
#define TARNFS_RECORD_ALIGN 64
#define TARNFS_RECORD_MAX (128 * 1024) /* bytes of one record */
#define TARNFS_JOURNAL_MIN_BLOCKS 129  /* header + four records of the largest size */
#define TARNFS_JOURNAL_SLOTS 2
#define TARNFS_SEQUENCE_BITS 62 /* of sequence numbers, floors and updates: no device gets there */

/* Where a scan starts. Two slots, written in turn, each in a cache line of its own; the one with the higher floor and a
 * good CRC counts. Slot s is at byte 64 * s of the journal's first block. */
struct tarnfs_journal_slot {
	tarn_u32 magic;
	tarn_u32 crc;     /* CRC-32C of the 64 bytes with this field zero */
	tarn_u8 uuid[16];
	tarn_u32 journal; /* index */
	tarn_u32 lap;     /* lap of the record at `tail` */
	tarn_u64 floor;   /* every record of any journal with a lower sequence number is durable in place */
	tarn_u64 tail;    /* byte offset in the ring of the first record to scan */
	tarn_u64 update;  /* grows with every slot written in this journal: tells equal floors apart */
	tarn_u64 reserved;
};

struct tarnfs_record {
	tarn_u32 magic;
	tarn_u32 crc;      /* CRC-32C of the whole record with this field zero */
	tarn_u32 bytes;    /* header and operations, multiple of TARNFS_RECORD_ALIGN */
	tarn_u32 used;     /* bytes that carry content; the rest is zero */
	tarn_u64 sequence; /* global over all journals */
	tarn_u32 lap;      /* grows when the ring wraps and at every mount */
	tarn_u32 journal;  /* index */
	tarn_u8 uuid[16];
	/* operations follow, each 8-byte aligned */
};

/* An operation starts with one word: bits 0..3 kind, then by kind:
 *   WORDS  bits 4..12 first 8-byte word in the block, 13..21 count - 1, 22..63 block; count words follow
 *   ZERO   bits 22..63 block: the whole block becomes zero
 *   SET, CLEAR  bits 22..63 block of a bitmap; a second word: bits 0..31 first bit, 32..63 count
 */
#define TARNFS_OP_WORDS 1
#define TARNFS_OP_ZERO 2
#define TARNFS_OP_SET 3
#define TARNFS_OP_CLEAR 4

#define TARNFS_OP_BLOCK_SHIFT 22
#define TARNFS_OP_BLOCK_BITS 42

#endif
