// SPDX-License-Identifier: GPL-2.0
// InodeTable: chunks and groups come and go.
//
// Crash argument: blocks are zeroed (a group's bitmaps: filled) and fenced before the one transaction that
// maps them, so no stale byte is ever read as a record. They go in one transaction that unmaps them as
// metadata: replay of older records into them is over before they can hold anything else. While a chunk is
// being dropped all its numbers are taken in DRAM, so none can be handed out.
#include <cstring>

#include "fs/filesystem.hpp"
#include "fs/inode/group.hpp"

namespace tarn {

namespace {

// A chunk goes only while this many numbers are free elsewhere, so that one create and unlink at the edge of
// a chunk does not cost two transactions more each time. Less than what a new file system's first chunk has
// free.
constexpr u64 kKeepFree = 32;

void build_bitmap(byte* block, u32 kind, u64 index)
{
    auto& bitmap = *reinterpret_cast<tarnfs_bitmap*>(block);
    bitmap.magic = TARNFS_BITMAP_MAGIC;
    bitmap.kind = kind;
    bitmap.index = index;
    bitmap.bits = kInodesPerGroup;
}

}  // namespace

// Adds a chunk, near `near` if its group has room for one. Somebody else may take its numbers first.
Status InodeTable::grow(InodeNumber near)
{
    NoFsScope nofs;
    ExclusiveGuard table(table_.lock);
    if (free_numbers() > 0)
        return Ok{};
    std::optional<InodeNumber> first = missing_chunk(near);
    if (!first) {
        TRY(add_group());
        first = number_of(group_count() - 1, 0);
    }
    return add_chunk(*first);
}

u64 InodeTable::free_numbers()
{
    MutexGuard guard(lock_);
    return free_;
}

// First number of a chunk that does not exist yet.
std::optional<InodeNumber> InodeTable::missing_chunk(InodeNumber near)
{
    MutexGuard guard(lock_);
    const u64 count = groups_.size();
    for (u64 step = 0; step < count; step++) {
        const u64 index = (group_of(near) + step) % count;
        if (!groups_[index])
            continue;
        const u32 chunk = bits::find(groups_[index]->chunks, 0, kChunksPerGroup, 0);
        if (chunk < kChunksPerGroup)
            return number_of(index, chunk * TARNFS_INODE_CHUNK);
    }
    return std::nullopt;
}

// table_.lock held exclusive.
Status InodeTable::add_chunk(InodeNumber first)
{
    Transaction txn(volume_);
    TRY(add_blocks(txn, chunk_start(group_of(first), chunk_of(first)), kChunkBlocks, Bytes()));
    TRY(txn.commit());
    MutexGuard guard(lock_);
    Group& group = *groups_[group_of(first)];
    bits::set(group.chunks, chunk_of(first), 1);
    group.free += TARNFS_INODE_CHUNK;
    free_ += TARNFS_INODE_CHUNK;
    empty_++;
    return Ok{};
}

// A group with its two bitmaps and no chunk. table_.lock held exclusive.
Status InodeTable::add_group()
{
    const u64 index = group_count();
    auto headers = TRY(Array<byte>::create(TARNFS_INODE_GROUP_HEADER * kBlockSize));
    build_bitmap(headers.data(), TARNFS_BITMAP_INODES, index);
    build_bitmap(headers.data() + kBlockSize, TARNFS_BITMAP_ORPHANS, index);
    // Once the group is on the media it has to be known here: nothing behind the commit wants memory.
    auto group = TRY(Box<Group>::create());
    {
        MutexGuard guard(lock_);
        TRY(groups_.reserve_one());
    }
    Transaction txn(volume_);
    TRY(add_blocks(txn, group_start(index), TARNFS_INODE_GROUP_HEADER,
                   Bytes(headers.data(), headers.size())));
    TRY(txn.commit());
    group->index = index;
    group->inodes = TRY(header(index, TARNFS_BITMAP_INODES));
    group->orphans = TRY(header(index, TARNFS_BITMAP_ORPHANS));
    MutexGuard guard(lock_);
    TRY(groups_.push(std::move(group)));
    group_count_.store_release(index + 1);
    return Ok{};
}

// Maps fresh blocks at [at, at + count): zeroed, or with `contents`.
Status InodeTable::add_blocks(Transaction& txn, FileBlock at, u64 count, Bytes contents)
{
    Media& media = volume_.media();
    const DeviceBlock near = block_of(table_.record) + at.value;
    InFlightBatch in_flight;
    for (u64 done = 0; done < count;) {
        Reserved reserved = TRY(volume_.reserve(count - done, near));
        const u64 got = reserved.run().count;
        if (contents.empty()) {
            TRY(in_flight.add(std::move(reserved).zero(media)));
        } else {
            const Bytes part = contents.subspan(done * kBlockSize, got * kBlockSize);
            auto filled = std::move(reserved).fill(media, 0, part.size(), [&](byte* target, u64 length) {
                tarn_persist_copy(&media.device(), target, part.data(), length);
                return length;
            });
            TRY(in_flight.add(std::move(*filled.token)));
        }
        done += got;
    }
    DurableBatch durable;
    TRY(std::move(in_flight).fence(media, durable));
    BlockMap map(volume_, table_.tree());
    for (usize i = 0; i < durable.size(); i++) {
        const u64 blocks = durable.run(i).count;
        TRY(map.publish(txn, at, durable.take(i)));
        at += blocks;
    }
    return Ok{};
}

// Gives up one chunk without an inode, the last, while enough numbers are free elsewhere; then groups at the
// end without chunks. As inodes are freed one by one, chunks follow.
Status InodeTable::shrink()
{
    {
        MutexGuard guard(lock_);
        if (empty_ == 0 || free_ < TARNFS_INODE_CHUNK + kKeepFree)
            return Ok{};
    }
    NoFsScope nofs;
    ExclusiveGuard table(table_.lock);
    std::optional<InodeNumber> first = seal_chunk();
    if (!first)
        return Ok{};
    const Status dropped = drop_chunk(*first);
    unseal_chunk(*first, dropped);
    if (!dropped.is_ok())
        return dropped.error();
    return drop_last_group();
}

// Takes all numbers of the last chunk that has none in use, if it is not needed. Returns its first number.
std::optional<InodeNumber> InodeTable::seal_chunk()
{
    MutexGuard guard(lock_);
    if (free_ < TARNFS_INODE_CHUNK + kKeepFree)
        return std::nullopt;
    for (u64 index = groups_.size(); index-- > 0;) {
        Group* group = groups_[index].get();
        for (u32 chunk = group ? kChunksPerGroup : 0; chunk-- > 0;) {
            if (!group->is_empty_chunk(chunk))
                continue;
            group->words[chunk] = ~u64{0};
            group->free -= TARNFS_INODE_CHUNK;
            free_ -= TARNFS_INODE_CHUNK;
            empty_--;
            return number_of(index, chunk * TARNFS_INODE_CHUNK);
        }
    }
    return std::nullopt;
}

Status InodeTable::drop_chunk(InodeNumber first)
{
    Transaction txn(volume_);
    u64 done = 0;
    TRY(BlockMap(volume_, table_.tree())
            .unmap(txn, chunk_start(group_of(first), chunk_of(first)), kChunkBlocks, &done,
                   Freed::kMetadata));
    if (done != kChunkBlocks)
        return Error::kTransactionTooBig;
    return txn.commit();
}

// After drop_chunk: the chunk does not exist any more, or is as it was.
void InodeTable::unseal_chunk(InodeNumber first, const Status& dropped)
{
    MutexGuard guard(lock_);
    Group& group = *groups_[group_of(first)];
    group.words[chunk_of(first)] = 0;
    if (dropped.is_ok()) {
        bits::clear(group.chunks, chunk_of(first), 1);
        return;
    }
    group.free += TARNFS_INODE_CHUNK;
    free_ += TARNFS_INODE_CHUNK;
    empty_++;
}

// Drops groups at the end that have no chunk. table_.lock held exclusive.
Status InodeTable::drop_last_group()
{
    for (u64 last = group_count() - 1; last > 0; last--) {
        {
            MutexGuard guard(lock_);
            const Group* group = groups_[last].get();
            if (!group || bits::find(group->chunks, 0, kChunksPerGroup, 1) < kChunksPerGroup)
                return Ok{};
        }
        Transaction txn(volume_);
        u64 done = 0;
        TRY(BlockMap(volume_, table_.tree())
                .unmap(txn, group_start(last), TARNFS_INODE_GROUP_HEADER, &done, Freed::kMetadata));
        TRY(txn.commit());
        MutexGuard guard(lock_);
        groups_.pop();
        group_count_.store_release(last);
    }
    return Ok{};
}

}  // namespace tarn
