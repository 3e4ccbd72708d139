// SPDX-License-Identifier: GPL-2.0
// Namespace: rename and exchange.
//
// Crash argument: both entries, both directories' counts, the moved inode's parent and change time, and the
// target's last link with its orphan bit are one record: the inode has the old name or the new one, never
// both or neither, and the target is named, or an orphan. So are both entries, both directories' links and
// both parents of an exchange, and the inode that is left under the old name.
#include "cxxrt/mutant.hpp"
#include "fs/dir/inode_locks.hpp"
#include "fs/dir/namespace.hpp"

namespace tarn {

// The bug of two mutants: not in the transaction of the rest.
inline Status Namespace::erase_apart(const Rename& what)
{
    Transaction txn(volume_);
    TRY(directory(what.from_dir).erase(txn, what.from));
    return txn.commit();
}

Status Namespace::rename(const Rename& what)
{
    if (what.target && what.target->number == what.moved.number)
        return Ok{};  // two names of one inode: POSIX wants nothing to happen
    std::optional<ReservedInode> left;
    DurableValues contents;
    if (what.left) {
        left.emplace(TRY(fs_.inodes().reserve(what.from_dir.number)));
        TRY(write_contents(*what.left, block_of(left->record()), contents));
    }
    InodeLocks locks({&what.from_dir, &what.to_dir, &what.moved, what.target});
    TRY(check_entry(what.from_dir, what.from, what.moved));
    if (what.target)
        TRY(check_target(what));
    TRY(check_project(what.to_dir, what.moved));
    if (what.to_dir.read().links == 0)
        return Error::kNotFound;
    if (mutant(Mutant::kRenameLosesSource))
        TRY(erase_apart(what));
    Transaction txn(volume_);
    TRY(rename_records(txn, what));
    TRY(rename_entries(txn, what, left ? &*left : nullptr));
    if (what.target)
        TRY(drop_link(txn, *what.target, what.now));
    if (left) {
        TRY(fill_record(txn, *left, what.from_dir, *what.left));
        TRY(add_contents(txn, {left->number(), left->generation(), left->record()}, *what.left, contents));
        TRY(fs_.inodes().claim(txn, *left));
    }
    TRY(txn.commit());
    if (left)
        left->keep();
    return mutant(Mutant::kRenameShowsBoth) ? erase_apart(what) : Status(Ok{});
}

// The target is what `to` names and of the same sort: a directory, or not.
Status Namespace::check_target(const Rename& what)
{
    TRY(check_entry(what.to_dir, what.to, *what.target));
    if (what.moved.is_directory() == what.target->is_directory())
        return Ok{};
    return what.moved.is_directory() ? Error::kNotDirectory : Error::kIsDirectory;
}

Status Namespace::rename_entries(Transaction& txn, const Rename& what, const ReservedInode* left)
{
    const u8 type = entry_type(what.moved.read().mode);
    Directory to = directory(what.to_dir);
    if (what.target)
        TRY(to.replace(txn, what.to, what.moved.number, type));
    else
        TRY(to.insert(txn, what.to, what.moved.number, type));
    if (mutant(Mutant::kRenameLosesSource) || mutant(Mutant::kRenameShowsBoth))
        return Ok{};
    Directory from = directory(what.from_dir);
    return left ? from.replace(txn, what.from, left->number(), entry_type(what.left->mode))
                : from.erase(txn, what.from);
}

// Sizes, links, parents and times of the directories and of the moved inode.
Status Namespace::rename_records(Transaction& txn, const Rename& what)
{
    const bool crosses = what.from_dir.number != what.to_dir.number;
    const u32 moved_link = what.moved.is_directory() ? 1 : 0;
    const u32 target_link = what.target && what.target->is_directory() ? 1 : 0;
    tarnfs_inode& from = TRY(txn.edit_inode_record(what.from_dir.record));
    tarnfs_inode& to = TRY(txn.edit_inode_record(what.to_dir.record));
    if (from.size == 0)
        return damaged(what.from_dir, "directory with more entries than its size says");
    if (from.links < 2 + moved_link || to.links < 2 + target_link)
        return damaged(what.from_dir, "directory with more subdirectories than links");
    if (crosses && moved_link && !target_link && to.links >= TARNFS_LINK_MAX)
        return Error::kTooManyLinks;
    from.size -= what.left ? 0 : 1;
    from.links -= moved_link;
    to.size += what.target ? 0 : 1;
    to.links += moved_link;
    to.links -= target_link;
    touch_directory(from, what.now);
    if (crosses)
        touch_directory(to, what.now);
    return move_record(txn, what.moved, what, what.to_dir);
}

// What its own record says of an inode whose name is in `dir` from now on.
Status Namespace::move_record(Transaction& txn, Inode& moved, const Rename& what, const Inode& dir)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(moved.record));
    if (moved.is_directory() && !mutant(Mutant::kRenameForgetsParent))
        record.parent = dir.number.value;
    note_change(record);
    set_change_time(record, what.now);
    return Ok{};
}

Status Namespace::exchange(const Rename& what)
{
    if (!what.target)
        return Error::kNotFound;
    if (what.target->number == what.moved.number)
        return Ok{};
    InodeLocks locks({&what.from_dir, &what.to_dir, &what.moved, what.target});
    TRY(check_entry(what.from_dir, what.from, what.moved));
    TRY(check_entry(what.to_dir, what.to, *what.target));
    TRY(check_project(what.to_dir, what.moved));
    TRY(check_project(what.from_dir, *what.target));
    Transaction txn(volume_);
    TRY(exchange_records(txn, what));
    TRY(exchange_entries(txn, what));
    return txn.commit();
}

Status Namespace::exchange_entries(Transaction& txn, const Rename& what)
{
    const u8 moved_type = entry_type(what.moved.read().mode);
    const u8 target_type = entry_type(what.target->read().mode);
    TRY(directory(what.to_dir).replace(txn, what.to, what.moved.number, moved_type));
    return directory(what.from_dir).replace(txn, what.from, what.target->number, target_type);
}

// Links, parents and times. What is in the directories is as much as before.
Status Namespace::exchange_records(Transaction& txn, const Rename& what)
{
    const u32 moved_link = what.moved.is_directory() ? 1 : 0;
    const u32 target_link = what.target->is_directory() ? 1 : 0;
    tarnfs_inode& from = TRY(txn.edit_inode_record(what.from_dir.record));
    tarnfs_inode& to = TRY(txn.edit_inode_record(what.to_dir.record));
    if (from.links < 2 + moved_link || to.links < 2 + target_link)
        return damaged(what.from_dir, "directory with more subdirectories than links");
    from.links += target_link - moved_link;
    to.links += moved_link - target_link;
    if (from.links > TARNFS_LINK_MAX || to.links > TARNFS_LINK_MAX)
        return Error::kTooManyLinks;
    touch_directory(from, what.now);
    if (what.from_dir.number != what.to_dir.number)
        touch_directory(to, what.now);
    TRY(move_record(txn, what.moved, what, what.to_dir));
    return move_record(txn, *what.target, what, what.from_dir);
}

}  // namespace tarn
