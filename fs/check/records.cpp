// SPDX-License-Identifier: GPL-2.0
// Checker: repairing inode records. Each change is a transaction of its own (Checker::edit).
#include <cstring>

#include "fs/check/checker.hpp"
#include "fs/inode/group.hpp"

namespace tarn {

namespace {

constexpr u16 kRootMode = kTypeDirectory | 0755;
constexpr u32 kNanoseconds = 1000000000;

bool is_record_of(const tarnfs_inode& record, u64 number)
{
    return record.magic == TARNFS_INODE_MAGIC && record.number == number &&
           record.crc == structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc));
}

// The record as it was before one bit of it changed; or before its magic and number did.
bool restore(tarnfs_inode& record, u64 number)
{
    tarnfs_inode named = record;
    named.magic = TARNFS_INODE_MAGIC;
    named.number = number;
    if (is_record_of(named, number)) {
        record = named;
        return true;
    }
    auto* bytes = reinterpret_cast<unsigned char*>(&record);
    for (u32 bit = 0; bit < sizeof(record) * 8; bit++) {
        bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1u << bit % 8);
        if (is_record_of(record, number))
            return true;
        bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1u << bit % 8);
    }
    return false;
}

bool has_tree(const tarnfs_inode& record, u8 kind)
{
    const auto& node = *reinterpret_cast<const tarnfs_node*>(record.root);
    return node.magic == TARNFS_NODE_MAGIC && node.kind == kind && node.generation == record.generation;
}

u32 time_part(u32 nanoseconds) { return nanoseconds < kNanoseconds ? nanoseconds : 0; }

void make_times_possible(tarnfs_inode& record)
{
    record.atime_ns = time_part(record.atime_ns);
    record.mtime_ns = time_part(record.mtime_ns);
    record.ctime_ns = time_part(record.ctime_ns);
    record.btime_ns = time_part(record.btime_ns);
}

}  // namespace

// False when there is no telling what it was.
bool Checker::restore_record(u64 number, const tarnfs_inode& record)
{
    tarnfs_inode copy = record;
    if (!restore(copy, number))
        return false;
    edit(record, [&](tarnfs_inode& r) { r = copy; });
    return true;
}

// What an inode is can be seen from what hangs from it.
bool Checker::guess_mode(u64, const tarnfs_inode& record)
{
    u16 mode = 0;
    if (has_tree(record, TARNFS_TREE_EXTENTS))
        mode = kTypeRegular | 0600;
    else if (has_tree(record, TARNFS_TREE_DIRECTORY))
        mode = kTypeDirectory | 0700;
    if (mode)
        edit(record, [&](tarnfs_inode& r) { r.mode = mode; });
    return mode != 0;
}

// Frees an inode that cannot be used. Its blocks become free with the bitmaps. The root is made anew instead.
void Checker::clear_inode(u64 number, const tarnfs_inode& record)
{
    if (number == TARNFS_INO_ROOT)
        return;
    edit(record, [](tarnfs_inode& r) {
        const u32 generation = r.generation;
        memset(&r, 0, sizeof(r));
        r.generation = generation;
    });
    Group& group = *groups_[number / TARNFS_BITMAP_BITS];
    group.store_inodes = group.store_orphans = true;
    *facts(number) = InodeFacts{};
}

// All that is free to choose in the table's record is its tree.
void Checker::repair_table_record(const tarnfs_inode& record)
{
    if (restore_record(TARNFS_INO_TABLE, record) && !table_record_defect(record))
        return;
    edit(record, [](tarnfs_inode& r) {
        const auto& node = *reinterpret_cast<const tarnfs_node*>(r.root);
        if (node.magic == TARNFS_NODE_MAGIC && node.kind == TARNFS_TREE_EXTENTS)
            r.generation = node.generation;
        r.magic = TARNFS_INODE_MAGIC;
        r.number = TARNFS_INO_TABLE;
        r.mode = kTypeRegular | 0600;
        r.links = 1;
        r.flags = 0;
        r.size = 0;
        r.parent = 0;
        make_times_possible(r);
    });
}

// A symbolic link is as long as what stands in it; without that it is nothing.
void Checker::repair_link(u64 number, const tarnfs_inode& record, const Walked& walked)
{
    const void* target = nullptr;
    usize most = TARNFS_ROOT_BYTES;
    if (record.flags & TARNFS_INODE_INLINE_LINK) {
        target = record.root;
    } else if (!walked.damaged && walked.data == 1 && walked.written_end == FileBlock(1)) {
        target = media_.at(walked.first);
        most = kBlockSize - 1;
    }
    const void* end = target ? memchr(target, 0, most) : nullptr;
    const u64 length =
        end      ? static_cast<u64>(static_cast<const byte*>(end) - static_cast<const byte*>(target))
        : target ? most
                 : 0;
    if (length)
        edit(record, [&](tarnfs_inode& r) { r.size = length; });
    else
        clear_inode(number, record);
}

// Number 1 becomes a directory: the one that it was, if its tree is still there, else an empty one. (Where
// there is no place for its record yet, this round makes that.)
Status Checker::make_root()
{
    TRY(add_groups(1));
    Box<Chunk>& chunk = groups_[0]->chunks[0];
    if (!chunk)
        chunk = TRY(Box<Chunk>::create());
    const tarnfs_inode* place = record(TARNFS_INO_ROOT);
    if (!place) {
        repair_->table_cut = true;
        return Ok{};
    }
    edit(*place, [](tarnfs_inode& r) {
        if (!has_tree(r, TARNFS_TREE_DIRECTORY)) {
            const u32 generation = max<u32>(r.generation, 1);
            memset(&r, 0, sizeof(r));
            r.generation = generation;
            init_tree_root(r.root, TARNFS_TREE_DIRECTORY, generation);
        }
        r.magic = TARNFS_INODE_MAGIC;
        r.number = r.parent = TARNFS_INO_ROOT;
        r.mode = kRootMode;
        r.links = 2;
        r.flags = 0;
        make_times_possible(r);
    });
    InodeFacts& known = *facts(TARNFS_INO_ROOT);
    set_in_use(TARNFS_INO_ROOT, known);
    known.flags |= InodeFacts::kUsable;
    known.mode = kRootMode;
    return Ok{};
}

void Checker::set_in_use(u64 number, InodeFacts& known)
{
    known.flags |= InodeFacts::kInUse;
    groups_[number / TARNFS_BITMAP_BITS]->store_inodes = true;
}

void Checker::set_orphan(u64 number, InodeFacts& known, bool orphan)
{
    known.flags =
        static_cast<u8>(orphan ? known.flags | InodeFacts::kOrphan : known.flags & ~InodeFacts::kOrphan);
    groups_[number / TARNFS_BITMAP_BITS]->store_orphans = true;
}

}  // namespace tarn
