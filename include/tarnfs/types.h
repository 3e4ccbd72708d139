/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* Integer types of the media format. All values on the media are little-endian; tarnfs runs on little-endian
 * machines only (the kernel glue refuses to build elsewhere), so plain integers are used. */
#ifndef TARNFS_TYPES_H
#define TARNFS_TYPES_H

typedef unsigned char tarn_u8;
typedef unsigned short tarn_u16;
typedef unsigned int tarn_u32;
typedef unsigned long long tarn_u64;
typedef long long tarn_s64;

#define TARNFS_BLOCK_SIZE 4096 /* bytes; the unit of allocation and of every block number on the media */

#endif
