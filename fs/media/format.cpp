// SPDX-License-Identifier: GPL-2.0
// Format: writes an empty file system.
//
// Every structure is built in a DRAM buffer of one block and stored whole, so nothing of what the device held
// before is left in the fixed metadata. Journals are zeroed all over: a record of an earlier file system with
// the same UUID (mkfs -U) must not be found by a scan.
//
// Crash argument: the superblocks of whatever was there are destroyed first and that is made durable; the new
// ones are written after a fence that covers everything else. A crash leaves what was there as it was, or a
// device that holds no file system, or the new one.
#include "fs/media/format.hpp"

#include <cstring>

#include "cxxrt/box.hpp"
#include "fs/space/bits.hpp"

namespace tarn {

namespace {

// The file system being made, with a block to build structures in.
struct Formatter {
    Media& media;
    const Layout& layout;
    const FormatProgress& progress;
    Array<u64> scratch;  // one block
    u64 done = 0;
    u64 total = 0;

    void* buffer() { return scratch.data(); }
    void clear() { memset(buffer(), 0, kBlockSize); }
    void store(DeviceBlock block)
    {
        media.copy(media.writable(block), buffer(), kBlockSize);
        advance(1);
    }
    void advance(u64 blocks)
    {
        done += blocks;
        if (progress.step)
            progress.step(progress.context, done, total);
    }
    // The inode table's first blocks.
    Run table() const { return {layout.first_data, kFirstTableBlocks}; }
};

constexpr u16 kDirectoryMode = 0040755;
constexpr u16 kTableMode = 0100600;
constexpr u32 kFirstLap = 1;
constexpr u64 kFirstSequence = 1;
// Large journals are zeroed in steps of this many blocks, with progress in between.
constexpr u64 kZeroStep = 256;

// Destroys the superblocks of what was there (also one at the device's end, were it larger), and nothing else
// of it: who looks for a superblock all over the device must not find one of those.
Status wipe(Formatter& f)
{
    const auto& old = *reinterpret_cast<const tarnfs_superblock*>(f.media.at(DeviceBlock(0)));
    if (old.magic == TARNFS_SUPER_MAGIC && f.media.contains(Run{DeviceBlock(old.replica), 1}))
        f.media.zero(f.media.writable(DeviceBlock(old.replica)), kBlockSize);
    f.media.zero(f.media.writable(DeviceBlock(0)), kBlockSize);
    f.media.zero(f.media.writable(DeviceBlock(f.media.blocks() - 1)), kBlockSize);
    f.media.zero(f.media.writable(f.layout.replica()), kBlockSize);
    return f.media.fence();
}

void write_journal(Formatter& f, u32 index)
{
    const DeviceBlock header = f.layout.journal(index);
    for (u64 at = 1; at < f.layout.journal_blocks; at += kZeroStep) {
        const u64 count = min(kZeroStep, f.layout.journal_blocks - at);
        f.media.zero(f.media.writable(header + at), count * kBlockSize);
        f.advance(count);
    }
    f.clear();
    constexpr u64 kUpdate = 1;
    auto* slot = static_cast<tarnfs_journal_slot*>(f.buffer()) + kUpdate % TARNFS_JOURNAL_SLOTS;
    slot->magic = TARNFS_JOURNAL_MAGIC;
    memcpy(slot->uuid, f.layout.uuid, sizeof(slot->uuid));
    slot->journal = index;
    slot->lap = kFirstLap;
    slot->floor = kFirstSequence;
    slot->update = kUpdate;  // the next one goes to the other slot, so this one is there until that is durable
    slot->crc = structure_crc(slot, sizeof(*slot), offsetof(tarnfs_journal_slot, crc));
    f.store(header);
}

// An empty bitmap in the buffer.
tarnfs_bitmap& start_bitmap(Formatter& f, u32 kind, u64 index)
{
    f.clear();
    auto& bitmap = *static_cast<tarnfs_bitmap*>(f.buffer());
    bitmap.magic = TARNFS_BITMAP_MAGIC;
    bitmap.kind = kind;
    bitmap.index = index;
    bitmap.bits = TARNFS_BITMAP_BITS;
    return bitmap;
}

// Marks what of `run` lies in the group that begins at block `first`.
void mark(tarnfs_bitmap& bitmap, u64 first, Run run)
{
    const u64 from = max(first, run.start.value);
    const u64 to = min(first + bitmap.bits, run.end().value);
    if (from < to)
        bits::set(bitmap.words, static_cast<u32>(from - first), static_cast<u32>(to - from));
}

void write_group_bitmap(Formatter& f, u64 group)
{
    const u64 first = group * TARNFS_BITMAP_BITS;
    tarnfs_bitmap& bitmap = start_bitmap(f, TARNFS_BITMAP_BLOCKS, group);
    mark(bitmap, first, Run{DeviceBlock(0), f.layout.first_data.value});
    mark(bitmap, first, f.table());
    mark(bitmap, first, Run{f.layout.replica(), 1});
    bitmap.set = bits::count_set(bitmap.words, TARNFS_BITMAP_BITS);
    f.store(f.layout.bitmap(group));
}

// An empty embedded root node.
tarnfs_node& start_root(tarnfs_inode& inode, u8 kind)
{
    auto& node = *reinterpret_cast<tarnfs_node*>(inode.root);
    node.magic = TARNFS_NODE_MAGIC;
    node.kind = kind;
    node.heap = TARNFS_ROOT_BYTES;
    node.generation = inode.generation;
    return node;
}

// Adds the only extent: file block 0, `run`, written.
void add_extent(tarnfs_inode& inode, Run run)
{
    auto& node = *reinterpret_cast<tarnfs_node*>(inode.root);
    const u16 offset = TARNFS_ROOT_BYTES - sizeof(tarnfs_extent_item);
    const tarnfs_extent_item item{0, run.start.value | run.count << TARNFS_EXTENT_BLOCK_BITS};
    memcpy(inode.root + offset, &item, sizeof(item));
    memcpy(inode.root + sizeof(node), &offset, sizeof(offset));
    node.count = 1;
    node.heap = offset;
    inode.blocks = run.count;
}

void start_inode(const Formatter& f, tarnfs_inode& inode, u64 number, u16 mode)
{
    const s64 now = static_cast<s64>(f.layout.created);
    inode.magic = TARNFS_INODE_MAGIC;
    inode.number = number;
    inode.generation = 1;
    inode.mode = mode;
    inode.links = 1;
    inode.atime = inode.mtime = inode.ctime = inode.btime = now;
}

void seal(tarnfs_inode& inode)
{
    inode.crc = structure_crc(&inode, sizeof(inode), offsetof(tarnfs_inode, crc));
}

// The system block: slot 0 is the inode table's own inode.
void write_system_block(Formatter& f)
{
    f.clear();
    auto& table = *static_cast<tarnfs_inode*>(f.buffer());
    start_inode(f, table, TARNFS_INO_TABLE, kTableMode);
    start_root(table, TARNFS_TREE_EXTENTS);
    add_extent(table, f.table());
    seal(table);
    f.store(f.layout.system_block);
}

// Inode group 0: its bitmaps, then its first chunk with the root directory. Numbers 0 and 1 are in use.
void write_inode_group(Formatter& f)
{
    DeviceBlock block = f.table().start;
    tarnfs_bitmap& inodes = start_bitmap(f, TARNFS_BITMAP_INODES, 0);
    bits::set(inodes.words, TARNFS_INO_TABLE, 2);
    inodes.set = 2;
    f.store(block);
    start_bitmap(f, TARNFS_BITMAP_ORPHANS, 0);
    f.store(block + 1);

    f.clear();
    auto& root = static_cast<tarnfs_inode*>(f.buffer())[TARNFS_INO_ROOT];
    start_inode(f, root, TARNFS_INO_ROOT, kDirectoryMode);
    root.links = 2;
    root.parent = TARNFS_INO_ROOT;
    start_root(root, TARNFS_TREE_DIRECTORY);
    seal(root);
    f.store(block + TARNFS_INODE_GROUP_HEADER);
    for (u64 at = TARNFS_INODE_GROUP_HEADER + 1; at < kFirstTableBlocks; at++) {
        f.clear();
        f.store(block + at);
    }
}

Status write_everything(Formatter& f)
{
    TRY(wipe(f));
    // Where libnvdimm keeps its info block; tarnfs leaves it alone ever after.
    f.media.zero(f.media.writable(DeviceBlock(1)), kBlockSize);
    for (u32 journal = 0; journal < f.layout.journals; journal++)
        write_journal(f, journal);
    for (u64 group = 0; group < f.layout.groups; group++)
        write_group_bitmap(f, group);
    write_system_block(f);
    write_inode_group(f);
    TRY(f.media.fence());
    return write_superblocks(f.media, f.layout);
}

}  // namespace

Result<Layout> format(Media& media, const FormatOptions& options, const FormatProgress& progress)
{
    if (options.blocks > media.blocks())
        return Error::kInvalid;
    Layout layout = TRY(plan_layout(options.blocks ? options.blocks : media.blocks(), options));
    Formatter formatter{media, layout, progress, TRY(Array<u64>::create(kBlockSize / sizeof(u64)))};
    formatter.total = u64{layout.journals} * layout.journal_blocks + layout.groups + 1 + kFirstTableBlocks;
    TRY(write_everything(formatter));
    return layout;
}

}  // namespace tarn
