// SPDX-License-Identifier: GPL-2.0
// InodeTable: loading groups, finding records, handing out numbers. (chunks.cpp: growing and shrinking;
// orphans.cpp.)
#include "fs/inode/table.hpp"

#include <cstring>

#include "fs/filesystem.hpp"
#include "fs/inode/group.hpp"

namespace tarn {

namespace {

constexpr u64 kMaxFileBytes = kMaxFileBlocks << kBlockShift;
constexpr u64 kMaxLinkTarget = kBlockSize - 1;
constexpr u32 kNanoseconds = 1000000000;

bool good_times(const tarnfs_inode& record)
{
    return record.atime_ns < kNanoseconds && record.mtime_ns < kNanoseconds &&
           record.ctime_ns < kNanoseconds && record.btime_ns < kNanoseconds;
}

const char* symlink_defect(const tarnfs_inode& record)
{
    if (record.size == 0 || record.size > kMaxLinkTarget)
        return "impossible length of a symlink";
    if ((record.flags & TARNFS_INODE_INLINE_LINK) && record.size > TARNFS_ROOT_BYTES)
        return "inline symlink that does not fit";
    return nullptr;
}

// The table's block that a number's record is in, and where it is there.
FileBlock block_of_record(InodeNumber number)
{
    return chunk_start(group_of(number), 0) + index_in_group(number) / TARNFS_INODES_PER_BLOCK;
}

MediaAddress record_in(DeviceBlock block, InodeNumber number)
{
    return address_of(block) + index_in_group(number) % TARNFS_INODES_PER_BLOCK * TARNFS_INODE_BYTES;
}

}  // namespace

const char* record_defect(const tarnfs_inode& record, InodeNumber number)
{
    if (record.magic != TARNFS_INODE_MAGIC)
        return "no inode where one is in use";
    if (record.crc != structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc)))
        return "bad checksum of an inode";
    if (record.number != number.value)
        return "another inode's record";
    if (!is_valid_mode(record.mode))
        return "impossible inode type";
    if (!good_times(record))
        return "impossible time";
    if (record.flags & ~TARNFS_INODE_FLAGS)
        return "unknown inode flag";
    switch (record.mode & kTypeMask) {
        case kTypeSymlink: return symlink_defect(record);
        case kTypeRegular: return record.size > kMaxFileBytes ? "impossible file size" : nullptr;
        default: return nullptr;
    }
}

const char* table_record_defect(const tarnfs_inode& record)
{
    if (const char* defect = record_defect(record, InodeNumber(TARNFS_INO_TABLE)))
        return defect;
    return (record.mode & kTypeMask) == kTypeRegular ? nullptr : "the inode table is no file";
}

ReservedInode::~ReservedInode()
{
    if (table_)
        table_->release(number_);
}

void ReservedInode::keep() { std::exchange(table_, nullptr)->used_.fetch_add(1); }

// The table's generation takes part in the checks of its tree's blocks; load() has checked the record by
// then.
InodeTable::InodeTable(FileSystem& fs, Volume& volume)
    : fs_(fs),
      volume_(volume),
      table_(
          fs, InodeNumber(TARNFS_INO_TABLE),
          reinterpret_cast<const tarnfs_inode*>(volume.media().at(volume.layout().system_block))->generation,
          address_of(volume.layout().system_block), Rank::kInodeTable),
      lock_(Rank::kInodeGroup, "tarnfs_inode_group")
{
}

InodeTable::~InodeTable() = default;

Status InodeTable::load()
{
    const DeviceBlock system = volume_.layout().system_block;
    if (const char* defect = table_record_defect(table_.read()))
        return volume_.corrupt(Error::kBadInode, system, defect);
    std::optional<FileBlock> last = TRY(BlockMap(volume_, table_.tree()).last());
    if (!last)
        return volume_.corrupt(Error::kBadInode, system, "the inode table is empty");
    const u64 count = last->value / TARNFS_INODE_GROUP_BLOCKS + 1;
    u64 used = 0;
    for (u64 index = 0; index < count; index++) {
        auto in_group = count_used(index);
        if (!in_group && !(index && volume_.is_as_it_is()))
            return in_group.error();
        used += in_group ? in_group.value() : 0;
    }
    used_.store_relaxed(used);
    MutexGuard guard(lock_);
    for (u64 index = 0; index < count; index++)
        TRY(groups_.push(Box<Group>()));
    group_count_.store_release(count);
    return Ok{};
}

