// SPDX-License-Identifier: GPL-2.0
// Checker: every inode in use: its record, and the contents of everything but directories.
#include "fs/check/checker.hpp"

namespace tarn {

namespace {

constexpr u64 kMostBytes = kMaxFileBlocks * kBlockSize;
constexpr u64 kLongestTarget = 4095;
constexpr u32 kNanoseconds = 1000000000;

u16 type_of(const tarnfs_inode& record) { return record.mode & kTypeMask; }
bool is_inline_link(const tarnfs_inode& record)
{
    return type_of(record) == kTypeSymlink && (record.flags & TARNFS_INODE_INLINE_LINK);
}
// The others keep nothing in the record's root.
bool has_block_map(const tarnfs_inode& record)
{
    return type_of(record) == kTypeRegular || (type_of(record) == kTypeSymlink && !is_inline_link(record));
}

}  // namespace

// ---- shared with the other passes
// --------------------------------------------------------------------------

// Notes that inode `number` owns a run; false when the run lies outside or something owned part of it
// already.
Result<bool> Checker::own(u64 number, Run run, const char* what)
{
    if (!layout_.is_data(run)) {
        problem("inode %llu: %s in blocks %llu-%llu, which are not for data", number, what, run.start.value,
                run.end().value - 1);
        return false;
    }
    DeviceBlock taken;
    TRY(owners_.own(run, &taken));
    if (taken == run.end())
        return true;
    problem("block %llu: used as %s of inode %llu and as something else", taken.value, what, number);
    return false;
}

TreeRoot Checker::root_of(u64 number, const tarnfs_inode& record, u8 kind) const
{
    const auto* bytes = reinterpret_cast<const byte*>(&record);
    const MediaAddress address(static_cast<u64>(bytes - media_.at(DeviceBlock(0))));
    return TreeRoot{address, InodeNumber(number), record.generation, kind};
}

void Checker::check_blocks_field(u64 number, const tarnfs_inode& record, const Walked& walked)
{
    if (!walked.damaged && record.blocks != walked.data + walked.nodes)
        problem("inode %llu: has %llu blocks, its record says %llu", number, walked.data + walked.nodes,
                record.blocks);
}

// ---- the record
// --------------------------------------------------------------------------------------------

// True when the record is good enough to look at what hangs from it.
bool Checker::check_record(u64 number, const tarnfs_inode& record)
{
    if (record.magic != TARNFS_INODE_MAGIC || record.number != number) {
        problem("inode %llu: marked in use, but there is no record of it", number);
        return false;
    }
    if (record.crc != structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc)))
        problem("inode %llu: wrong checksum", number);
    if (!is_valid_mode(record.mode)) {
        problem("inode %llu: impossible mode %o", number, record.mode);
        return false;
    }
    return true;
}

void Checker::check_fields(u64 number, const tarnfs_inode& record)
{
    const u32 known = type_of(record) == kTypeSymlink ? TARNFS_INODE_INLINE_LINK : 0;
    if (record.flags & ~known)
        problem("inode %llu: unknown flags %#x", number, record.flags & ~known);
    if (record.links > TARNFS_LINK_MAX)
        problem("inode %llu: impossible link count %u", number, record.links);
    if (record.atime_ns >= kNanoseconds || record.mtime_ns >= kNanoseconds ||
        record.ctime_ns >= kNanoseconds || record.btime_ns >= kNanoseconds)
        problem("inode %llu: impossible time", number);
    if (type_of(record) != kTypeDirectory && record.parent != 0)
        problem("inode %llu: no directory, but has parent %llu", number, record.parent);
}

void Checker::count_inode(const InodeFacts& facts)
{
    switch (facts.mode & kTypeMask) {
        case kTypeRegular: summary_.files++; break;
        case kTypeDirectory: summary_.directories++; break;
        case kTypeSymlink: summary_.symlinks++; break;
        default: summary_.others++; break;
    }
}

// ---- contents
// ----------------------------------------------------------------------------------------------

