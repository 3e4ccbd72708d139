// SPDX-License-Identifier: GPL-2.0
// Checker: the inode table: which groups and chunks of inodes exist, where they are, which numbers are in
// use.
#include "fs/check/checker.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

namespace {

const tarnfs_inode& inode_at(const Media& media, DeviceBlock block, u32 slot)
{
    return reinterpret_cast<const tarnfs_inode*>(media.at(block))[slot];
}

}  // namespace

// One block of the table. Groups come in ascending order and without gaps.
Status Checker::table_block(FileBlock at, DeviceBlock block)
{
    const u64 index = at.value / TARNFS_INODE_GROUP_BLOCKS;
    const u32 within = static_cast<u32>(at.value % TARNFS_INODE_GROUP_BLOCKS);
    if (index > groups_.size() || (index == groups_.size() && within != 0)) {
        problem("inode table: file block %llu: inode group %llu has no inode bitmap", at.value, index);
        return Ok{};
    }
    if (index == groups_.size()) {
        Box<Group> fresh = TRY(Box<Group>::create());
        TRY(groups_.push(std::move(fresh)));
    }
    Group& group = *groups_[index];
    if (within == 0) {
        group.inode_bitmap = block;
    } else if (within == 1) {
        group.orphan_bitmap = block;
    } else {
        const u32 inodes = within - TARNFS_INODE_GROUP_HEADER;
        Box<Chunk>& chunk = group.chunks[inodes / kChunkBlocks];
        if (!chunk)
            chunk = TRY(Box<Chunk>::create());
        chunk->blocks[inodes % kChunkBlocks] = block;
        summary_.inode_slots += TARNFS_INODES_PER_BLOCK;
    }
    return Ok{};
}

Status Checker::table_extent(const Extent& extent)
{
    if (extent.first < table_end_ || extent.unwritten) {
        problem("inode table: file block %llu: extent overlaps another or is unwritten", extent.first.value);
        return Ok{};
    }
    table_end_ = extent.end();
    summary_.extents++;
    // A block that is mapped twice is not looked into a second time: that bounds the number of inodes.
    if (!TRY(own(TARNFS_INO_TABLE, extent.run(), "data")))
        return Ok{};
    summary_.table_blocks += extent.count;
    for (u64 i = 0; i < extent.count; i++)
        TRY(table_block(extent.first + i, extent.device + i));
    return Ok{};
}

void Checker::mark_numbers(u64 index, DeviceBlock block, InodeFacts::Flag flag)
{
    const tarnfs_bitmap& bitmap = bitmap_at(block);
    for (u32 bit = 0; (bit = bits::find(bitmap.words, bit, TARNFS_BITMAP_BITS, 1)) < TARNFS_BITMAP_BITS;
         bit++) {
        const u64 number = index * TARNFS_BITMAP_BITS + bit;
        InodeFacts* known = facts(number);
        if (!known || !record(number))
            problem("inode %llu: marked %s, but the table has no block for it", number,
                    flag == InodeFacts::kOrphan ? "as an orphan" : "in use");
        else if (flag == InodeFacts::kOrphan && !known->is(InodeFacts::kInUse))
            problem("inode %llu: marked as an orphan, but not in use", number);
        else
            known->flags |= flag;
    }
}

// Records of numbers that are not in use must not look as if they were.
void Checker::check_free_records(u64 index)
{
    for (u32 i = 0; i < TARNFS_BITMAP_BITS; i++) {
        const u64 number = index * TARNFS_BITMAP_BITS + i;
        const InodeFacts* known = facts(number);
        if (!known) {
            i += TARNFS_INODE_CHUNK - 1;
            continue;
        }
        const tarnfs_inode* inode = known->is(InodeFacts::kInUse) ? nullptr : record(number);
        if (inode && inode->magic == TARNFS_INODE_MAGIC)
            problem("inode %llu: has a record, but is not marked in use", number);
        else if (inode && inode->magic != 0)
            problem("inode %llu: not in use, but its record is not empty", number);
    }
}

