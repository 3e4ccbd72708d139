// SPDX-License-Identifier: GPL-2.0
// Checker: every inode in use: its record, and the contents of everything but directories. What is done about
// a record that is wrong is in records.cpp.
#include "fs/check/checker.hpp"

namespace tarn {

namespace {

constexpr u64 kMostBytes = kMaxFileBlocks * kBlockSize;
constexpr u64 kLongestTarget = 4095;
constexpr u32 kNanoseconds = 1000000000;

u16 type_of(const tarnfs_inode& record) { return record.mode & kTypeMask; }

}  // namespace

// ---- shared with the other passes -------------------------------------------------------------------------

// Notes that inode `number` owns a run; false when the run lies outside or something owned part of it
// already.
Result<bool> Checker::own(u64 number, Run run, const char* what, bool* approved)
{
    const Fix fix = number == TARNFS_INO_TABLE ? Fix::kTable : Fix::kContents;
    if (!layout_.is_data(run)) {
        *approved = problem(fix, "inode %llu: %s in blocks %llu-%llu, which are not for data", number, what,
                            run.start.value, run.end().value - 1);
        return false;
    }
    DeviceBlock taken;
    TRY(owners_.own(run, &taken));
    if (taken == run.end())
        return true;
    *approved =
        problem(fix, "block %llu: used as %s of inode %llu and as something else", taken.value, what, number);
    return false;
}

Result<Checker::Walked> Checker::start_walk(const TreeRoot& root)
{
    Walked walked;
    if (repair_)
        walked.kept = TRY(Box<Salvage>::create(root));
    return walked;
}

// A good node of the tree; `*skip`: it is something else's, too, and what is below it is left out.
Status Checker::walk_node(u64 number, DeviceBlock block, Walked& walked, bool* skip)
{
    bool approved = false;
    if (repair_) {
        *skip = !repair_->nodes.is_owned(block);
        if (*skip)
            approved =
                problem(Fix::kContents, "block %llu: used as tree node of inode %llu and as something else",
                        block.value, number);
        else
            TRY(walked.kept->nodes.push(block));
    } else {
        *skip = !TRY(own(number, Run{block, 1}, "tree node", &approved));
    }
    walked.nodes++;
    if (*skip && repair_)
        walked.leave_out(approved);
    return Ok{};
}

TreeRoot Checker::root_of(u64 number, const tarnfs_inode& record, u8 kind) const
{
    const auto* bytes = reinterpret_cast<const byte*>(&record);
    const MediaAddress address(static_cast<u64>(bytes - media_.at(DeviceBlock(0))));
    return TreeRoot{address, InodeNumber(number), record.generation, kind};
}

void Checker::check_blocks_field(u64 number, const tarnfs_inode& record, u64 blocks)
{
    if (record.blocks != blocks)
        if (problem(Fix::kField, "inode %llu: has %llu blocks, its record says %llu", number, blocks,
                    record.blocks))
            edit(record, [&](tarnfs_inode& r) { r.blocks = blocks; });
}

// Where both trees are built anew, the count is right after the next round.
Status Checker::finish_inode(u64 number, const tarnfs_inode& record, Walked& walked, Walked& xattrs)
{
    if (!walked.damaged && !xattrs.damaged)
        check_blocks_field(number, record, walked.data + walked.nodes + xattrs.data + xattrs.nodes);
    if (walked.kept)
        walked.kept->others = xattrs.data + xattrs.nodes;
    if (xattrs.kept)
        xattrs.kept->others = walked.data + walked.nodes;
    TRY(want_rebuild(number, xattrs));
    return want_rebuild(number, walked);
}

// ---- the record -------------------------------------------------------------------------------------------

// True when the record is good enough to look at what hangs from it.
bool Checker::check_record(u64 number, const tarnfs_inode& record)
{
    if (record.magic != TARNFS_INODE_MAGIC || record.number != number) {
        if (!problem(Fix::kRecord, "inode %llu: marked in use, but there is no record of it", number))
            return false;
        if (!restore_record(number, record)) {
            clear_inode(number, record);
            return false;
        }
    }
    if (record.crc != structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc)))
        if (problem(Fix::kRecord, "inode %llu: wrong checksum", number) && !restore_record(number, record))
            edit(record, [](tarnfs_inode&) {});
    return check_mode(number, record);
}