Result<u64> InodeTable::count_used(u64 group)
{
    const DeviceBlock inodes = TRY(header(group, TARNFS_BITMAP_INODES));
    TRY(header(group, TARNFS_BITMAP_ORPHANS));
    return u64{reinterpret_cast<const tarnfs_bitmap*>(volume_.media().at(inodes))->set};
}

// The device block of one of a group's two bitmaps, its header checked.
Result<DeviceBlock> InodeTable::header(u64 group, u32 kind)
{
    const DeviceBlock block = TRY(block_at(group_start(group) + (kind == TARNFS_BITMAP_ORPHANS ? 1 : 0)));
    const auto& bitmap = *reinterpret_cast<const tarnfs_bitmap*>(volume_.media().at(block));
    if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.kind != kind || bitmap.index != group ||
        bitmap.bits != kInodesPerGroup)
        return volume_.corrupt(Error::kBadBitmap, block,
                               kind == TARNFS_BITMAP_ORPHANS ? "orphan bitmap" : "inode bitmap");
    return block;
}

// The device block of a block of the table that has to exist. table_.lock held, or nobody else is there yet.
Result<DeviceBlock> InodeTable::block_at(FileBlock at)
{
    const Mapping mapping = TRY(BlockMap(volume_, table_.tree()).lookup(nullptr, at, 1));
    if (mapping.state != Mapping::State::kWritten)
        return volume_.corrupt(Error::kBadInode, volume_.layout().system_block,
                               "a block of the inode table is missing");
    return mapping.device;
}

Result<InodeTable::Group*> InodeTable::group(u64 index)
{
    {
        MutexGuard guard(lock_);
        if (index >= groups_.size())
            return Error::kStale;
        if (groups_[index])
            return groups_[index].get();
    }
    NoFsScope nofs;
    SharedGuard table(table_.lock);  // no chunk comes or goes between reading and noting it
    if (index >= group_count())
        return Error::kStale;
    auto loaded = TRY(load_group(index));
    MutexGuard guard(lock_);
    if (!groups_[index]) {
        free_ += loaded->free;
        empty_ += loaded->count_empty_chunks();
        groups_[index] = std::move(loaded);
    }
    return groups_[index].get();
}

Result<Box<InodeTable::Group>> InodeTable::load_group(u64 index)
{
    auto group = TRY(Box<Group>::create());
    group->index = index;
    group->inodes = TRY(header(index, TARNFS_BITMAP_INODES));
    group->orphans = TRY(header(index, TARNFS_BITMAP_ORPHANS));
    const auto& bitmap = *reinterpret_cast<const tarnfs_bitmap*>(volume_.media().at(group->inodes));
    memcpy(group->words, bitmap.words, sizeof(group->words));
    TRY(load_chunks(*group));
    for (u32 chunk = 0; chunk < kChunksPerGroup; chunk++) {
        if (group->has_chunk(chunk))
            group->free += TARNFS_INODE_CHUNK - bits::population(group->words[chunk]);
        else if (group->words[chunk] && !volume_.is_as_it_is())
            return volume_.corrupt(Error::kBadBitmap, group->inodes, "inodes in use that have no place");
    }
    return group;
}

// Notes which chunks of a group are mapped. Chunks come and go whole, so their first blocks tell.
Status InodeTable::load_chunks(Group& group)
{
    const BlockMap map(volume_, table_.tree());
    FileBlock at = chunk_start(group.index, 0);
    const FileBlock end = group_start(group.index + 1);
    while (at < end) {
        const Mapping run = TRY(map.lookup(nullptr, at, end - at));
        const u32 first = static_cast<u32>(at - chunk_start(group.index, 0));
        for (u32 block = first; block < first + run.count; block++)
            if (block % kChunkBlocks == 0 && !run.is_hole())
                bits::set(group.chunks, block / kChunkBlocks, 1);
        at += run.count;
    }
    return Ok{};
}

Result<InodeTable::Found> InodeTable::find(InodeNumber number)
{
    TRY(group(group_of(number)));
    if (number.value == TARNFS_INO_TABLE || !is_taken(number))
        return Error::kStale;
    const MediaAddress address = TRY(record_of(number));
    const auto& record = *reinterpret_cast<const tarnfs_inode*>(volume_.media().at(address));
    if (const char* defect = record_defect(record, number))
        return volume_.corrupt(Error::kBadInode, block_of(address), defect);
    return Found{address, record.generation};
}

