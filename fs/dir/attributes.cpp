// SPDX-License-Identifier: GPL-2.0
// Namespace: attributes of any inode, plain and extended, and the target of a symlink.
//
// Crash argument: attributes, with an extended one if it changes too, flags and times are one record each. A
// value that needs blocks is durable before. Each makes a version that somebody has seen another one
// (note_change). A symlink's target never changes once it is named.
#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/dir/inode_locks.hpp"
#include "fs/dir/namespace.hpp"

namespace tarn {

namespace {

tarn_time time_of(s64 seconds, u32 nanoseconds) { return tarn_time{seconds, nanoseconds}; }

bool same(const tarn_time& time, s64 seconds, u32 nanoseconds)
{
    return time.seconds == seconds && time.nanoseconds == nanoseconds;
}

void set_times(tarnfs_inode& record, const tarn_times& times)
{
    set_access_time(record, times.access);
    set_modify_time(record, times.modify);
    set_change_time(record, times.change);
}

}  // namespace

Status Namespace::write_value(const tarn_xattr_change& change, const Inode& inode, DurableValues& durable)
{
    if (change.how == TARN_XATTR_REMOVE || change.how == TARN_XATTR_CLEAR)
        return Ok{};
    NoFsScope nofs;
    InFlightBatch in_flight;
    TRY(Xattrs::write_value(volume_, change.xattr, block_of(inode.record), in_flight));
    return in_flight.size() ? std::move(in_flight).fence(volume_.media(), durable.blocks) : Status(Ok{});
}

// The bug of a mutant: without the rest.
inline Status Namespace::change_apart(Inode& inode, const tarn_xattr_change& change, DurableValues& value)
{
    Transaction txn(volume_);
    TRY(Xattrs(volume_, inode.xattr_tree()).change(txn, change, value));
    return txn.commit();
}

Status Namespace::set_attributes(Inode& inode, const tarn_attributes& attributes,
                                 const tarn_xattr_change* change)
{
    constexpr u16 kPermissions = 07777;
    DurableValues value;
    if (change)
        TRY(write_value(*change, inode, value));
    InodeLocks locks({&inode});
    if (change && mutant(Mutant::kAclBeforeMode))
        TRY(change_apart(inode, *std::exchange(change, nullptr), value));
    Transaction txn(volume_);
    if (change)
        TRY(Xattrs(volume_, inode.xattr_tree()).change(txn, *change, value));
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode.record));
    if (!mutant(Mutant::kAttributesNotLogged)) {
        record.mode = static_cast<u16>((record.mode & kTypeMask) | (attributes.mode & kPermissions));
        record.uid = attributes.uid;
        record.gid = attributes.gid;
    }
    set_times(record, attributes.times);
    note_change(record);
    if (mutant(Mutant::kUnlockedCommit))
        locks.release();
    return txn.commit();
}

Status Namespace::set_flags(Inode& inode, u32 flags, u32 project, const tarn_time& now)
{
    InodeLocks locks({&inode});
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode.record));
    record.flags = (record.flags & ~TARNFS_INODE_USER_FLAGS) |
                   (flags & TARNFS_INODE_USER_FLAGS & possible_flags(record.mode));
    if (mutant(Mutant::kFlagsBeforeProject))
        TRY(txn.commit());
    record.project = project;
    note_change(record);
    set_change_time(record, now);
    return txn.commit();
}

// The bug of a mutant: without a record.
inline Status Namespace::store_times(Inode& inode, const tarn_times& times)
{
    Media& media = volume_.media();
    tarnfs_inode record = inode.read();
    set_times(record, times);
    record.crc = structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc));
    media.copy(media.writable(inode.record), &record, sizeof(record));
    return media.fence();
}

