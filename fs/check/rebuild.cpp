// SPDX-License-Identifier: GPL-2.0
// Checker, repairing: what is done once it is known which blocks are owned: damaged trees are built anew from
// their good items, the inode table completed, the bitmaps written.
//
// Crash argument: see repair.hpp. A block is taken when its bitmap is good and calls it free and nothing has
// been found to own it; so what is stored there harms nothing. It is marked in use by a durable record and
// its contents are fenced before the record that swaps the tree's root. Old nodes are marked free behind
// that. Bitmaps, in place, come last. Without a free block a tree stays as it is until the next round, when
// what is not owned is free.
#include <cstring>

#include "fs/check/checker.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

namespace {

constexpr u32 kBitsPerStep = 512;  // operations in one record

}  // namespace

// ---- blocks -----------------------------------------------------------------------------------------------

Result<DeviceBlock> Checker::take_block()
{
    for (u64& index = repair_->free_group; index < layout_.groups; index++) {
        const tarnfs_bitmap& bitmap = bitmap_at(layout_.bitmap(index));
        if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.kind != TARNFS_BITMAP_BLOCKS ||
            bitmap.index != index)
            continue;
        const u64* owned = owners_.group(index);
        for (u32 word = 0; word < TARNFS_BITMAP_BITS / 64; word++) {
            const u64 free = ~(bitmap.words[word] | (owned ? owned[word] : 0));
            const u32 bit = free ? static_cast<u32>(__builtin_ctzll(free)) : 0;
            const Run run{DeviceBlock(index * TARNFS_BITMAP_BITS + word * 64 + bit), 1};
            if (!free || !layout_.is_data(run))
                continue;
            TRY(owners_.mark(run));
            return run.start;
        }
    }
    return Error::kNoSpace;
}

// Durable when it returns.
Status Checker::mark(const Vector<DeviceBlock, 16>& blocks, Mark what)
{
    for (usize done = 0; done < blocks.size();) {
        Transaction txn(volume_);
        for (u32 i = 0; i < kBitsPerStep && done < blocks.size(); i++, done++) {
            const DeviceBlock bitmap = layout_.bitmap(blocks[done].value / TARNFS_BITMAP_BITS);
            const u32 bit = static_cast<u32>(blocks[done].value % TARNFS_BITMAP_BITS);
            TRY(what == Mark::kInUse ? txn.set_bits(bitmap, bit, 1) : txn.clear_bits(bitmap, bit, 1));
        }
        TRY(txn.commit());
    }
    return Ok{};
}

// ---- trees ------------------------------------------------------------------------------------------------

// The record points to the new tree; what the old one used is free.
Status Checker::swap_root(Salvage& kept, const BuiltTree& built)
{
    TRY(mark(built.nodes, Mark::kInUse));
    TRY(volume_.media().fence());
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(kept.root.record));
    if (kept.root.kind == TARNFS_TREE_ATTRIBUTES)
        record.attributes = built.root_block.value;
    else
        memcpy(record.root, built.root, sizeof(record.root));
    record.blocks = kept.data + built.nodes.size() + kept.others;
    if (kept.root.kind == TARNFS_TREE_DIRECTORY)
        record.size = kept.items.size();
    note_change(record);
    TRY(txn.commit());
    for (const DeviceBlock& node : kept.nodes)
        owners_.disown(Run{node, 1});
    return mark(kept.nodes, Mark::kFree);
}

Status Checker::build_and_swap(Salvage& kept)
{
    auto built = TRY(Box<BuiltTree>::create());
    const BlockSource source{this, [](void* self) { return static_cast<Checker*>(self)->take_block(); }};
    TRY(build_tree(volume_.media(), kept.root, kept.items, source, *built));
    return swap_root(kept, *built);
}

Status Checker::rebuild_tree(Salvage& kept)
{
    const InodeFacts* known = facts(kept.root.owner.value);
    if (!known || !known->is(InodeFacts::kUsable))
        return Ok{};  // cleared since
    if (kept.root.kind != TARNFS_TREE_EXTENTS)
        kept.settle_names(layout_.hash_seed);
    else
        kept.items.sort();
    return build_and_swap(kept);
}

Status Checker::rebuild()
{
    auto done = [&](const Status& status) {
        if (status.error() != Error::kNoSpace)
            note(status);
    };
    if (repair_->table_cut && !repair_->table_refused)
        done(rebuild_table());
    for (Box<Salvage>& tree : repair_->trees) {
        if (repair_->failed.is_ok())
            done(rebuild_tree(*tree));
        tree.reset();
    }
    return Ok{};
}

// ---- the inode table --------------------------------------------------------------------------------------

// A block for what is missing; zeroes in it.
Status Checker::fill_gap(DeviceBlock& place, Vector<DeviceBlock, 16>& fresh)
{
    if (place != DeviceBlock(0))
        return Ok{};
    place = TRY(take_block());
    Media& media = volume_.media();
    media.zero(media.writable(place), kBlockSize);
    return fresh.push(place);
}

