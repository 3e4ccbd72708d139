// SPDX-License-Identifier: GPL-2.0
// Every size and offset of the media format, asserted on one page. A change here is a change of format.
#pragma once
#include <cstddef>

extern "C" {
#include "tarnfs/bitmap.h"
#include "tarnfs/dirent.h"
#include "tarnfs/extent.h"
#include "tarnfs/inode.h"
#include "tarnfs/journal.h"
#include "tarnfs/node.h"
#include "tarnfs/superblock.h"
#include "tarnfs/xattr.h"
}

#define TARN_SIZE(type, bytes) static_assert(sizeof(type) == (bytes))
#define TARN_AT(type, field, offset) static_assert(offsetof(type, field) == (offset))

TARN_SIZE(tarnfs_superblock, 4096);
TARN_AT(tarnfs_superblock, magic, 0);
TARN_AT(tarnfs_superblock, crc, 8);
TARN_AT(tarnfs_superblock, version, 12);
TARN_AT(tarnfs_superblock, uuid, 16);
TARN_AT(tarnfs_superblock, label, 32);
TARN_AT(tarnfs_superblock, compat, 96);
TARN_AT(tarnfs_superblock, ro_compat, 104);
TARN_AT(tarnfs_superblock, incompat, 112);
TARN_AT(tarnfs_superblock, blocks, 120);
TARN_AT(tarnfs_superblock, created, 128);
TARN_AT(tarnfs_superblock, hash_seed, 136);
TARN_AT(tarnfs_superblock, journal_start, 152);
TARN_AT(tarnfs_superblock, journals, 160);
TARN_AT(tarnfs_superblock, journal_blocks, 164);
TARN_AT(tarnfs_superblock, bitmap_start, 168);
TARN_AT(tarnfs_superblock, groups, 176);
TARN_AT(tarnfs_superblock, system_block, 184);
TARN_AT(tarnfs_superblock, first_data, 192);
TARN_AT(tarnfs_superblock, replica, 200);

TARN_SIZE(tarnfs_bitmap, 4096);
TARN_AT(tarnfs_bitmap, kind, 4);
TARN_AT(tarnfs_bitmap, index, 8);
TARN_AT(tarnfs_bitmap, bits, 16);
TARN_AT(tarnfs_bitmap, set, 20);
TARN_AT(tarnfs_bitmap, words, 64);

TARN_SIZE(tarnfs_inode, TARNFS_INODE_BYTES);
TARN_AT(tarnfs_inode, crc, 4);
TARN_AT(tarnfs_inode, number, 8);
TARN_AT(tarnfs_inode, generation, 16);
TARN_AT(tarnfs_inode, mode, 20);
TARN_AT(tarnfs_inode, uid, 24);
TARN_AT(tarnfs_inode, gid, 28);
TARN_AT(tarnfs_inode, links, 32);
TARN_AT(tarnfs_inode, flags, 36);
TARN_AT(tarnfs_inode, size, 40);
TARN_AT(tarnfs_inode, blocks, 48);
TARN_AT(tarnfs_inode, atime, 56);
TARN_AT(tarnfs_inode, mtime, 64);
TARN_AT(tarnfs_inode, ctime, 72);
TARN_AT(tarnfs_inode, btime, 80);
TARN_AT(tarnfs_inode, atime_ns, 88);
TARN_AT(tarnfs_inode, mtime_ns, 92);
TARN_AT(tarnfs_inode, ctime_ns, 96);
TARN_AT(tarnfs_inode, btime_ns, 100);
TARN_AT(tarnfs_inode, parent, 104);
TARN_AT(tarnfs_inode, device, 112);
TARN_AT(tarnfs_inode, project, 116);
TARN_AT(tarnfs_inode, version, 120);
TARN_AT(tarnfs_inode, attributes, 128);
TARN_AT(tarnfs_inode, root, 136);

TARN_SIZE(tarnfs_node, 16);
TARN_AT(tarnfs_node, kind, 2);
TARN_AT(tarnfs_node, level, 3);
TARN_AT(tarnfs_node, count, 4);
TARN_AT(tarnfs_node, heap, 6);
TARN_AT(tarnfs_node, dead, 8);
TARN_AT(tarnfs_node, generation, 12);
TARN_SIZE(tarnfs_block_node, 32);
TARN_AT(tarnfs_block_node, owner, 16);
TARN_AT(tarnfs_block_node, self, 24);
TARN_SIZE(tarnfs_child_item, 16);
TARN_SIZE(tarnfs_extent_item, 16);
TARN_AT(tarnfs_dirent_item, inode, 8);
TARN_AT(tarnfs_dirent_item, type, 16);
TARN_AT(tarnfs_dirent_item, name_length, 17);
TARN_AT(tarnfs_dirent_item, name, 18);
TARN_AT(tarnfs_xattr_item, space, 8);
TARN_AT(tarnfs_xattr_item, name_length, 9);
TARN_AT(tarnfs_xattr_item, value_length, 12);
TARN_AT(tarnfs_xattr_item, name, 16);

TARN_SIZE(tarnfs_journal_slot, 64);
TARN_AT(tarnfs_journal_slot, uuid, 8);
TARN_AT(tarnfs_journal_slot, journal, 24);
TARN_AT(tarnfs_journal_slot, lap, 28);
TARN_AT(tarnfs_journal_slot, floor, 32);
TARN_AT(tarnfs_journal_slot, tail, 40);
TARN_AT(tarnfs_journal_slot, update, 48);
TARN_SIZE(tarnfs_record, 48);
TARN_AT(tarnfs_record, bytes, 8);
TARN_AT(tarnfs_record, used, 12);
TARN_AT(tarnfs_record, sequence, 16);
TARN_AT(tarnfs_record, lap, 24);
TARN_AT(tarnfs_record, journal, 28);
TARN_AT(tarnfs_record, uuid, 32);

#undef TARN_SIZE
#undef TARN_AT