bool Checker::check_mode(u64 number, const tarnfs_inode& record)
{
    if (is_valid_mode(record.mode))
        return true;
    if (!problem(Fix::kRecord, "inode %llu: impossible mode %o", number, record.mode))
        return false;
    if (guess_mode(number, record))
        return true;
    clear_inode(number, record);
    return false;
}

void Checker::check_fields(u64 number, const tarnfs_inode& record)
{
    const u32 known =
        possible_flags(record.mode) | (type_of(record) == kTypeSymlink ? TARNFS_INODE_INLINE_LINK : 0);
    if (record.flags & ~known)
        if (problem(Fix::kField, "inode %llu: unknown flags %#x", number, record.flags & ~known))
            edit(record, [&](tarnfs_inode& r) { r.flags &= known; });
    if (record.links > TARNFS_LINK_MAX)
        if (problem(Fix::kLinks, "inode %llu: impossible link count %u", number, record.links))
            edit(record, [&](tarnfs_inode& r) { r.links = TARNFS_LINK_MAX; });  // counted later
    if (record.atime_ns >= kNanoseconds || record.mtime_ns >= kNanoseconds ||
        record.ctime_ns >= kNanoseconds || record.btime_ns >= kNanoseconds)
        if (problem(Fix::kField, "inode %llu: impossible time", number))
            edit(record, [](tarnfs_inode& r) {
                for (tarn_u32* part : {&r.atime_ns, &r.mtime_ns, &r.ctime_ns, &r.btime_ns})
                    *part = *part < kNanoseconds ? *part : 0;
            });
    if (type_of(record) != kTypeDirectory && record.parent != 0)
        if (problem(Fix::kField, "inode %llu: no directory, but has parent %llu", number, record.parent))
            edit(record, [](tarnfs_inode& r) { r.parent = 0; });
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

// ---- contents ---------------------------------------------------------------------------------------------

Status Checker::walk_extent(u64 number, const WalkEvent& event, Walked& walked)
{
    const Extent extent = unpack_extent(event.item.key, load<u64>(event.item.payload.data()));
    if (extent.first < walked.end) {
        const bool approved =
            problem(Fix::kContents, "inode %llu: block %llu: extents overlap at file block %llu", number,
                    event.block.value, extent.first.value);
        walked.leave_out(approved);
        if (approved)
            return Ok{};
    }
    if (walked.items++ == 0)
        walked.first = extent.device;
    walked.end = max(walked.end, extent.end());
    if (extent.unwritten)
        summary_.unwritten_blocks += extent.count;
    else
        walked.written_end = max(walked.written_end, extent.end());
    walked.data += extent.count;
    summary_.extents++;
    return own_extent(number, extent, walked);
}

Status Checker::own_extent(u64 number, const Extent& extent, Walked& walked)
{
    bool approved = false;
    if (!repair_) {
        TRY(own(number, extent.run(), "data", &approved));
        return Ok{};
    }
    const DeviceBlock taken = owners_.find(extent.run(), 1);
    if (taken != extent.run().end()) {
        approved = problem(Fix::kContents, "block %llu: used as data of inode %llu and as something else",
                           taken.value, number);
        walked.leave_out(approved);
        if (!approved)
            return owners_.mark(extent.run());
    }
    return keep_extent(extent, walked);
}

// Keeps those parts of an extent that nothing owns.
Status Checker::keep_extent(const Extent& extent, Walked& walked)
{
    const DeviceBlock end = extent.run().end();
    for (DeviceBlock at = extent.device; at < end;) {
        const DeviceBlock to = owners_.find(Run{at, end - at}, 1);
        if (at < to) {
            const Run run{at, to - at};
            TRY(owners_.mark(run));
            const Extent part{extent.first + (at - extent.device), run.count, at, extent.unwritten};
            const u64 value = pack_extent(part);
            TRY(walked.kept->items.add(part.first.value,
                                       Bytes(reinterpret_cast<const byte*>(&value), sizeof value)));
            walked.kept->data += run.count;
        }
        at = to < end ? owners_.find(Run{to, end - to}, 0) : end;
    }
    return Ok{};
}

Result<Checker::Walked> Checker::walk_extents(u64 number, const TreeRoot& root)
{
    Walked walked = TRY(start_walk(root));
    for (TreeWalk<ExtentKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            TRY(walk_extent(number, *event, walked));
        } else if (event->what == WalkEvent::What::kDamage) {
            walked.leave_out(problem(Fix::kContents, "inode %llu: block %llu: %s", number, event->block.value,
                                     event->damage));
        } else {
            bool skip = false;
            TRY(walk_node(number, event->block, walked, &skip));
            if (skip)
                walk.skip();
        }
    }
    return walked;
}

