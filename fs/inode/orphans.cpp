// SPDX-License-Identifier: GPL-2.0
// InodeTable: freeing inodes, at their end or after a crash.
//
// Crash argument: an inode is an orphan (its bit is set) from the transaction that took its last link to the
// one that frees its number; in between its blocks go in as many transactions as it takes. A crash anywhere
// leaves an orphan with fewer blocks, which the next read-write mount finishes. A file being truncated is one
// too; it still has links, and finishing means freeing the blocks behind its size. An inode made without a name
// is one from the record that makes it to the one that gives it a link.
#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/filesystem.hpp"
#include "fs/inode/group.hpp"
#include "fs/xattr/xattrs.hpp"

namespace tarn {

Status InodeTable::add_orphan(Transaction& txn, const Inode& inode)
{
    if (TRY(is_orphan(inode)))
        return Ok{};
    if (mutant(Mutant::kNumberReused))
        release(inode.number);
    Group* its_group = TRY(group(group_of(inode.number)));
    return txn.set_bits(its_group->orphans, index_in_group(inode.number), 1);
}

Status InodeTable::remove_orphan(Transaction& txn, const Inode& inode)
{
    Group* its_group = TRY(group(group_of(inode.number)));
    return txn.clear_bits(its_group->orphans, index_in_group(inode.number), 1);
}

Status InodeTable::keep_orphan(Transaction& txn, const Inode& inode)
{
    const BlockMap blocks(volume_, inode.tree());
    FileBlock at(inode.is_regular() ? divide_up(inode.read().size, kBlockSize) : kMaxFileBlocks);
    while (at.value < kMaxFileBlocks) {
        const Mapping mapping = TRY(blocks.lookup(nullptr, at, kMaxFileBlocks - at.value));
        if (mapping.is_written())
            return Ok{};
        at = mapping.end();
    }
    return remove_orphan(txn, inode);
}

// The bits of neighbours change while we look: words are read whole.
Result<bool> InodeTable::is_orphan(const Inode& inode)
{
    Group* its_group = TRY(group(group_of(inode.number)));
    const auto* bitmap = reinterpret_cast<const tarnfs_bitmap*>(volume_.media().at(its_group->orphans));
    const u32 index = index_in_group(inode.number);
    const u64 word = __atomic_load_n(&bitmap->words[index / 64], __ATOMIC_RELAXED);
    return (word >> (index % 64) & 1) != 0;
}

// Nobody adds blocks meanwhile: once all up to the last one have gone there is none, or the keys are out of order.
Status InodeTable::free_blocks(Inode& inode, FileBlock first)
{
    for (bool all_gone = false;;) {
        NoFsScope nofs;
        ExclusiveGuard guard(inode.lock);
        BlockMap map(volume_, inode.tree());
        std::optional<FileBlock> last = TRY(map.last());
        if (!last || *last < first)
            return Ok{};
        if (all_gone)
            return volume_.corrupt(Error::kBadExtent, block_of(inode.record), "extents out of order");
        Transaction txn(volume_);
        const u64 count = *last - first + 1;
        u64 done = 0;
        TRY(map.unmap(txn, first, count, &done));
        TRY(txn.commit());
        all_gone = done >= count;
    }
}

Status InodeTable::free_xattrs(Inode& inode)
{
    for (;;) {
        NoFsScope nofs;
        ExclusiveGuard guard(inode.lock);
        if (inode.read().attributes == 0)
            return Ok{};
        Transaction txn(volume_);
        TRY(Xattrs(volume_, inode.xattr_tree()).remove_some(txn));
        TRY(txn.commit());
    }
}

// Directories are empty by then, and an empty directory has no block but for extended attributes.
Status InodeTable::free_directory_or_blocks(Inode& inode)
{
    const tarnfs_inode& record = inode.read();
    switch (record.mode & kTypeMask) {
        case kTypeRegular: return free_blocks(inode, FileBlock(0));
        case kTypeSymlink:
            return record.flags & TARNFS_INODE_INLINE_LINK ? Status(Ok{}) : free_blocks(inode, FileBlock(0));
        case kTypeDirectory:
            if (record.blocks)
                return volume_.corrupt(Error::kBadInode, block_of(inode.record),
                                       "removed directory that is not empty");
            return Ok{};
        default: return Ok{};
    }
}

Status InodeTable::free(Inode& inode)
{
    TRY(volume_.may_change());
    if (inode.read().attributes && !mutant(Mutant::kXattrsLeak))
        TRY(free_xattrs(inode));
    TRY(free_directory_or_blocks(inode));
    TRY(free_number(inode));
    used_.fetch_sub(1);
    release(inode.number);
    // The inode is gone either way; a chunk that could not be given back can be used again.
    shrink().ignore();
    return Ok{};
}

Status InodeTable::free_number(Inode& inode)
{
    Group* its_group = TRY(group(group_of(inode.number)));
    NoFsScope nofs;
    ExclusiveGuard guard(inode.lock);
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode.record));
    memset(&record, 0, sizeof(record));
    record.generation = inode.generation;
    TRY(txn.clear_bits(its_group->inodes, index_in_group(inode.number), 1));
    TRY(remove_orphan(txn, inode));
    return txn.commit();
}

