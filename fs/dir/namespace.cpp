// SPDX-License-Identifier: GPL-2.0
// Namespace: making, linking, removing and looking up. (rename.cpp: rename; attributes.cpp: attributes, link
// targets.)
//
// Crash argument: see namespace.hpp: one transaction each. The target block of a long symlink, and those of
// long values of extended attributes, are durable before the transaction that publishes them; a new inode's
// record, bitmap bit and entry are in one record, so there is no half-made inode and no entry without one.
#include "fs/dir/namespace.hpp"

#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/dir/inode_locks.hpp"

namespace tarn {

namespace {

bool is_type(u32 mode, u16 type) { return (mode & kTypeMask) == type; }

bool has_tree(const NewInode& what)
{
    return is_type(what.mode, kTypeRegular) || is_type(what.mode, kTypeDirectory) ||
           (is_type(what.mode, kTypeSymlink) && what.target.size() > TARNFS_ROOT_BYTES);
}

constexpr u32 kNotInherited = TARNFS_INODE_IMMUTABLE | TARNFS_INODE_APPEND;

u32 inherited_flags(u32 flags, u32 mode)
{
    return flags & TARNFS_INODE_USER_FLAGS & ~kNotInherited & possible_flags(mode);
}

bool has_device(u32 mode) { return is_type(mode, kTypeCharacter) || is_type(mode, kTypeBlock); }

u32 packed_size(usize name_length)
{
    return static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + name_length, 8));
}

void pack(byte* to, const Entry& entry)
{
    auto& packed = *reinterpret_cast<tarn_dir_entry*>(to);
    packed.cookie = entry.cookie;
    packed.number = entry.inode.value;
    packed.type = entry.type;
    packed.length = static_cast<u8>(entry.name.size());
    memcpy(packed.name, entry.name.data(), entry.name.size());
}

}  // namespace

Error Namespace::damaged(const Inode& inode, const char* what)
{
    return volume_.corrupt(Error::kBadInode, block_of(inode.record), what);
}

Result<InodeNumber> Namespace::find(Inode& dir, Bytes name)
{
    NoFsScope nofs;
    SharedGuard guard(dir.lock);
    if (!dir.is_directory())
        return Error::kNotDirectory;
    std::optional<Entry> entry = TRY(directory(dir).find(nullptr, name));
    if (!entry)
        return Error::kNotFound;
    return entry->inode;
}

Result<Namespace::Created> Namespace::create(Inode& dir, Bytes name, const NewInode& what)
{
    if (!is_valid_mode(what.mode))
        return Error::kInvalid;
    if (!dir.is_directory())
        return Error::kNotDirectory;
    ReservedInode reserved = TRY(fs_.inodes().reserve(dir.number));
    DurableValues contents;
    TRY(write_contents(what, block_of(reserved.record()), contents));
    const Created created{reserved.number(), reserved.generation(), reserved.record()};

    InodeLocks locks({&dir});
    Transaction txn(volume_);
    tarnfs_inode& parent = TRY(txn.edit_inode_record(dir.record));
    if (parent.links == 0)
        return Error::kNotFound;
    if (is_type(what.mode, kTypeDirectory)) {
        if (parent.links >= TARNFS_LINK_MAX)
            return Error::kTooManyLinks;
        parent.links++;
    }
    TRY(directory(dir).insert(txn, name, created.number, entry_type(what.mode)));
    parent.size++;
    touch_directory(parent, what.now);
    TRY(fill_record(txn, reserved, dir, what));
    TRY(add_contents(txn, created, what, contents));
    if (mutant(Mutant::kHalfMadeInode))
        TRY(txn.commit());
    TRY(fs_.inodes().claim(txn, reserved));
    TRY(txn.commit());
    reserved.keep();
    return created;
}