void Checker::read_group_bitmaps(u64 index)
{
    const Group& group = *groups_[index];
    if (check_bitmap(group.inode_bitmap, TARNFS_BITMAP_INODES, index, TARNFS_BITMAP_BITS, "inode bitmap")) {
        mark_numbers(index, group.inode_bitmap, InodeFacts::kInUse);
        check_free_records(index);
    }
    if (group.orphan_bitmap == DeviceBlock(0))
        problem("inode table: inode group %llu has no orphan bitmap", index);
    else if (check_bitmap(group.orphan_bitmap, TARNFS_BITMAP_ORPHANS, index, TARNFS_BITMAP_BITS,
                          "orphan bitmap"))
        mark_numbers(index, group.orphan_bitmap, InodeFacts::kOrphan);
}

Status Checker::table()
{
    const tarnfs_inode& inode = inode_at(media_, layout_.system_block, 0);
    if (inode.magic != TARNFS_INODE_MAGIC || inode.number != TARNFS_INO_TABLE)
        problem("block %llu: no inode of the inode table", layout_.system_block.value);
    else if (inode.crc != structure_crc(&inode, sizeof(inode), offsetof(tarnfs_inode, crc)))
        problem("block %llu: inode of the inode table: wrong checksum", layout_.system_block.value);
    TRY(walk_table(inode));
    for (u64 index = 0; index < groups_.size(); index++)
        read_group_bitmaps(index);
    const InodeFacts* table = facts(TARNFS_INO_TABLE);
    if (!table || !table->is(InodeFacts::kInUse))
        problem("inode %u: the inode table's own number is not marked in use", TARNFS_INO_TABLE);
    return Ok{};
}

Status Checker::walk_table(const tarnfs_inode& inode)
{
    Walked walked;
    const TreeRoot root{address_of(layout_.system_block), InodeNumber(TARNFS_INO_TABLE), inode.generation,
                        TARNFS_TREE_EXTENTS};
    for (TreeWalk<ExtentKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            TRY(table_extent(unpack_extent(event->item.key, load<u64>(event->item.payload.data()))));
        } else if (event->what == WalkEvent::What::kDamage) {
            problem("inode table: block %llu: %s", event->block.value, event->damage);
            walked.damaged = true;
        } else {
            walked.nodes++;
            if (!TRY(own(TARNFS_INO_TABLE, Run{event->block, 1}, "tree node")))
                walk.skip();
        }
    }
    summary_.node_blocks += walked.nodes;
    walked.data = summary_.table_blocks;
    check_blocks_field(TARNFS_INO_TABLE, inode, walked);
    return Ok{};
}

const tarnfs_inode* Checker::record(u64 number) const
{
    const u64 index = number / TARNFS_BITMAP_BITS;
    const u32 within = static_cast<u32>(number % TARNFS_BITMAP_BITS);
    if (index >= groups_.size())
        return nullptr;
    const Chunk* chunk = groups_[index]->chunks[within / TARNFS_INODE_CHUNK].get();
    if (!chunk)
        return nullptr;
    const DeviceBlock block = chunk->blocks[within % TARNFS_INODE_CHUNK / TARNFS_INODES_PER_BLOCK];
    return block == DeviceBlock(0) ? nullptr : &inode_at(media_, block, within % TARNFS_INODES_PER_BLOCK);
}

InodeFacts* Checker::facts(u64 number)
{
    const u64 index = number / TARNFS_BITMAP_BITS;
    const u32 within = static_cast<u32>(number % TARNFS_BITMAP_BITS);
    if (index >= groups_.size())
        return nullptr;
    Chunk* chunk = groups_[index]->chunks[within / TARNFS_INODE_CHUNK].get();
    return chunk ? &chunk->facts[within % TARNFS_INODE_CHUNK] : nullptr;
}

}  // namespace tarn
