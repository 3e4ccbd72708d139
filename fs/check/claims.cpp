// SPDX-License-Identifier: GPL-2.0
// Checker, repairing: passes that only look, so that a later one knows what to believe where two things
// contradict one another. Tree nodes say themselves whose they are, so they are owned before any data; and a
// directory that several entries name is in the one that it says is its parent.
#include "fs/check/checker.hpp"
#include "fs/dir/directory.hpp"

namespace tarn {

template <class Kind>
Status Checker::claim_nodes_of(const TreeRoot& root)
{
    for (TreeWalk<Kind> walk(volume_, root); auto event = walk.next();) {
        if (event->what != WalkEvent::What::kNode)
            continue;
        const Run run{event->block, 1};
        DeviceBlock taken;
        TRY(owners_.own(run, &taken));
        if (taken == run.end())
            TRY(repair_->nodes.mark(run));
        else
            walk.skip();
    }
    return Ok{};
}

Status Checker::claim_nodes()
{
    TRY(repair_->nodes.init());
    return for_each_inode([&](u64 number, InodeFacts& known, const tarnfs_inode& record) -> Status {
        if (!known.is(InodeFacts::kUsable))
            return Ok{};
        TRY(claim_nodes_of<XattrKind>(root_of(number, record, TARNFS_TREE_ATTRIBUTES)));
        if (known.is_directory())
            return claim_nodes_of<DirentKind>(root_of(number, record, TARNFS_TREE_DIRECTORY));
        if (has_block_map(record))
            return claim_nodes_of<ExtentKind>(root_of(number, record, TARNFS_TREE_EXTENTS));
        return Ok{};
    });
}

void Checker::choose_parent(u64 directory, const WalkEvent& event)
{
    const u64 number = decode_entry(event.item).inode.value;
    InodeFacts* target = facts(number);
    if (number <= TARNFS_INO_ROOT || !target || !target->is(InodeFacts::kInUse) || !target->is_directory())
        return;
    if (!target->parent || record(number)->parent == directory)
        target->parent = directory;
}

// Every directory that has a name gets one place. Of directories that are inside one another, one is taken
// out.
void Checker::choose_parents()
{
    for_each_inode([&](u64 number, InodeFacts& known, const tarnfs_inode& record) -> Status {
        if (!known.is_directory())
            return Ok{};
        const TreeRoot root = root_of(number, record, TARNFS_TREE_DIRECTORY);
        for (TreeWalk<DirentKind> walk(volume_, root); auto event = walk.next();) {
            if (event->what == WalkEvent::What::kItem)
                choose_parent(number, *event);
            else if (event->what == WalkEvent::What::kNode && !repair_->nodes.is_owned(event->block))
                walk.skip();
        }
        return Ok{};
    }).ignore();
    for_each_inode([&](u64 number, InodeFacts&, const tarnfs_inode&) -> Status {
        if (const u64 ring = find_ring(number))
            facts(ring)->parent = 0;
        return Ok{};
    }).ignore();
    for_each_inode([](u64, InodeFacts& known, const tarnfs_inode&) -> Status {
        known.flags = static_cast<u8>(known.flags & ~InodeFacts::kChecked);
        return Ok{};
    }).ignore();
}

}  // namespace tarn