// The record may be changing meanwhile, with nobody whose lock we could take: a copy is looked at, whose
// checksum tells. Chunks stay where they are: one that is being dropped has all its numbers taken, and no
// place for them behind that.
Result<InodeTable::Found> InodeTable::find_handle(InodeNumber number, u32 generation)
{
    TRY(group(group_of(number)));
    NoFsScope nofs;
    SharedGuard table(table_.lock);
    if (number.value == TARNFS_INO_TABLE || !is_taken(number))
        return Error::kStale;
    const MediaAddress address = record_in(TRY(block_at(block_of_record(number))), number);
    tarnfs_inode record;
    memcpy(&record, volume_.media().at(address), sizeof(record));
    if (record_defect(record, number) || record.links == 0 || (generation && generation != record.generation))
        return Error::kStale;
    return Found{address, record.generation};
}

bool InodeTable::is_taken(InodeNumber number)
{
    MutexGuard guard(lock_);
    const u64 index = group_of(number);
    const u32 bit = index_in_group(number);
    return index < groups_.size() && groups_[index] && (groups_[index]->words[bit / 64] >> (bit % 64) & 1);
}

Result<MediaAddress> InodeTable::record_of(InodeNumber number)
{
    NoFsScope nofs;
    SharedGuard guard(table_.lock);
    return record_in(TRY(block_at(block_of_record(number))), number);
}

Result<ReservedInode> InodeTable::reserve(InodeNumber parent)
{
    TRY(volume_.may_change());
    for (;;) {
        std::optional<InodeNumber> number = TRY(take(parent));
        if (!number) {
            TRY(grow(parent));
            continue;
        }
        auto address = record_of(*number);
        if (!address.is_ok()) {
            release(*number);
            return address.error();
        }
        // A freed record keeps its generation; a chunk that is new starts anywhere, it may have been one
        // before.
        const auto& old = *reinterpret_cast<const tarnfs_inode*>(volume_.media().at(address.value()));
        u32 generation = (old.generation ? old.generation : tarn_random32()) + 1;
        return ReservedInode(*this, *number, generation ? generation : 1, address.value());
    }
}

// A free number in a chunk that exists: first in the group of `near`, from its chunk on, then in any group.
Result<std::optional<InodeNumber>> InodeTable::take(InodeNumber near)
{
    const u64 count = group_count();
    for (u64 step = 0; step < count; step++) {
        const u64 index = (group_of(near) + step) % count;
        auto found = group(index);
        if (!found.is_ok() && found.error() == Error::kStale)
            continue;  // the last group went meanwhile
        TRY(std::move(found));
        MutexGuard guard(lock_);
        Group* candidate = index < groups_.size() ? groups_[index].get() : nullptr;
        if (!candidate || candidate->free == 0)
            continue;
        u32 chunk = step == 0 ? chunk_of(near) : 0;
        while (!candidate->has_chunk(chunk) || candidate->words[chunk] == ~u64{0})
            chunk = (chunk + 1) % kChunksPerGroup;  // free > 0: there is one
        const u32 bit = static_cast<u32>(__builtin_ctzll(~candidate->words[chunk]));
        empty_ -= candidate->is_empty_chunk(chunk);
        candidate->words[chunk] |= u64{1} << bit;
        candidate->free--;
        free_--;
        return std::optional(number_of(index, chunk * TARNFS_INODE_CHUNK + bit));
    }
    return std::optional<InodeNumber>();
}

// Back to the free numbers of its chunk, which exists.
void InodeTable::release(InodeNumber number)
{
    MutexGuard guard(lock_);
    Group& group = *groups_[group_of(number)];
    bits::clear(group.words, index_in_group(number), 1);
    empty_ += group.is_empty_chunk(chunk_of(number));
    group.free++;
    free_++;
}

Status InodeTable::claim(Transaction& txn, const ReservedInode& reserved)
{
    Group* its_group = TRY(group(group_of(reserved.number())));
    return txn.set_bits(its_group->inodes, index_in_group(reserved.number()), 1);
}

Status InodeTable::claim_orphan(Transaction& txn, const ReservedInode& reserved)
{
    Group* its_group = TRY(group(group_of(reserved.number())));
    return txn.set_bits(its_group->orphans, index_in_group(reserved.number()), 1);
}

}  // namespace tarn
