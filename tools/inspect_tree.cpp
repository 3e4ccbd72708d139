// SPDX-License-Identifier: GPL-2.0
// Inodes, their trees, directories, extended attributes.
#include <cstdio>

#include "fs/inode/inode.hpp"
#include "fs/tree/walk.hpp"
#include "fs/xattr/xattrs.hpp"
#include "tools/console.hpp"
#include "tools/inspect.hpp"

namespace tarn::tools {

namespace {

std::string name_text(Bytes name)
{
    return escape(std::string(reinterpret_cast<const char*>(name.data()), name.size()));
}

void print_extent(const Item& item)
{
    const Extent e = unpack_extent(item.key, load<u64>(item.payload.data()));
    std::printf("file blocks %llu-%llu at block %llu%s\n", e.first.value, e.end().value - 1, e.device.value,
                e.unwritten ? ", unwritten" : "");
}

void print_entry(const Item& item)
{
    const Entry entry = decode_entry(item);
    std::printf("%#018llx  type %-2u  inode %-8llu  %s\n", entry.cookie, entry.type, entry.inode.value,
                name_text(entry.name).c_str());
}

void print_xattr(const Item& item)
{
    const XattrEntry entry = decode_xattr(item);
    const char* const spaces[] = {"user", "trusted", "security", "system"};
    std::printf("%#018llx  %s.%s  %u bytes", entry.cookie, spaces[entry.space - 1],
                name_text(entry.name).c_str(), entry.length);
    for (u32 i = 0; i < entry.blocks(); i++)
        std::printf("%s%llu",
                    i                    ? ", "
                    : entry.blocks() > 1 ? " in blocks "
                                         : " in block ",
                    entry.block(i).value);
    std::printf("\n");
}

// The level of the node that the walk meets first.
u32 root_level(Image& image, const tarnfs_inode& inode, RootPlace place)
{
    if (place == RootPlace::kRecord)
        return reinterpret_cast<const tarnfs_node*>(inode.root)->level;
    const Run root{DeviceBlock(inode.attributes), 1};
    const bool is_there = image.layout().is_data(root);
    return is_there ? reinterpret_cast<const tarnfs_node*>(image.media().at(root.start))->level : 0;
}

template <class Kind>
void print_tree(Image& image, const TreeRoot& root, void (*print_item)(const Item&))
{
    const auto& inode = *reinterpret_cast<const tarnfs_inode*>(image.media().at(root.record));
    const auto& node = *reinterpret_cast<const tarnfs_node*>(inode.root);
    const u32 level = root_level(image, inode, Kind::kRoot);
    if (Kind::kRoot == RootPlace::kRecord)
        std::printf("root in the inode, level %u, %u items\n", node.level, node.count);
    else
        std::printf("attributes: root in block %llu\n", inode.attributes);
    for (TreeWalk<Kind> walk(image.volume(), root); auto event = walk.next();) {
        const int depth = static_cast<int>(level - event->level) * 2;
        if (event->what == WalkEvent::What::kNode) {
            const auto& block = *reinterpret_cast<const tarnfs_node*>(image.media().at(event->block));
            std::printf("%*snode in block %llu, level %u, %u items\n", depth, "", event->block.value,
                        event->level, block.count);
        } else if (event->what == WalkEvent::What::kDamage) {
            std::printf("%*sDAMAGED: block %llu: %s\n", depth, "", event->block.value, event->damage);
        } else {
            std::printf("%*s", depth + 2, "");
            print_item(event->item);
        }
    }
}

void show_xattrs(Image& image, u64 number)
{
    print_tree<XattrKind>(image, image.xattr_tree(number), print_xattr);
}

void print_root(Image& image, u64 number, const tarnfs_inode& inode)
{
    const u16 type = inode.mode & kTypeMask;
    if (type == kTypeSymlink && (inode.flags & TARNFS_INODE_INLINE_LINK)) {
        const u64 length = std::min<u64>(inode.size, TARNFS_ROOT_BYTES);
        std::printf("  target          '%s'\n",
                    escape(std::string(reinterpret_cast<const char*>(inode.root), length)).c_str());
        if (inode.attributes)
            show_xattrs(image, number);
    } else if (type == kTypeDirectory || type == kTypeRegular || type == kTypeSymlink) {
        show_tree(image, number);
    } else if (inode.attributes) {
        show_xattrs(image, number);
    }
}

}  // namespace

void show_inode(Image& image, u64 number)
{
    const tarnfs_inode& i = image.record(number);
    const bool whole = i.crc == structure_crc(&i, sizeof i, offsetof(tarnfs_inode, crc));
    if (i.magic != TARNFS_INODE_MAGIC)
        fail(kLookFailed, "inode %llu: not in use", number);
    std::printf("inode %llu: %s\n", number, type_name(i.mode));
    std::printf("  checksum        %#010x %s\n", i.crc, whole ? "(good)" : "(wrong)");
    std::printf("  number          %llu%s\n", i.number, i.number == number ? "" : " (wrong)");
    std::printf("  generation      %u\n", i.generation);
    std::printf("  mode            %06o\n", i.mode);
    std::printf("  owner           %u:%u\n", i.uid, i.gid);
    std::printf("  links           %u%s\n", i.links, i.links ? "" : " (still to be freed)");
    std::printf("  flags           %#x\n", i.flags);
    std::printf("  size            %llu\n", i.size);
    std::printf("  blocks          %llu\n", i.blocks);
    std::printf("  accessed        %s\n", time_text(i.atime, i.atime_ns).c_str());
    std::printf("  modified        %s\n", time_text(i.mtime, i.mtime_ns).c_str());
    std::printf("  changed         %s\n", time_text(i.ctime, i.ctime_ns).c_str());
    std::printf("  born            %s\n", time_text(i.btime, i.btime_ns).c_str());
    std::printf("  parent          %llu\n", i.parent);
    std::printf("  device          %#x\n", i.device);
    std::printf("  version         %llu\n", i.version);
    print_root(image, number, i);
}

void show_tree(Image& image, u64 number)
{
    const TreeRoot root = image.tree(number);
    if (root.kind == TARNFS_TREE_DIRECTORY)
        print_tree<DirentKind>(image, root, print_entry);
    else
        print_tree<ExtentKind>(image, root, print_extent);
    if (image.record(number).attributes)
        show_xattrs(image, number);
}

void show_directory(Image& image, const std::string& path)
{
    const u64 number = image.resolve(path);
    const TreeRoot root = image.tree(number);
    if (root.kind != TARNFS_TREE_DIRECTORY)
        fail(kLookFailed, "%s: a %s, not a directory", escape(path).c_str(),
             type_name(image.record(number).mode));
    std::printf("directory %llu, in directory %llu\n", number, image.record(number).parent);
    for (TreeWalk<DirentKind> walk(image.volume(), root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem)
            print_entry(event->item);
        else if (event->what == WalkEvent::What::kDamage)
            std::printf("DAMAGED: block %llu: %s\n", event->block.value, event->damage);
    }
}

}  // namespace tarn::tools