// What changes a directory logs when: nobody else knows better, and who had the times from before that may
// come only now.
Status Namespace::write_times(Inode& inode, const tarn_times& known)
{
    InodeLocks locks({&inode});
    const tarnfs_inode& now = inode.read();
    tarn_times times = known;
    if (inode.is_directory()) {
        times.modify = time_of(now.mtime, now.mtime_ns);
        times.change = time_of(now.ctime, now.ctime_ns);
    }
    if (same(times.access, now.atime, now.atime_ns) && same(times.modify, now.mtime, now.mtime_ns) &&
        same(times.change, now.ctime, now.ctime_ns))
        return Ok{};
    if (mutant(Mutant::kTimesNotLogged))
        return Ok{};
    if (mutant(Mutant::kTimesInPlace))
        return store_times(inode, times);
    Transaction txn(volume_);
    set_times(TRY(txn.edit_inode_record(inode.record)), times);
    return txn.commit();
}

void Namespace::attributes(Inode& inode, tarn_attributes& attributes)
{
    NoFsScope nofs;
    SharedGuard guard(inode.lock);
    const tarnfs_inode& record = inode.read();
    attributes.number = record.number;
    attributes.size = record.size;
    attributes.blocks = record.blocks;
    attributes.generation = record.generation;
    attributes.mode = record.mode;
    attributes.uid = record.uid;
    attributes.gid = record.gid;
    attributes.links = record.links;
    attributes.device = record.device;
    attributes.times.access = time_of(record.atime, record.atime_ns);
    attributes.times.modify = time_of(record.mtime, record.mtime_ns);
    attributes.times.change = time_of(record.ctime, record.ctime_ns);
    attributes.birth = time_of(record.btime, record.btime_ns);
    attributes.flags = record.flags;
    attributes.project = record.project;
}

InodeNumber Namespace::parent(Inode& dir)
{
    NoFsScope nofs;
    SharedGuard guard(dir.lock);
    return InodeNumber(dir.read().parent);
}

Result<u32> Namespace::get_xattr(Inode& inode, u8 space, Bytes name, MutableBytes buffer)
{
    NoFsScope nofs;
    SharedGuard guard(inode.lock);
    return Xattrs(volume_, inode.xattr_tree()).get(space, name, buffer);
}

Result<u32> Namespace::list_xattrs(Inode& inode, u64 cookie, MutableBytes buffer)
{
    NoFsScope nofs;
    SharedGuard guard(inode.lock);
    const Xattrs xattrs(volume_, inode.xattr_tree());
    u32 used = 0;
    for (;;) {
        const std::optional<XattrEntry> entry = TRY(xattrs.next(cookie));
        const usize bytes = entry ? round_up(offsetof(tarn_xattr_name, name) + entry->name.size(), 8) : 0;
        if (!entry || bytes > buffer.size() - used)
            return used;
        auto& packed = *reinterpret_cast<tarn_xattr_name*>(buffer.data() + used);
        packed.cookie = entry->cookie;
        packed.space = entry->space;
        packed.length = static_cast<u8>(entry->name.size());
        memcpy(packed.name, entry->name.data(), entry->name.size());
        used += static_cast<u32>(bytes);
        cookie = entry->cookie + 1;
    }
}

Result<u32> Namespace::read_link(Inode& link, MutableBytes buffer)
{
    NoFsScope nofs;
    SharedGuard guard(link.lock);
    const tarnfs_inode& record = link.read();
    if (!link.is(kTypeSymlink) || record.size > buffer.size())
        return Error::kInvalid;
    const byte* target = reinterpret_cast<const byte*>(record.root);
    if (!(record.flags & TARNFS_INODE_INLINE_LINK)) {
        const Mapping mapping = TRY(BlockMap(volume_, link.tree()).lookup(nullptr, FileBlock(0), 1));
        if (mapping.state != Mapping::State::kWritten)
            return damaged(link, "symlink without a target");
        target = volume_.media().at(mapping.device);
    }
    memcpy(buffer.data(), target, record.size);
    if (memchr(buffer.data(), 0, record.size))
        return damaged(link, "symlink target with a NUL");
    return static_cast<u32>(record.size);
}

}  // namespace tarn