void Checker::check_size(u64 number, const tarnfs_inode& record, const Walked& walked)
{
    const u16 type = type_of(record);
    if (type == kTypeRegular) {
        if (record.size > kMostBytes) {
            if (problem(Fix::kContents, "inode %llu: impossible size %llu", number, record.size))
                edit(record, [&](tarnfs_inode& r) { r.size = walked.written_end.value * kBlockSize; });
        }
        // Recovery and whoever extends the file look for such blocks only where the mark says so. Unwritten
        // ones may be there: they show as zeroes when the file grows.
        else if (!walked.damaged && walked.written_end > FileBlock(divide_up(record.size, kBlockSize)) &&
                 !facts(number)->is(InodeFacts::kOrphan))
            if (problem(Fix::kContents,
                        "inode %llu: has written blocks behind its end, but is not marked as an orphan",
                        number))
                edit(record, [&](tarnfs_inode& r) { r.size = walked.written_end.value * kBlockSize; });
        return;
    }
    if (type == kTypeSymlink)
        check_link_size(number, record, walked);
    else if (record.size != 0)
        if (problem(Fix::kField, "inode %llu: special file with a size of %llu", number, record.size))
            edit(record, [](tarnfs_inode& r) { r.size = 0; });
}

void Checker::check_link_size(u64 number, const tarnfs_inode& record, const Walked& walked)
{
    const u64 most = is_inline_link(record) ? TARNFS_ROOT_BYTES : kLongestTarget;
    bool repair = false;
    if (record.size == 0 || record.size > most)
        repair = problem(Fix::kRecord, "inode %llu: symbolic link with a target of %llu bytes", number,
                         record.size);
    // Freeing an orphan takes its block first and its number after that: a crash may lie between.
    else if (!is_inline_link(record) && !walked.damaged &&
             (walked.data != 1 || walked.written_end != FileBlock(1)) &&
             (record.links != 0 || walked.data != 0))
        repair |= problem(Fix::kRecord, "inode %llu: symbolic link whose target is not in one block", number);
    if (repair)
        repair_link(number, record, walked);
}

Status Checker::check_contents(u64 number, const tarnfs_inode& record)
{
    Walked xattrs = TRY(walk_xattrs(number, record));
    Walked walked;
    if (has_block_map(record))
        walked = TRY(walk_extents(number, root_of(number, record, TARNFS_TREE_EXTENTS)));
    summary_.data_blocks += walked.data;
    summary_.node_blocks += walked.nodes;
    check_size(number, record, walked);
    return finish_inode(number, record, walked, xattrs);
}

// Notes that a tree is to be built anew, if so.
Status Checker::want_rebuild(u64 number, Walked& walked)
{
    const InodeFacts* known = facts(number);
    if (!walked.cut || walked.refused || !known || !known->is(InodeFacts::kInUse))
        return Ok{};
    return repair_->trees.push(std::move(walked.kept));
}

void Checker::check_inode(u64 number, InodeFacts& facts, const tarnfs_inode& record)
{
    summary_.inodes++;
    if (facts.is(InodeFacts::kOrphan))
        summary_.orphans++;
    if (!check_record(number, record))
        return;
    facts.flags |= InodeFacts::kUsable;
    facts.mode = record.mode;
    count_inode(facts);
    check_fields(number, record);
}

void Checker::check_root()
{
    const InodeFacts* root = facts(TARNFS_INO_ROOT);
    if (!root || !root->is_directory())
        if (problem(Fix::kRecord, "inode %u: there is no root directory", TARNFS_INO_ROOT))
            note(make_root());
}

Status Checker::inodes()
{
    TRY(for_each_inode([&](u64 number, InodeFacts& facts, const tarnfs_inode& record) -> Status {
        check_inode(number, facts, record);
        return Ok{};
    }));
    check_root();
    if (repair_)
        TRY(claim_nodes());
    return for_each_inode([&](u64 number, InodeFacts& facts, const tarnfs_inode& record) {
        const bool look = facts.is(InodeFacts::kUsable) && !facts.is_directory();
        return look ? check_contents(number, record) : Status(Ok{});
    });
}

}  // namespace tarn