// Its number and record are nobody else's, so no lock is needed but that of the directory, whose project it gets.
Result<Namespace::Created> Namespace::create_nameless(Inode& dir, const NewInode& what)
{
    if (!is_valid_mode(what.mode) || !is_type(what.mode, kTypeRegular))
        return Error::kInvalid;
    ReservedInode reserved = TRY(fs_.inodes().reserve(dir.number));
    DurableValues contents;
    TRY(write_contents(what, block_of(reserved.record()), contents));
    const Created created{reserved.number(), reserved.generation(), reserved.record()};
    InodeLocks locks({&dir});
    Transaction txn(volume_);
    TRY(fill_record(txn, reserved, dir, what));
    tarnfs_inode& record = TRY(txn.edit_inode_record(reserved.record()));
    record.links = 0;
    TRY(add_contents(txn, created, what, contents));
    TRY(fs_.inodes().claim(txn, reserved));
    if (!mutant(Mutant::kNamelessLeaks))
        TRY(fs_.inodes().claim_orphan(txn, reserved));
    TRY(txn.commit());
    reserved.keep();
    return created;
}

// What a new inode has in blocks: a symlink's target that does not fit into the inode, long values of
// attributes. Durable, with one fence if there is anything.
Status Namespace::write_contents(const NewInode& what, DeviceBlock near, DurableValues& durable)
{
    if (!is_type(what.mode, kTypeSymlink) && what.xattrs.empty())
        return Ok{};
    NoFsScope nofs;
    InFlightBatch in_flight;
    TRY(write_target(what, near, in_flight));
    for (const tarn_xattr& xattr : what.xattrs)
        TRY(Xattrs::write_value(volume_, xattr, near, in_flight));
    return in_flight.size() ? std::move(in_flight).fence(volume_.media(), durable.blocks) : Status(Ok{});
}

// Makes it part of the new inode.
Status Namespace::add_contents(Transaction& txn, const Created& created, const NewInode& what,
                               DurableValues& durable)
{
    if (is_type(what.mode, kTypeSymlink) && has_tree(what)) {
        const TreeRoot root{created.record, created.number, created.generation, TARNFS_TREE_EXTENTS};
        TRY(BlockMap(volume_, root).publish(txn, FileBlock(0), durable.blocks.take(durable.next++)));
    }
    const TreeRoot root{created.record, created.number, created.generation, TARNFS_TREE_ATTRIBUTES};
    if (mutant(Mutant::kCreateBeforeXattrs) && what.xattrs.size())
        TRY(txn.commit());
    for (const tarn_xattr& xattr : what.xattrs)
        TRY(Xattrs(volume_, root).change(txn, {xattr, TARN_XATTR_CREATE}, durable));
    return Ok{};
}

Status Namespace::write_target(const NewInode& what, DeviceBlock near, InFlightBatch& in_flight)
{
    if (!is_type(what.mode, kTypeSymlink))
        return Ok{};
    if (what.target.empty())
        return Error::kInvalid;
    if (what.target.size() >= kBlockSize)
        return Error::kNameTooLong;
    if (what.target.size() <= TARNFS_ROOT_BYTES)
        return Ok{};
    Media& media = volume_.media();
    Reserved reserved = TRY(volume_.reserve(1, near));
    auto filled = std::move(reserved).fill(media, 0, what.target.size(), [&](byte* to, u64 length) {
        tarn_persist_copy(&media.device(), to, what.target.data(), length);
        return length;
    });
    return in_flight.add(std::move(*filled.token));
}

// The whole record of a new inode.
Status Namespace::fill_record(Transaction& txn, const ReservedInode& reserved, Inode& dir,
                              const NewInode& what)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(reserved.record()));
    memset(&record, 0, sizeof(record));
    const bool is_directory = is_type(what.mode, kTypeDirectory);
    record.magic = TARNFS_INODE_MAGIC;
    record.number = reserved.number().value;
    record.generation = reserved.generation();
    record.mode = static_cast<u16>(what.mode);
    record.uid = what.uid;
    record.gid = what.gid;
    record.links = is_directory ? 2 : 1;
    record.parent = is_directory ? dir.number.value : 0;
    record.device = has_device(what.mode) ? what.device : 0;
    record.flags = inherited_flags(dir.read(&txn).flags, what.mode);
    record.project = dir.read(&txn).flags & TARNFS_INODE_PROJECT_INHERITED ? dir.read(&txn).project : 0;
    set_access_time(record, what.now);
    set_modify_time(record, what.now);
    set_change_time(record, what.now);
    record.btime = what.now.seconds;
    record.btime_ns = what.now.nanoseconds;
    if (has_tree(what))
        init_tree_root(record.root, is_directory ? TARNFS_TREE_DIRECTORY : TARNFS_TREE_EXTENTS,
                       record.generation);
    if (!is_type(what.mode, kTypeSymlink))
        return Ok{};
    record.size = what.target.size();
    if (!has_tree(what)) {
        record.flags |= TARNFS_INODE_INLINE_LINK;
        memcpy(record.root, what.target.data(), what.target.size());
    }
    return Ok{};
}

