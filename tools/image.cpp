// SPDX-License-Identifier: GPL-2.0
#include "tools/image.hpp"

#include <cerrno>
#include <cstdlib>

#include "fs/file/block_map.hpp"
#include "fs/inode/inode.hpp"
#include "tools/console.hpp"

namespace tarn::tools {

namespace {

Layout layout_of(const Target& target)
{
    Media media(target.device());
    auto layout = read_layout(media);
    if (!layout)
        fail(kLookFailed, "%s: %s", target.path().c_str(), describe(layout.error()));
    return layout.take();
}

Bytes bytes_of(const std::string& text)
{
    return Bytes(reinterpret_cast<const byte*>(text.data()), text.size());
}

}  // namespace

void warn_if_mounted(const Target& target)
{
    if (!target.mounted_on().empty())
        warn("%s is mounted on %s: what is shown may be half of a change", target.path().c_str(),
             target.mounted_on().c_str());
}

Image::Image(const std::string& path, Journaled journaled)
    : target_(path, Access::kLook, kLookFailed),
      layout_(layout_of(target_)),
      volume_(target_.device(), layout_)
{
    warn_if_mounted(target_);
    if (journaled == Journaled::kAsIs)
        return;
    if (Status opened = volume_.open(Volume::Access::kReadOnly); !opened)
        warn("%s: journals not replayed: %s", path.c_str(), describe(opened.error()));
}

const tarnfs_inode& Image::record(u64 number)
{
    const auto& table = *reinterpret_cast<const tarnfs_inode*>(media().at(layout_.system_block));
    if (number == TARNFS_INO_TABLE)
        return table;
    const u64 group = number / TARNFS_BITMAP_BITS;
    const u64 within = number % TARNFS_BITMAP_BITS;
    const FileBlock at(group * TARNFS_INODE_GROUP_BLOCKS + TARNFS_INODE_GROUP_HEADER +
                       within / TARNFS_INODES_PER_BLOCK);
    const TreeRoot root{address_of(layout_.system_block), InodeNumber(TARNFS_INO_TABLE), table.generation,
                        TARNFS_TREE_EXTENTS};
    auto mapping = BlockMap(volume_, root).lookup(nullptr, at, 1);
    if (!mapping)
        fail(kLookFailed, "inode table: %s", describe(mapping.error()));
    if (mapping.value().is_hole())
        fail(kLookFailed, "inode %llu: not in use (the inode table has no block for it)", number);
    return reinterpret_cast<const tarnfs_inode*>(
        media().at(mapping.value().device))[within % TARNFS_INODES_PER_BLOCK];
}

MediaAddress Image::address(const tarnfs_inode& record)
{
    return MediaAddress(
        static_cast<u64>(reinterpret_cast<const byte*>(&record) - media().at(DeviceBlock(0))));
}

TreeRoot Image::tree(u64 number)
{
    const tarnfs_inode& inode = record(number);
    if (inode.magic != TARNFS_INODE_MAGIC)
        fail(kLookFailed, "inode %llu: not in use", number);
    const u16 type = inode.mode & kTypeMask;
    if (type == kTypeDirectory)
        return {address(inode), InodeNumber(number), inode.generation, TARNFS_TREE_DIRECTORY};
    if (type == kTypeRegular || (type == kTypeSymlink && !(inode.flags & TARNFS_INODE_INLINE_LINK)))
        return {address(inode), InodeNumber(number), inode.generation, TARNFS_TREE_EXTENTS};
    fail(kLookFailed, "inode %llu: a %s has no tree", number, type_name(inode.mode));
}

TreeRoot Image::xattr_tree(u64 number)
{
    const tarnfs_inode& inode = record(number);
    return {address(inode), InodeNumber(number), inode.generation, TARNFS_TREE_ATTRIBUTES};
}

u64 Image::find(u64 directory, const std::string& name)
{
    if ((record(directory).mode & kTypeMask) != kTypeDirectory)
        fail(kLookFailed, "inode %llu is a %s, not a directory", directory,
             type_name(record(directory).mode));
    auto entry = Directory(volume_, tree(directory)).find(nullptr, bytes_of(name));
    if (!entry)
        fail(kLookFailed, "inode %llu: %s", directory, describe(entry.error()));
    if (!entry.value())
        fail(kLookFailed, "no '%s' in directory %llu", escape(name).c_str(), directory);
    return entry.value()->inode.value;
}

u64 Image::resolve(const std::string& path)
{
    if (!path.empty() && path[0] == '#')
        return parse_number("inode", path.substr(1));
    u64 at = TARNFS_INO_ROOT;
    for (usize from = 0; from < path.size();) {
        const usize slash = std::min(path.find('/', from), path.size());
        const std::string name = path.substr(from, slash - from);
        from = slash + 1;
        if (name == "..")
            at = record(at).parent;
        else if (!name.empty() && name != ".")
            at = find(at, name);
    }
    return at;
}

const char* type_name(u32 mode)
{
    switch (mode & kTypeMask) {
        case kTypeFifo: return "FIFO";
        case kTypeCharacter: return "character device";
        case kTypeDirectory: return "directory";
        case kTypeBlock: return "block device";
        case kTypeRegular: return "file";
        case kTypeSymlink: return "symbolic link";
        case kTypeSocket: return "socket";
        default: return "thing of unknown type";
    }
}

u64 parse_number(const char* what, const std::string& text)
{
    char* end = nullptr;
    errno = 0;
    const unsigned long long number = std::strtoull(text.c_str(), &end, 10);
    if (errno || text.empty() || *end || text[0] == '-')
        fail(kLookFailed, "'%s' is not a number (%s)", escape(text).c_str(), what);
    return number;
}

}  // namespace tarn::tools