Result<u64> InodeTable::free_orphans(Orphans which)
{
    u64 finished = 0;
    for (u64 index = group_count(); index > 0; index--)
        if (index <= group_count())  // the one before may have gone with its last inode
            finished += TRY(free_orphans_of(index - 1, which));
    return finished;
}

// The header counts the orphans, so a group without any costs one line.
Result<u64> InodeTable::free_orphans_of(u64 index, Orphans which)
{
    const DeviceBlock block = TRY(header(index, TARNFS_BITMAP_ORPHANS));
    const auto* bitmap = reinterpret_cast<const tarnfs_bitmap*>(volume_.media().at(block));
    if (bitmap->set == 0)
        return u64{0};
    u64 words[kChunksPerGroup /
              8];  // copied in pieces: finishing an orphan changes the bitmap, or drops its group
    u64 finished = 0;
    for (u32 from = 0; from < kInodesPerGroup && index < group_count(); from += sizeof(words) * 8) {
        memcpy(words, &bitmap->words[from / 64], sizeof(words));
        for (u32 bit = 0; (bit = bits::find(words, bit, sizeof(words) * 8, 1)) < sizeof(words) * 8; bit++) {
            finished += TRY(finish_orphan(number_of(index, from + bit), which));
        }
    }
    return finished;
}

// True if there was something to do.
Result<bool> InodeTable::finish_orphan(InodeNumber number, Orphans which)
{
    auto found = find(number);
    if (!found.is_ok() && found.error() == Error::kStale)
        return volume_.corrupt(Error::kBadBitmap, volume_.layout().system_block, "orphan that is not in use");
    const Found place = TRY(std::move(found));
    auto inode = TRY(Box<Inode>::create(fs_, number, place.generation, place.record));
    const bool named = inode->read().links != 0;
    if (named && which == Orphans::kUnnamed)
        return false;
    if (named)
        TRY(finish_truncation(*inode));
    else
        TRY(free(*inode));
    return true;
}

Status InodeTable::finish_truncation(Inode& inode)
{
    const tarnfs_inode& record = inode.read();
    if (!inode.is_regular())
        return volume_.corrupt(Error::kBadInode, block_of(inode.record), "orphan with links that is no file");
    TRY(free_blocks(inode, FileBlock(divide_up(record.size, kBlockSize))));
    NoFsScope nofs;
    ExclusiveGuard guard(inode.lock);
    Transaction txn(volume_);
    TRY(remove_orphan(txn, inode));
    return txn.commit();
}

}  // namespace tarn
