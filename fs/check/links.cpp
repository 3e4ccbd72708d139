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
    if (record.links != expected)
        problem("inode %llu: link count is %u, but %llu were found", number, record.links, expected);
    else if (expected == 0 && !facts.is(InodeFacts::kOrphan))
        problem("inode %llu: has no name, but is not marked as an orphan", number);
    // One with links is a file whose truncation was interrupted.
    if (facts.is(InodeFacts::kOrphan) && record.links && (facts.mode & kTypeMask) != kTypeRegular)
        problem("inode %llu: marked as an orphan, but it has names and is no file", number);
}

void Checker::check_parent(u64 number, const InodeFacts& facts, const tarnfs_inode& record)
{
    if (number == TARNFS_INO_ROOT) {
        if (record.parent != TARNFS_INO_ROOT)
            problem("inode %llu: the root directory's parent is %llu", number, record.parent);
        return;
    }
    if (facts.names > 1)
        problem("directory %llu: has %u names", number, facts.names);
    if (facts.names == 1 && record.parent != facts.parent)
        problem("directory %llu: is in directory %llu, its record says %llu", number, facts.parent,
                record.parent);
}

// Follows the names upwards from a directory. Every directory is passed over once: the way ends at one whose
// own way is known already. One that is met again on the same way is part of a ring.
void Checker::check_reachable(u64 number)
{
    u64 at = number;
    InodeFacts* known = facts(at);
    while (known && known->is_directory() && known->names && at != TARNFS_INO_ROOT &&
           !(known->flags & (InodeFacts::kChecked | InodeFacts::kOnPath))) {
        known->flags |= InodeFacts::kOnPath;
        at = known->parent;
        known = facts(at);
    }
    if (known && known->is(InodeFacts::kOnPath))
        problem("directory %llu: is inside itself and cannot be reached from the root", at);
    for (at = number, known = facts(at); known && known->is(InodeFacts::kOnPath); known = facts(at)) {
        known->flags = static_cast<u8>((known->flags & ~InodeFacts::kOnPath) | InodeFacts::kChecked);
        at = known->parent;
    }
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
