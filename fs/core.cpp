// SPDX-License-Identifier: GPL-2.0
// The C ABI of fs/core.h: unpacks arguments, calls FileSystem, InodeTable or Namespace, folds errors to
// errno.
#include "fs/core.h"

#include "fs/dir/namespace.hpp"
#include "fs/file/file.hpp"
#include "fs/filesystem.hpp"

namespace tarn {
namespace {

FileSystem& fs_of(tarn_fs* fs) { return *reinterpret_cast<FileSystem*>(fs); }
const FileSystem& fs_of(const tarn_fs* fs) { return *reinterpret_cast<const FileSystem*>(fs); }
Inode& inode_of(tarn_inode* inode) { return InodeObject::of(inode).inode; }
Inode* inode_or_null(tarn_inode* inode) { return inode ? &inode_of(inode) : nullptr; }

Bytes bytes_of(const tarn_name& name)
{
    return Bytes(reinterpret_cast<const byte*>(name.bytes), name.length);
}

NewInode new_inode_of(const tarn_new_inode& what)
{
    return {what.mode,
            what.uid,
            what.gid,
            what.device,
            bytes_of(what.target),
            what.now,
            Span<const tarn_xattr>(what.xattrs, what.xattr_count)};
}

Access access_of(tarn_access access)
{
    switch (access) {
        case TARN_READ_ONLY: return Access::kReadOnly;
        case TARN_AS_IT_IS: return Access::kAsItIs;
        default: return Access::kReadWrite;
    }
}

// The object of an inode that has been made.
int build(FileSystem& fs, Result<Namespace::Created> made, tarn_inode* child, tarn_attributes& attributes)
{
    if (!made.is_ok())
        return to_errno(made.error());
    const Namespace::Created created = made.take();
    InodeObject& object = InodeObject::create(child, fs, created.number, created.generation, created.record);
    Namespace(fs).attributes(object.inode, attributes);
    return 0;
}

int errno_of(const Status& status) { return to_errno(status.error()); }

}  // namespace
}  // namespace tarn

using namespace tarn;

int tarn_fs_open(const tarn_device* device, tarn_access access, tarn_fs** fs, const char** why)
{
    auto opened = FileSystem::open(*device, access_of(access));
    *why = describe(opened.error());
    if (!opened.is_ok())
        return to_errno(opened.error());
    *fs = reinterpret_cast<tarn_fs*>(opened.take().release());
    return 0;
}

void tarn_fs_close(tarn_fs* fs) { Box<FileSystem>::adopt(&fs_of(fs)).reset(); }

void tarn_fs_shut_down(tarn_fs* fs) { fs_of(fs).volume().shut_down(Error::kRequested); }

void tarn_fs_abandon(tarn_fs* fs) { fs_of(fs).volume().shut_down(Error::kDeviceGone); }

int tarn_fs_set_access(tarn_fs* fs, tarn_access access)
{
    return errno_of(fs_of(fs).set_access(access_of(access)));
}

void tarn_fs_set_on_damage(tarn_fs* fs, tarn_damage what)
{
    using OnDamage = Volume::OnDamage;
    fs_of(fs).volume().set_on_damage(what == TARN_DAMAGE_CONTINUE ? OnDamage::kContinue : OnDamage::kReadOnly);
}

int tarn_fs_is_read_only(const tarn_fs* fs) { return fs_of(fs).is_read_only(); }

int tarn_fs_sync(tarn_fs* fs) { return errno_of(fs_of(fs).sync()); }

int tarn_fs_settle(tarn_fs* fs) { return errno_of(fs_of(fs).settle()); }

void tarn_fs_statistics(tarn_fs* fs, tarn_statistics* statistics)
{
    FileSystem& its_fs = fs_of(fs);
    const Layout& layout = its_fs.volume().layout();
    Space& space = its_fs.volume().space();
    statistics->blocks = layout.data_blocks();
    statistics->free = space.free_blocks();
    statistics->available = statistics->free - min(statistics->free, space.reserve_blocks());
    // What an operation needs besides the inode's own block is not foreseen: an upper bound, as everywhere.
    statistics->free_inodes =
        its_fs.inodes().free_numbers() + statistics->available * TARNFS_INODES_PER_BLOCK;
    statistics->inodes = its_fs.inodes().used() + statistics->free_inodes;
}