Status Checker::walk_extent(u64 number, const WalkEvent& event, Walked& walked)
{
    const Extent extent = unpack_extent(event.item.key, load<u64>(event.item.payload.data()));
    if (extent.first < walked.end) {
        problem("inode %llu: block %llu: extents overlap at file block %llu", number, event.block.value,
                extent.first.value);
        walked.damaged = true;
    }
    walked.items++;
    walked.end = max(walked.end, extent.end());
    if (extent.unwritten)
        summary_.unwritten_blocks += extent.count;
    else
        walked.written_end = max(walked.written_end, extent.end());
    walked.data += extent.count;
    summary_.extents++;
    return own(number, extent.run(), "data").is_ok() ? Status(Ok{}) : Status(Error::kNoMemory);
}

Result<Checker::Walked> Checker::walk_extents(u64 number, const TreeRoot& root)
{
    Walked walked;
    for (TreeWalk<ExtentKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            TRY(walk_extent(number, *event, walked));
        } else if (event->what == WalkEvent::What::kDamage) {
            problem("inode %llu: block %llu: %s", number, event->block.value, event->damage);
            walked.damaged = true;
        } else {
            walked.nodes++;
            if (!TRY(own(number, Run{event->block, 1}, "tree node")))
                walk.skip();
        }
    }
    return walked;
}

void Checker::check_size(u64 number, const tarnfs_inode& record, const Walked& walked)
{
    const u16 type = type_of(record);
    if (type == kTypeRegular) {
        if (record.size > kMostBytes)
            problem("inode %llu: impossible size %llu", number, record.size);
        // Recovery and whoever extends the file look for such blocks only where the mark says so. Unwritten
        // ones may be there: they show as zeroes when the file grows.
        else if (!walked.damaged && walked.written_end > FileBlock(divide_up(record.size, kBlockSize)) &&
                 !facts(number)->is(InodeFacts::kOrphan))
            problem("inode %llu: has written blocks behind its end, but is not marked as an orphan", number);
        return;
    }
    if (type != kTypeSymlink) {
        if (record.size != 0)
            problem("inode %llu: special file with a size of %llu", number, record.size);
        return;
    }
    const u64 most = is_inline_link(record) ? TARNFS_ROOT_BYTES : kLongestTarget;
    if (record.size == 0 || record.size > most)
        problem("inode %llu: symbolic link with a target of %llu bytes", number, record.size);
    // Freeing an orphan takes its block first and its number after that: a crash may lie between.
    else if (!is_inline_link(record) && !walked.damaged &&
             (walked.data != 1 || walked.written_end != FileBlock(1)) &&
             (record.links != 0 || walked.data != 0))
        problem("inode %llu: symbolic link whose target is not in one block", number);
}

Status Checker::check_contents(u64 number, const tarnfs_inode& record)
{
    Walked walked;
    if (has_block_map(record))
        walked = TRY(walk_extents(number, root_of(number, record, TARNFS_TREE_EXTENTS)));
    summary_.data_blocks += walked.data;
    summary_.node_blocks += walked.nodes;
    check_blocks_field(number, record, walked);
    check_size(number, record, walked);
    return Ok{};
}

Status Checker::check_inode(u64 number, InodeFacts& facts, const tarnfs_inode& record)
{
    summary_.inodes++;
    if (facts.is(InodeFacts::kOrphan))
        summary_.orphans++;
    if (!check_record(number, record))
        return Ok{};
    facts.flags |= InodeFacts::kUsable;
    facts.mode = record.mode;
    count_inode(facts);
    check_fields(number, record);
    return facts.is_directory() ? Status(Ok{}) : check_contents(number, record);
}

Status Checker::inodes()
{
    TRY(for_each_inode([&](u64 number, InodeFacts& facts, const tarnfs_inode& record) {
        return check_inode(number, facts, record);
    }));
    const InodeFacts* root = facts(TARNFS_INO_ROOT);
    if (!root || !root->is_directory())
        problem("inode %u: there is no root directory", TARNFS_INO_ROOT);
    return Ok{};
}

}  // namespace tarn