// Gives a group its bitmaps, and makes its chunks whole.
Status Checker::complete_group(Group& group, Vector<DeviceBlock, 16>& fresh)
{
    group.store_inodes |= group.inode_bitmap == DeviceBlock(0);
    group.store_orphans |= group.orphan_bitmap == DeviceBlock(0);
    TRY(fill_gap(group.inode_bitmap, fresh));
    TRY(fill_gap(group.orphan_bitmap, fresh));
    for (Box<Chunk>& chunk : group.chunks)
        for (u32 i = 0; chunk && i < kChunkBlocks; i++)
            TRY(fill_gap(chunk->blocks[i], fresh));
    return Ok{};
}

// Adds the extents that map a group's blocks.
Status Checker::keep_group(u64 index, Salvage& kept)
{
    Extent extent;
    auto push = [&]() -> Status {
        const u64 value = pack_extent(extent);
        kept.data += extent.count;
        return extent.count ? kept.items.add(extent.first.value,
                                             Bytes(reinterpret_cast<const byte*>(&value), sizeof value))
                            : Status(Ok{});
    };
    for (u64 i = 0; i < TARNFS_INODE_GROUP_BLOCKS; i++) {
        const FileBlock at(index * TARNFS_INODE_GROUP_BLOCKS + i);
        const DeviceBlock block = block_at(at);
        if (extent.count && block == extent.device + extent.count && at == extent.end()) {
            extent.count++;
            continue;
        }
        TRY(push());
        extent = block == DeviceBlock(0) ? Extent{} : Extent{at, 1, block};
    }
    return push();
}

Status Checker::rebuild_table()
{
    TRY(add_groups(1));
    if (!groups_[0]->chunks[0])
        groups_[0]->chunks[0] = TRY(Box<Chunk>::create());
    const auto& record = *reinterpret_cast<const tarnfs_inode*>(media_.at(layout_.system_block));
    const TreeRoot root{address_of(layout_.system_block), InodeNumber(TARNFS_INO_TABLE), record.generation,
                        TARNFS_TREE_EXTENTS};
    auto kept = TRY(Box<Salvage>::create(root));
    Vector<DeviceBlock, 16> fresh;
    for (u64 index = 0; index < groups_.size(); index++) {
        TRY(complete_group(*groups_[index], fresh));
        TRY(keep_group(index, *kept));
    }
    for (const DeviceBlock& node : repair_->table_nodes)
        TRY(kept->nodes.push(node));
    TRY(mark(fresh, Mark::kInUse));
    return build_and_swap(*kept);
}

// ---- bitmaps ----------------------------------------------------------------------------------------------

// In place; fenced at the end of the round.
Status Checker::store_bitmap(DeviceBlock block, u32 kind, u64 index, u32 bits, const u64* words)
{
    auto image = TRY(Array<tarnfs_bitmap>::create(1));
    tarnfs_bitmap& bitmap = image[0];
    bitmap.magic = TARNFS_BITMAP_MAGIC;
    bitmap.kind = kind;
    bitmap.index = index;
    bitmap.bits = TARNFS_BITMAP_BITS;
    memcpy(bitmap.words, words, sizeof(bitmap.words));
    bits::clear(bitmap.words, bits, TARNFS_BITMAP_BITS - bits);
    bitmap.set = bits::count_set(bitmap.words, bits);
    volume_.media().copy(volume_.media().writable(block), &bitmap, sizeof(bitmap));
    return Ok{};
}

// A block bitmap as its blocks are owned. While something has to stay as it is, what that would own is not
// known: then nothing becomes free.
Status Checker::store_group(u64 index, bool is_good)
{
    auto words = TRY(Array<u64>::create(TARNFS_BITMAP_BITS / 64));
    const u64* owned = owners_.group(index);
    const u64* marked = bitmap_at(layout_.bitmap(index)).words;
    for (usize i = 0; i < words.size(); i++) {
        words[i] = owned ? owned[i] : 0;
        if (repair_->refused)
            words[i] |= is_good ? marked[i] : ~u64{0};
    }
    return store_bitmap(layout_.bitmap(index), TARNFS_BITMAP_BLOCKS, index, layout_.group_bits(index),
                        words.data());
}

// Inode and orphan bitmaps as the facts are.
Status Checker::store_inode_bitmaps()
{
    if (repair_->table_refused)
        return Ok{};
    auto words = TRY(Array<u64>::create(TARNFS_BITMAP_BITS / 64));
    for (u64 index = 0; index < groups_.size(); index++) {
        const Group& group = *groups_[index];
        auto store = [&](DeviceBlock block, u32 kind, InodeFacts::Flag flag) -> Status {
            for (u32 bit = 0; bit < TARNFS_BITMAP_BITS; bit++) {
                const Chunk* chunk = group.chunks[bit / TARNFS_INODE_CHUNK].get();
                const u64 set = chunk && chunk->facts[bit % TARNFS_INODE_CHUNK].is(flag);
                words[bit / 64] = bit % 64 ? words[bit / 64] | set << bit % 64 : set;
            }
            return store_bitmap(block, kind, index, TARNFS_BITMAP_BITS, words.data());
        };
        if (group.store_inodes && group.inode_bitmap != DeviceBlock(0))
            TRY(store(group.inode_bitmap, TARNFS_BITMAP_INODES, InodeFacts::kInUse));
        if (group.store_orphans && group.orphan_bitmap != DeviceBlock(0))
            TRY(store(group.orphan_bitmap, TARNFS_BITMAP_ORPHANS, InodeFacts::kOrphan));
    }
    return Ok{};
}

}  // namespace tarn