Status Namespace::link(Inode& dir, Bytes name, Inode& inode, const tarn_time& now)
{
    InodeLocks locks({&dir, &inode});
    if (!dir.is_directory())
        return Error::kNotDirectory;
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode.record));
    if (mutant(Mutant::kLinkCountFirst)) {
        record.links++;
        TRY(txn.commit());
        record.links--;
    }
    if (is_type(record.mode, kTypeDirectory))
        return Error::kIsDirectory;
    if (record.links >= TARNFS_LINK_MAX)
        return Error::kTooManyLinks;
    TRY(check_project(dir, inode));
    if (record.links == 0)
        TRY(fs_.inodes().keep_orphan(txn, inode));
    tarnfs_inode& parent = TRY(txn.edit_inode_record(dir.record));
    if (parent.links == 0)
        return Error::kNotFound;
    TRY(directory(dir).insert(txn, name, inode.number, entry_type(record.mode)));
    parent.size++;
    touch_directory(parent, now);
    record.links++;
    note_change(record);
    set_change_time(record, now);
    return txn.commit();
}

// With an inherited project a directory is the root of a tree of one project.
Status Namespace::check_project(const Inode& dir, const Inode& inode)
{
    const tarnfs_inode& its = dir.read();
    const bool differs = (its.flags & TARNFS_INODE_PROJECT_INHERITED) && its.project != inode.read().project;
    return differs ? Status(Error::kOtherProject) : Status(Ok{});
}

// The entry has to be there and to name the inode.
Status Namespace::check_entry(const Inode& dir, Bytes name, const Inode& inode)
{
    if (!dir.is_directory())
        return Error::kNotDirectory;
    std::optional<Entry> entry = TRY(directory(dir).find(nullptr, name));
    if (!entry || entry->inode != inode.number)
        return Error::kNotFound;
    return Ok{};
}

Status Namespace::unlink(Inode& dir, Bytes name, Inode& inode, const tarn_time& now)
{
    InodeLocks locks({&dir, &inode});
    TRY(check_entry(dir, name, inode));
    Transaction txn(volume_);
    tarnfs_inode& parent = TRY(txn.edit_inode_record(dir.record));
    if (parent.size == 0)
        return damaged(dir, "directory with more entries than its size says");
    if (inode.is_directory()) {
        if (parent.links < 3)
            return damaged(dir, "directory with more subdirectories than links");
        parent.links--;
    }
    TRY(directory(dir).erase(txn, name));
    parent.size--;
    touch_directory(parent, now);
    TRY(drop_link(txn, inode, now));
    return txn.commit();
}

// One name less; without any the inode becomes an orphan. A directory has to be empty and loses its only one.
Status Namespace::drop_link(Transaction& txn, Inode& inode, const tarn_time& now)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode.record));
    if (record.links == 0)
        return damaged(inode, "named inode without links");
    if (is_type(record.mode, kTypeDirectory)) {
        if (!TRY(directory(inode).is_empty(&txn)))
            return Error::kNotEmpty;
        if (record.links != 2 || record.size != 0)
            return damaged(inode, "empty directory with a wrong link count or size");
        record.links = 0;
    } else {
        record.links--;
    }
    note_change(record);
    set_change_time(record, now);
    if (record.links || mutant(Mutant::kUnlinkLeaksInode))
        return Ok{};
    return fs_.inodes().add_orphan(txn, inode);
}

Result<u32> Namespace::read(Inode& dir, u64 cookie, MutableBytes buffer)
{
    NoFsScope nofs;
    SharedGuard guard(dir.lock);
    if (!dir.is_directory())
        return Error::kNotDirectory;
    const Directory entries = directory(dir);
    u32 used = 0;
    for (;;) {
        std::optional<Entry> entry = TRY(entries.next(cookie));
        if (!entry || packed_size(entry->name.size()) > buffer.size() - used)
            return used;
        pack(buffer.data() + used, *entry);
        used += packed_size(entry->name.size());
        cookie = entry->cookie + 1;
    }
}

}  // namespace tarn
