// SPDX-License-Identifier: GPL-2.0
// Checker: the inode table: which groups and chunks of inodes exist, where they are, which numbers are in
// use.
#include "fs/check/checker.hpp"
#include "fs/inode/group.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

namespace {

// A record that its checksum vouches for.
bool is_good(const tarnfs_inode& inode, u64 number)
{
    return inode.magic == TARNFS_INODE_MAGIC && inode.number == number &&
           inode.crc == structure_crc(&inode, sizeof(inode), offsetof(tarnfs_inode, crc));
}

const tarnfs_inode& inode_at(const Media& media, DeviceBlock block, u32 slot)
{
    return reinterpret_cast<const tarnfs_inode*>(media.at(block))[slot];
}

}  // namespace

void Checker::table_problem(bool approved)
{
    if (repair_)
        (approved ? repair_->table_cut : repair_->table_refused) = true;
}

Status Checker::add_groups(u64 count)
{
    while (groups_.size() < count) {
        Box<Group> fresh = TRY(Box<Group>::create());
        TRY(groups_.push(std::move(fresh)));
    }
    return Ok{};
}

// Notes where a block of the table is, in a group that exists.
Status Checker::place_block(FileBlock at, DeviceBlock block)
{
    Group& group = *groups_[at.value / TARNFS_INODE_GROUP_BLOCKS];
    const u32 within = static_cast<u32>(at.value % TARNFS_INODE_GROUP_BLOCKS);
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

// One block of the table. Groups come in ascending order and without gaps.
Status Checker::table_block(FileBlock at, DeviceBlock block)
{
    const u64 index = at.value / TARNFS_INODE_GROUP_BLOCKS;
    const u64 within = at.value % TARNFS_INODE_GROUP_BLOCKS;
    if (index > groups_.size() || (index == groups_.size() && within != 0)) {
        const bool approved =
            problem(Fix::kTable, "inode table: file block %llu: inode group %llu has no inode bitmap",
                    at.value, index);
        table_problem(approved);
        if (!approved || index >= most_groups())
            return Ok{};
    }
    TRY(add_groups(index + 1));
    return place_block(at, block);
}

Status Checker::table_extent(const Extent& extent)
{
    if (extent.first < table_end_ || extent.unwritten) {
        table_problem(problem(Fix::kTable,
                              "inode table: file block %llu: extent overlaps another or is unwritten",
                              extent.first.value));
        return Ok{};
    }
    table_end_ = extent.end();
    summary_.extents++;
    // A block that is mapped twice is not looked into a second time: that bounds the number of inodes.
    bool approved = false;
    if (!TRY(own(TARNFS_INO_TABLE, extent.run(), "data", &approved))) {
        table_problem(approved);
        return Ok{};
    }
    summary_.table_blocks += extent.count;
    for (u64 i = 0; i < extent.count; i++)
        TRY(table_block(extent.first + i, extent.device + i));
    return Ok{};
}

// Chunks come and go whole.
void Checker::check_chunks(u64 index)
{
    for (u32 chunk = 0; chunk < kChunksPerGroup; chunk++) {
        const Chunk* known = groups_[index]->chunks[chunk].get();
        u32 mapped = 0;
        for (u32 i = 0; known && i < kChunkBlocks; i++)
            mapped += known->blocks[i] != DeviceBlock(0);
        if (known && mapped != kChunkBlocks)
            table_problem(problem(Fix::kTable,
                                  "inode table: inodes %llu-%llu: not all of their blocks are there",
                                  index * TARNFS_BITMAP_BITS + chunk * TARNFS_INODE_CHUNK,
                                  index * TARNFS_BITMAP_BITS + (chunk + 1) * TARNFS_INODE_CHUNK - 1));
    }
}

// True when a bit that is set has to go.
bool Checker::mark_numbers(u64 index, DeviceBlock block, InodeFacts::Flag flag)
{
    bool store = false;
    const tarnfs_bitmap& bitmap = bitmap_at(block);
    for (u32 bit = 0; (bit = bits::find(bitmap.words, bit, TARNFS_BITMAP_BITS, 1)) < TARNFS_BITMAP_BITS;
         bit++) {
        const u64 number = index * TARNFS_BITMAP_BITS + bit;
        InodeFacts* known = facts(number);
        if (!known || !record(number))
            store |= problem(Fix::kBitmap, "inode %llu: marked %s, but the table has no block for it", number,
                             flag == InodeFacts::kOrphan ? "as an orphan" : "in use");
        else if (flag == InodeFacts::kOrphan && !known->is(InodeFacts::kInUse))
            store |= problem(Fix::kBitmap, "inode %llu: marked as an orphan, but not in use", number);
        else
            known->flags |= flag;
    }
    return store;
}

// The inode bitmap says nothing: what has a good record is in use.
void Checker::believe_records(u64 index)
{
    for (u32 i = 0; i < TARNFS_BITMAP_BITS; i++) {
        const u64 number = index * TARNFS_BITMAP_BITS + i;
        InodeFacts* known = facts(number);
        if (!known) {
            i += TARNFS_INODE_CHUNK - 1;
            continue;
        }
        const tarnfs_inode* inode = record(number);
        if (number == TARNFS_INO_TABLE || (inode && is_good(*inode, number)))
            known->flags |= InodeFacts::kInUse;
    }
}

void Checker::check_free_record(u64 number, InodeFacts& known, const tarnfs_inode& inode)
{
    if (inode.magic != TARNFS_INODE_MAGIC) {
        if (problem(Fix::kRecord, "inode %llu: not in use, but its record is not empty", number))
            clear_inode(number, inode);
        return;
    }
    const bool good = is_good(inode, number);
    if (!problem(good ? Fix::kBitmap : Fix::kRecord, "inode %llu: has a record, but is not marked in use",
                 number))
        return;
    if (good)
        set_in_use(number, known);
    else
        clear_inode(number, inode);
}

// Records of numbers that are not in use must not look as if they were.
void Checker::check_free_records(u64 index)
{
    for (u32 i = 0; i < TARNFS_BITMAP_BITS; i++) {
        const u64 number = index * TARNFS_BITMAP_BITS + i;
        InodeFacts* known = facts(number);
        if (!known) {
            i += TARNFS_INODE_CHUNK - 1;
            continue;
        }
        const tarnfs_inode* inode = known->is(InodeFacts::kInUse) ? nullptr : record(number);
        if (inode && inode->magic != 0)
            check_free_record(number, *known, *inode);
    }
}

// A bitmap that is missing is made with the new table (rebuild.cpp).
void Checker::read_group_bitmaps(u64 index)
{
    Group& group = *groups_[index];
    if (group.inode_bitmap != DeviceBlock(0) &&
        check_bitmap(group.inode_bitmap, TARNFS_BITMAP_INODES, index, TARNFS_BITMAP_BITS, "inode bitmap",
                     &group.store_inodes)) {
        group.store_inodes |= mark_numbers(index, group.inode_bitmap, InodeFacts::kInUse);
        check_free_records(index);
    } else if (repair_) {
        believe_records(index);
    }
    if (group.orphan_bitmap == DeviceBlock(0))
        table_problem(problem(Fix::kTable, "inode table: inode group %llu has no orphan bitmap", index));
    else if (check_bitmap(group.orphan_bitmap, TARNFS_BITMAP_ORPHANS, index, TARNFS_BITMAP_BITS,
                          "orphan bitmap", &group.store_orphans))
        group.store_orphans |= mark_numbers(index, group.orphan_bitmap, InodeFacts::kOrphan);
}

void Checker::check_table_record(const tarnfs_inode& inode)
{
    bool repair = false;
    if (inode.magic != TARNFS_INODE_MAGIC || inode.number != TARNFS_INO_TABLE)
        repair = problem(Fix::kRecord, "block %llu: no inode of the inode table", layout_.system_block.value);
    else if (inode.crc != structure_crc(&inode, sizeof(inode), offsetof(tarnfs_inode, crc)))
        repair = problem(Fix::kRecord, "block %llu: inode of the inode table: wrong checksum",
                         layout_.system_block.value);
    else if (const char* defect = table_record_defect(inode))
        repair = problem(Fix::kRecord, "block %llu: inode of the inode table: %s", layout_.system_block.value,
                         defect);
    if (repair)
        repair_table_record(inode);
}

Status Checker::table()
{
    const tarnfs_inode& inode = inode_at(media_, layout_.system_block, 0);
    check_table_record(inode);
    TRY(walk_table(inode));
    for (u64 index = 0; index < groups_.size(); index++)
        check_chunks(index);
    if (repair_ && repair_->table_cut)
        TRY(search_table());
    for (u64 index = 0; index < groups_.size(); index++)
        read_group_bitmaps(index);
    InodeFacts* table = facts(TARNFS_INO_TABLE);
    if (!table || !table->is(InodeFacts::kInUse))
        if (problem(Fix::kBitmap, "inode %u: the inode table's own number is not marked in use",
                    TARNFS_INO_TABLE) &&
            table)
            set_in_use(TARNFS_INO_TABLE, *table);
    return Ok{};
}

Status Checker::walk_table(const tarnfs_inode& inode)
{
    const TreeRoot root{address_of(layout_.system_block), InodeNumber(TARNFS_INO_TABLE), inode.generation,
                        TARNFS_TREE_EXTENTS};
    Walked walked;
    bool approved = false;
    for (TreeWalk<ExtentKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            TRY(table_extent(unpack_extent(event->item.key, load<u64>(event->item.payload.data()))));
        } else if (event->what == WalkEvent::What::kDamage) {
            table_problem(
                problem(Fix::kTable, "inode table: block %llu: %s", event->block.value, event->damage));
            walked.damaged = true;
        } else {
            walked.nodes++;
            if (repair_)
                TRY(repair_->table_nodes.push(event->block));
            if (TRY(own(TARNFS_INO_TABLE, Run{event->block, 1}, "tree node", &approved)))
                continue;
            table_problem(approved);
            walk.skip();
        }
    }
    summary_.node_blocks += walked.nodes;
    walked.data = summary_.table_blocks;
    walked.damaged |= repair_ && repair_->table_cut;
    if (!walked.damaged)
        check_blocks_field(TARNFS_INO_TABLE, inode, walked.data + walked.nodes);
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