const unsigned char* tarn_fs_uuid(const tarn_fs* fs) { return fs_of(fs).volume().layout().uuid; }

int tarn_fs_grow(tarn_fs* fs, unsigned long long blocks) { return errno_of(fs_of(fs).volume().grow(blocks)); }

unsigned long long tarn_fs_blocks(const tarn_fs* fs) { return fs_of(fs).volume().layout().blocks; }

static_assert(TARN_LABEL_BYTES == TARNFS_LABEL_BYTES);

void tarn_fs_label(tarn_fs* fs, char label[TARN_LABEL_BYTES])
{
    fs_of(fs).volume().label(*reinterpret_cast<char(*)[TARN_LABEL_BYTES]>(label));
}

int tarn_fs_set_label(tarn_fs* fs, const char* label) { return errno_of(fs_of(fs).volume().set_label(label)); }

int tarn_inode_open(tarn_fs* fs, unsigned long long number, tarn_inode* inode, tarn_attributes* attributes)
{
    FileSystem& its_fs = fs_of(fs);
    const InodeNumber wanted(number);
    auto found = its_fs.inodes().find(wanted);
    if (!found.is_ok() && found.error() == Error::kStale) {
        Volume& volume = its_fs.volume();
        return to_errno(volume.corrupt(Error::kBadDirectory, volume.layout().system_block,
                                       "an entry names an inode that is not in use"));
    }
    if (!found.is_ok())
        return to_errno(found.error());
    const InodeTable::Found place = found.take();
    InodeObject& object = InodeObject::create(inode, its_fs, wanted, place.generation, place.record);
    Namespace(its_fs).attributes(object.inode, *attributes);
    if (attributes->links > 0)
        return 0;
    object.destroy();
    return to_errno(
        its_fs.volume().corrupt(Error::kBadInode, block_of(place.record), "named inode without links"));
}

int tarn_inode_open_handle(tarn_fs* fs, unsigned long long number, unsigned int generation, tarn_inode* inode,
                           tarn_attributes* attributes)
{
    FileSystem& its_fs = fs_of(fs);
    const InodeNumber wanted(number);
    auto found = its_fs.inodes().find_handle(wanted, generation);
    if (!found.is_ok())
        return to_errno(found.error());
    const InodeTable::Found place = found.take();
    InodeObject& object = InodeObject::create(inode, its_fs, wanted, place.generation, place.record);
    Namespace(its_fs).attributes(object.inode, *attributes);
    return 0;
}

void tarn_inode_close(tarn_inode* inode) { InodeObject::of(inode).destroy(); }

void tarn_inode_free(tarn_inode* inode)
{
    Inode& orphan = inode_of(inode);
    const Status freed = orphan.fs.inodes().free(orphan);
    if (!freed.is_ok() && freed.error() != Error::kReadOnly && freed.error() != Error::kShutDown &&
        !is_corruption(freed.error()))
        tarn_log_device(&orphan.fs.media().device(), TARN_LOG_WARNING,
                        "inode %llu: not freed: %s; the next mount does it",
                        static_cast<unsigned long long>(orphan.number.value), describe(freed.error()));
    InodeObject::of(inode).destroy();
}

void tarn_inode_attributes(tarn_inode* inode, tarn_attributes* attributes)
{
    Namespace(inode_of(inode).fs).attributes(inode_of(inode), *attributes);
}

int tarn_inode_set_attributes(tarn_inode* inode, const tarn_attributes* attributes,
                              const tarn_xattr_change* change)
{
    return errno_of(Namespace(inode_of(inode).fs).set_attributes(inode_of(inode), *attributes, change));
}

int tarn_inode_has_xattrs(tarn_inode* inode)
{
    NoFsScope nofs;
    SharedGuard guard(inode_of(inode).lock);
    return inode_of(inode).read().attributes != 0;
}

int tarn_xattr_get(tarn_inode* inode, unsigned int space, tarn_name name, void* buffer, unsigned int size)
{
    MutableBytes value(static_cast<byte*>(buffer), size);
    auto length = Namespace(inode_of(inode).fs)
                      .get_xattr(inode_of(inode), static_cast<u8>(space), bytes_of(name), value);
    return length.is_ok() ? static_cast<int>(length.value()) : to_errno(length.error());
}

