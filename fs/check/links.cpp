// SPDX-License-Identifier: GPL-2.0
// Checker: what can be said once every entry has been seen: link counts, parents, and whether every directory
// hangs from the root.
#include "fs/check/checker.hpp"

namespace tarn {

namespace {

// Links of a directory: its own ".", its name (the root's is in itself), and the ".." of each directory in
// it.
u64 expected_links(u64 number, const InodeFacts& facts)
{
    if (!facts.is_directory())
        return facts.names;
    if (facts.names == 0 && number != TARNFS_INO_ROOT)
        return 0;
    return u64{2} + facts.subdirectories;
}

}  // namespace

void Checker::check_links(u64 number, InodeFacts& facts, const tarnfs_inode& record)
{
    const u64 expected = expected_links(number, facts);
    // A removed directory is empty, but for its attributes.
    const bool is_removed = record.links == 0 &&
                            !(facts.is_directory() && (record.size || (record.blocks && !record.attributes)));
    if (expected == 0 && !is_removed) {
        // Repairing, this comes when nothing else is left.
        if (repair_ && summary_.problems > repair_->detached.size())
            return;
        if (problem(Fix::kDetached, "inode %llu: nothing names it, and it was not removed (link count %u)",
                    number, record.links))
            note(detach(number, facts));
        return;
    }
    if (record.links != expected)
        if (problem(Fix::kLinks, "inode %llu: link count is %u, but %llu were found", number, record.links,
                    expected))
            edit(record, [&](tarnfs_inode& r) {
                r.links = static_cast<tarn_u32>(min<u64>(expected, TARNFS_LINK_MAX));
            });
    check_orphan(number, facts, record);
}

void Checker::check_orphan(u64 number, InodeFacts& facts, const tarnfs_inode& record)
{
    const bool orphan = facts.is(InodeFacts::kOrphan);
    if (record.links == 0 && facts.names == 0 && !orphan)
        if (problem(Fix::kLinks, "inode %llu: has no name, but is not marked as an orphan", number))
            set_orphan(number, facts, true);
    // One with links is a file whose truncation was interrupted.
    if (orphan && record.links && (facts.mode & kTypeMask) != kTypeRegular)
        if (problem(Fix::kLinks, "inode %llu: marked as an orphan, but it has names and is no file", number))
            set_orphan(number, facts, false);
}

// It gets a name when the round is over.
Status Checker::detach(u64 number, InodeFacts& facts)
{
    if (facts.is(InodeFacts::kOrphan) && (facts.mode & kTypeMask) != kTypeRegular)
        set_orphan(number, facts, false);
    return repair_->detached.push({number, facts.is_directory() ? 2 + facts.subdirectories : 1});
}

void Checker::check_parent(u64 number, const InodeFacts& facts, const tarnfs_inode& record)
{
    if (number == TARNFS_INO_ROOT) {
        if (record.parent != TARNFS_INO_ROOT)
            if (problem(Fix::kField, "inode %llu: the root directory's parent is %llu", number,
                        record.parent))
                edit(record, [](tarnfs_inode& r) { r.parent = TARNFS_INO_ROOT; });
        return;
    }
    if (facts.names > 1)
        problem(Fix::kNone, "directory %llu: has %u names", number, facts.names);
    if (facts.names == 1 && record.parent != facts.parent)
        if (problem(Fix::kField, "directory %llu: is in directory %llu, its record says %llu", number,
                    facts.parent, record.parent))
            edit(record, [&](tarnfs_inode& r) { r.parent = facts.parent; });
}

// Follows the names upwards from a directory. Every directory is passed over once: the way ends at one whose
// own way is known already. One that is met again on the same way is part of a ring: it is returned, else 0.
u64 Checker::find_ring(u64 number)
{
    u64 at = number;
    InodeFacts* known = facts(at);
    while (known && known->is_directory() && known->parent && at != TARNFS_INO_ROOT &&
           !(known->flags & (InodeFacts::kChecked | InodeFacts::kOnPath))) {
        known->flags |= InodeFacts::kOnPath;
        at = known->parent;
        known = facts(at);
    }
    const u64 ring = known && known->is(InodeFacts::kOnPath) ? at : 0;
    for (at = number, known = facts(at); known && known->is(InodeFacts::kOnPath); known = facts(at)) {
        known->flags = static_cast<u8>((known->flags & ~InodeFacts::kOnPath) | InodeFacts::kChecked);
        at = known->parent;
    }
    return ring;
}

void Checker::check_reachable(u64 number)
{
    if (const u64 ring = find_ring(number))
        problem(Fix::kNone, "directory %llu: is inside itself and cannot be reached from the root", ring);
}

void Checker::links()
{
    for_each_inode([&](u64 number, InodeFacts& known, const tarnfs_inode& record) -> Status {
        if (!known.is(InodeFacts::kUsable))
            return Ok{};
        check_links(number, known, record);
        if (known.is_directory()) {
            check_parent(number, known, record);
            check_reachable(number);
        }
        return Ok{};
    }).ignore();
}

}  // namespace tarn
