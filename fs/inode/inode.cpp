// SPDX-License-Identifier: GPL-2.0
// Inode: reading the record.
#include "fs/inode/inode.hpp"

#include "fs/filesystem.hpp"

namespace tarn {

bool is_valid_mode(u32 mode)
{
    switch (mode & kTypeMask) {
        case kTypeFifo:
        case kTypeCharacter:
        case kTypeDirectory:
        case kTypeBlock:
        case kTypeRegular:
        case kTypeSymlink:
        case kTypeSocket: return mode <= 0177777;
        default: return false;
    }
}

const tarnfs_inode& Inode::read(const Transaction* txn) const
{
    const byte* bytes = txn ? txn->view(record) : fs.media().at(record);
    return *reinterpret_cast<const tarnfs_inode*>(bytes);
}

TreeRoot Inode::tree() const
{
    const u8 kind = is_directory() ? TARNFS_TREE_DIRECTORY : TARNFS_TREE_EXTENTS;
    return TreeRoot{record, number, generation, kind};
}

TreeRoot Inode::xattr_tree() const { return TreeRoot{record, number, generation, TARNFS_TREE_ATTRIBUTES}; }

u32 possible_flags(u32 mode)
{
    constexpr u32 kOfDirectories = TARNFS_INODE_DIRSYNC | TARNFS_INODE_PROJECT_INHERITED;
    switch (mode & kTypeMask) {
        case kTypeDirectory: return TARNFS_INODE_USER_FLAGS;
        case kTypeRegular: return TARNFS_INODE_USER_FLAGS & ~kOfDirectories;
        default: return TARNFS_INODE_NODUMP | TARNFS_INODE_NOATIME;
    }
}

void set_access_time(tarnfs_inode& record, const tarn_time& time)
{
    record.atime = time.seconds;
    record.atime_ns = time.nanoseconds;
}

void set_modify_time(tarnfs_inode& record, const tarn_time& time)
{
    record.mtime = time.seconds;
    record.mtime_ns = time.nanoseconds;
}

void set_change_time(tarnfs_inode& record, const tarn_time& time)
{
    record.ctime = time.seconds;
    record.ctime_ns = time.nanoseconds;
}

}  // namespace tarn