int tarn_xattr_list(tarn_inode* inode, unsigned long long cookie, void* buffer, unsigned int size)
{
    MutableBytes names(static_cast<byte*>(buffer), size);
    auto used = Namespace(inode_of(inode).fs).list_xattrs(inode_of(inode), cookie, names);
    return used.is_ok() ? static_cast<int>(used.value()) : to_errno(used.error());
}

int tarn_inode_set_flags(tarn_inode* inode, unsigned int flags, unsigned int project, tarn_time now)
{
    return errno_of(Namespace(inode_of(inode).fs).set_flags(inode_of(inode), flags, project, now));
}

int tarn_inode_query_version(tarn_inode* inode, unsigned long long* version)
{
    auto queried = File(InodeObject::of(inode)).query_version();
    if (queried.is_ok())
        *version = queried.value();
    return to_errno(queried.error());
}

int tarn_inode_write_times(tarn_inode* inode, const tarn_times* times)
{
    return errno_of(Namespace(inode_of(inode).fs).write_times(inode_of(inode), *times));
}

int tarn_inode_read_link(tarn_inode* inode, char* buffer, unsigned int size)
{
    MutableBytes target(reinterpret_cast<byte*>(buffer), size);
    auto length = Namespace(inode_of(inode).fs).read_link(inode_of(inode), target);
    return length.is_ok() ? static_cast<int>(length.value()) : to_errno(length.error());
}

int tarn_dir_find(tarn_inode* dir, tarn_name name, unsigned long long* number)
{
    auto found = Namespace(inode_of(dir).fs).find(inode_of(dir), bytes_of(name));
    if (found.is_ok())
        *number = found.value().value;
    return to_errno(found.error());
}

int tarn_dir_create(tarn_inode* dir, tarn_name name, const tarn_new_inode* what, tarn_inode* child,
                    tarn_attributes* attributes)
{
    FileSystem& fs = inode_of(dir).fs;
    return build(fs, Namespace(fs).create(inode_of(dir), bytes_of(name), new_inode_of(*what)), child,
                 *attributes);
}

int tarn_dir_create_nameless(tarn_inode* dir, const tarn_new_inode* what, tarn_inode* child,
                             tarn_attributes* attributes)
{
    FileSystem& fs = inode_of(dir).fs;
    return build(fs, Namespace(fs).create_nameless(inode_of(dir), new_inode_of(*what)), child, *attributes);
}

unsigned long long tarn_dir_parent(tarn_inode* dir)
{
    return Namespace(inode_of(dir).fs).parent(inode_of(dir)).value;
}

int tarn_dir_link(tarn_inode* dir, tarn_name name, tarn_inode* inode, tarn_time now)
{
    return errno_of(Namespace(inode_of(dir).fs).link(inode_of(dir), bytes_of(name), inode_of(inode), now));
}

int tarn_dir_unlink(tarn_inode* dir, tarn_name name, tarn_inode* inode, tarn_time now)
{
    return errno_of(Namespace(inode_of(dir).fs).unlink(inode_of(dir), bytes_of(name), inode_of(inode), now));
}

int tarn_dir_rename(const tarn_rename* rename)
{
    Inode& moved = inode_of(rename->moved);
    const NewInode left = rename->left ? new_inode_of(*rename->left) : NewInode{};
    return errno_of(Namespace(moved.fs).rename(Rename{
        inode_of(rename->from_dir), bytes_of(rename->from), inode_of(rename->to_dir), bytes_of(rename->to),
        moved, inode_or_null(rename->target), rename->now, rename->left ? &left : nullptr}));
}

int tarn_dir_exchange(const tarn_rename* rename)
{
    Inode& moved = inode_of(rename->moved);
    return errno_of(Namespace(moved.fs).exchange(Rename{inode_of(rename->from_dir), bytes_of(rename->from),
                                                        inode_of(rename->to_dir), bytes_of(rename->to), moved,
                                                        inode_or_null(rename->target), rename->now}));
}

int tarn_dir_read(tarn_inode* dir, unsigned long long cookie, void* buffer, unsigned int size)
{
    auto used = Namespace(inode_of(dir).fs)
                    .read(inode_of(dir), cookie, MutableBytes(static_cast<byte*>(buffer), size));
    return used.is_ok() ? static_cast<int>(used.value()) : to_errno(used.error());
}
