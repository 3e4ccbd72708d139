// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/damage.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "fs/space/bits.hpp"
#include "fs/tree/kinds.hpp"

namespace tarn::test {

namespace {

const Layout& layout_of(TestFileSystem& fs) { return fs.fs().volume().layout(); }

tarnfs_bitmap& group_bitmap(TestFileSystem& fs)
{
    return fs.device().at<tarnfs_bitmap>(layout_of(fs).bitmap(0).value);
}
tarnfs_bitmap& inode_bitmap(TestFileSystem& fs)
{
    return fs.device().at<tarnfs_bitmap>(layout_of(fs).first_data.value);
}
tarnfs_bitmap& orphan_bitmap(TestFileSystem& fs)
{
    return fs.device().at<tarnfs_bitmap>(layout_of(fs).first_data.value + 1);
}

InodeNumber path(TestFileSystem& fs, std::initializer_list<const char*> names)
{
    InodeNumber at = kRoot;
    for (const char* name : names)
        at = fs.find(at, name);
    return at;
}

// Changes a record and makes its checksum right, so that only the change is wrong.
void edit(TestFileSystem& fs, InodeNumber number, const std::function<void(tarnfs_inode&)>& change)
{
    tarnfs_inode& record = fs.record(number);
    change(record);
    TestFileSystem::seal(record);
}

tarnfs_node& root_node(tarnfs_inode& record) { return *reinterpret_cast<tarnfs_node*>(record.root); }
// An item of a node, by slot.
template <class T>
T& item_of(void* node, u32 header, u32 slot)
{
    auto* bytes = static_cast<unsigned char*>(node);
    return *reinterpret_cast<T*>(bytes + load<u16>(reinterpret_cast<byte*>(bytes + header + 2 * slot)));
}
tarnfs_extent_item& first_extent(tarnfs_inode& record)
{
    EXPECT_EQ(root_node(record).level, 0);
    return item_of<tarnfs_extent_item>(record.root, sizeof(tarnfs_node), 0);
}
// The block of the first child of a tree that has block nodes.
unsigned char* first_child(TestFileSystem& fs, InodeNumber number)
{
    tarnfs_inode& record = fs.record(number);
    EXPECT_GT(root_node(record).level, 0);
    const auto& child = item_of<tarnfs_child_item>(record.root, sizeof(tarnfs_node), 0);
    return reinterpret_cast<unsigned char*>(fs.device().block(child.block));
}
// First entry of a directory whose root is a leaf.
tarnfs_dirent_item& first_entry(tarnfs_inode& record)
{
    EXPECT_EQ(root_node(record).level, 0);
    EXPECT_GT(root_node(record).count, 0);
    return item_of<tarnfs_dirent_item>(record.root, sizeof(tarnfs_node), 0);
}

InodeNumber whole(TestFileSystem& fs) { return path(fs, {"files", "whole"}); }
InodeNumber holes(TestFileSystem& fs) { return path(fs, {"files", "holes"}); }
InodeNumber d1(TestFileSystem& fs) { return path(fs, {"files", "d0", "d1"}); }
InodeNumber d2(TestFileSystem& fs) { return path(fs, {"files", "d0", "d1", "d2"}); }
InodeNumber deepest(TestFileSystem& fs)
{
    return path(fs, {"files", "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"});
}

InodeNumber tagged(TestFileSystem& fs) { return path(fs, {"files", "tagged"}); }
InodeNumber labelled(TestFileSystem& fs) { return path(fs, {"files", "labelled"}); }
unsigned char* xattr_root(TestFileSystem& fs, InodeNumber number)
{
    return reinterpret_cast<unsigned char*>(fs.device().block(fs.record(number).attributes));
}
// An attribute of the directory that has two, in its only node: the one whose value has blocks, or the other.
tarnfs_xattr_item& xattr_item(TestFileSystem& fs, bool large)
{
    for (u32 slot = 0; slot < 2; slot++) {
        auto& item =
            item_of<tarnfs_xattr_item>(xattr_root(fs, labelled(fs)), sizeof(tarnfs_block_node), slot);
        if ((item.value_length > TARNFS_XATTR_INLINE) == large)
            return item;
    }
    throw std::runtime_error("no such attribute");
}
tarn_u64* value_blocks(TestFileSystem& fs)
{
    return reinterpret_cast<tarn_u64*>(&xattr_item(fs, true)) + XattrKind::value_at(5) / 8;
}
// A leaf of the file that has many.
unsigned char* xattr_leaf(TestFileSystem& fs)
{
    auto* root = xattr_root(fs, tagged(fs));
    EXPECT_GT(reinterpret_cast<tarnfs_node*>(root)->level, 0);
    const auto& child = item_of<tarnfs_child_item>(root, sizeof(tarnfs_block_node), 0);
    return reinterpret_cast<unsigned char*>(fs.device().block(child.block));
}

std::vector<Damage> all_damages()
{
    return {
        {"SuperblockChecksum", "block 0: superblock: wrong checksum",
         [](TestFileSystem& fs) { fs.device().at<tarnfs_superblock>(0).label[3] ^= 1; }},
        {"SuperblockReplicaGone", "superblock replica: no tarnfs superblock",
         [](TestFileSystem& fs) { fs.device().at<tarnfs_superblock>(kTestBlocks - 1).magic = 0; }},
        {"SuperblockReplicaDiffers", "superblock replica differs",
         [](TestFileSystem& fs) {
             auto& replica = fs.device().at<tarnfs_superblock>(kTestBlocks - 1);
             replica.label[0] ^= 1;
             replica.crc = structure_crc(&replica, sizeof replica, offsetof(tarnfs_superblock, crc));
         }},
        {"JournalSlots", "journal 1: neither header slot is good",
         [](TestFileSystem& fs) {
             std::memset(fs.device().block(layout_of(fs).journal(1).value), 0x55, 128);
         }},

        {"BlockBitmapMagic", "block bitmap of group 0: not such a bitmap",
         [](TestFileSystem& fs) { group_bitmap(fs).magic++; }},
        {"BlockBitmapIndex", "says it is of group 5", [](TestFileSystem& fs) { group_bitmap(fs).index = 5; }},
        {"BlockBitmapCounter", "bits are set, its counter says",
         [](TestFileSystem& fs) { group_bitmap(fs).set += 2; }},
        {"BlockBitmapEnd", "bits behind the end are set",
         [](TestFileSystem& fs) { bits::set(group_bitmap(fs).words, kTestBlocks + 5, 1); }},
        {"BlockMarkedFree", "in use, but marked free",
         [](TestFileSystem& fs) {
             bits::clear(group_bitmap(fs).words, static_cast<u32>(layout_of(fs).first_data.value), 1);
             group_bitmap(fs).set--;
         }},
        {"BlocksLeaked", "blocks 4080-4089: marked in use, but nothing uses them",
         [](TestFileSystem& fs) {
             bits::set(group_bitmap(fs).words, 4080, 10);
             group_bitmap(fs).set += 10;
         }},

        {"TableChecksum", "inode of the inode table: wrong checksum",
         [](TestFileSystem& fs) { fs.device().at<tarnfs_inode>(layout_of(fs).system_block.value).uid++; }},
        {"TableRecord", "inode of the inode table: the inode table is no file",
         [](TestFileSystem& fs) {
             auto& table = fs.device().at<tarnfs_inode>(layout_of(fs).system_block.value);
             table.mode = kTypeDirectory | 0755;
             TestFileSystem::seal(table);
         }},
        {"ChunkCut", "not all of their blocks are there",
         [](TestFileSystem& fs) {
             auto& table = fs.device().at<tarnfs_inode>(layout_of(fs).system_block.value);
             auto& last =
                 item_of<tarnfs_extent_item>(table.root, sizeof(tarnfs_node), root_node(table).count - 1u);
             last.value -= u64{1} << TARNFS_EXTENT_BLOCK_BITS;
             TestFileSystem::seal(table);
         }},
        {"TableTree", "inode table: block 2:",
         [](TestFileSystem& fs) {
             root_node(fs.device().at<tarnfs_inode>(layout_of(fs).system_block.value)).magic = 0;
         }},
        {"InodeBitmapKind", "inode bitmap of group 0: not such a bitmap",
         [](TestFileSystem& fs) { inode_bitmap(fs).kind = TARNFS_BITMAP_BLOCKS; }},
        {"InodeBitmapCounter",
         "inode bitmap of group 0:", [](TestFileSystem& fs) { inode_bitmap(fs).set--; }},
        {"InodeWithoutChunk", "inode 30000: marked in use, but the table has no block for it",
         [](TestFileSystem& fs) { bits::set(inode_bitmap(fs).words, 30000, 1); }},
        {"InodeWithoutRecord", "marked in use, but there is no record of it",
         [](TestFileSystem& fs) {
             const u32 free = bits::find(inode_bitmap(fs).words, 0, 256, 0);
             bits::set(inode_bitmap(fs).words, free, 1);
             inode_bitmap(fs).set++;
         }},
        {"RecordWithoutBit", "has a record, but is not marked in use",
         [](TestFileSystem& fs) {
             bits::clear(inode_bitmap(fs).words, static_cast<u32>(whole(fs).value), 1);
         }},
        {"OrphanNotInUse", "marked as an orphan, but not in use",
         [](TestFileSystem& fs) {
             bits::set(orphan_bitmap(fs).words, bits::find(inode_bitmap(fs).words, 0, 256, 0), 1);
         }},
        {"FreeRecordNotEmpty", "not in use, but its record is not empty",
         [](TestFileSystem& fs) {
             const u32 free = bits::find(inode_bitmap(fs).words, 0, 256, 0);
             const tarnfs_inode& neighbour = fs.record(InodeNumber(free - 1));
             (const_cast<tarnfs_inode*>(&neighbour) + 1)->magic = 5;
         }},
        {"OrphanDirectory", "marked as an orphan, but it has names and is no file",
         [](TestFileSystem& fs) {
             bits::set(orphan_bitmap(fs).words, static_cast<u32>(d1(fs).value), 1);
             orphan_bitmap(fs).set++;
         }},
        {"OrphanUnmarked", "has no name, but is not marked as an orphan",
         [](TestFileSystem& fs) {
             auto& orphans = orphan_bitmap(fs);
             std::memset(orphans.words, 0, sizeof orphans.words);
             orphans.set = 0;
         }},

        {"InodeChecksum", ": wrong checksum", [](TestFileSystem& fs) { fs.record(whole(fs)).uid = 77; }},
        {"InodeMode", "impossible mode",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.mode = 0; }); }},
        {"InodeFlags", "unknown flags 0x80",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.flags = 0x80; }); }},
        {"InodeTime", "impossible time",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.mtime_ns = 1000000000; }); }},
        {"InodeSize", "impossible size",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.size = ~u64{0}; }); }},
        {"BlocksBehindEnd", "has written blocks behind its end, but is not marked as an orphan",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.size = 299 * kBlockSize; }); }},
        {"InodeBlocks", "has 300 blocks, its record says 299",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.blocks--; }); }},
        {"FileParent", "no directory, but has parent 9",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.parent = 9; }); }},
        {"LinkCount", "link count is 3, but 2 were found",
         [](TestFileSystem& fs) { edit(fs, whole(fs), [](tarnfs_inode& i) { i.links++; }); }},
        {"DirectoryLinkCount", "link count is 1, but 4 were found",
         [](TestFileSystem& fs) { edit(fs, path(fs, {"files"}), [](tarnfs_inode& i) { i.links = 1; }); }},
        {"SymlinkEmpty", "symbolic link with a target of 0 bytes",
         [](TestFileSystem& fs) {
             edit(fs, fs.find(deepest(fs), "short-link"), [](tarnfs_inode& i) { i.size = 0; });
         }},
        {"SymlinkTooLong", "symbolic link with a target of 4096 bytes",
         [](TestFileSystem& fs) {
             edit(fs, fs.find(deepest(fs), "long-link"), [](tarnfs_inode& i) { i.size = 4096; });
         }},
        {"SpecialSize", "special file with a size of 5",
         [](TestFileSystem& fs) { edit(fs, path(fs, {"moved-fifo"}), [](tarnfs_inode& i) { i.size = 5; }); }},

        {"ExtentShared", "used as data of inode",
         [](TestFileSystem& fs) {
             const u64 theirs = first_extent(fs.record(path(fs, {"files", "far"}))).value;
             edit(fs, whole(fs), [&](tarnfs_inode& i) {
                 first_extent(i).value = (theirs & ((u64{1} << TARNFS_EXTENT_BLOCK_BITS) - 1)) |
                                         u64{3} << TARNFS_EXTENT_BLOCK_BITS;
             });
         }},
        {"ExtentInJournal", "block",
         [](TestFileSystem& fs) {
             edit(fs, whole(fs),
                  [](tarnfs_inode& i) { first_extent(i).value = 4 | u64{1} << TARNFS_EXTENT_BLOCK_BITS; });
         }},
        {"LinkUnwritten", "symbolic link whose target is not in one block",
         [](TestFileSystem& fs) {
             edit(fs, fs.find(deepest(fs), "long-link"),
                  [](tarnfs_inode& i) { first_extent(i).value |= u64{1} << 63; });
         }},
        {"NodeOwner", "another place or owner",
         [](TestFileSystem& fs) {
             reinterpret_cast<tarnfs_block_node*>(first_child(fs, holes(fs)))->owner ^= 1;
         }},
        {"NodeKeys", "tree node",
         [](TestFileSystem& fs) {
             auto* node = first_child(fs, holes(fs));
             item_of<tarnfs_extent_item>(node, sizeof(tarnfs_block_node), 1).key = 0;
         }},
        {"NodeShared", "used as tree node of inode",
         [](TestFileSystem& fs) {
             // A data block of another file where a node is: the node stays whole.
             const tarnfs_inode& owner = fs.record(holes(fs));
             u64 node;
             std::memcpy(
                 &node,
                 &item_of<tarnfs_child_item>(const_cast<u8*>(owner.root), sizeof(tarnfs_node), 0).block, 8);
             edit(fs, whole(fs), [&](tarnfs_inode& i) {
                 first_extent(i).value = node | u64{1} << TARNFS_EXTENT_BLOCK_BITS;
             });
         }},

        {"XattrRoot", "root outside of the data area",
         [](TestFileSystem& fs) { edit(fs, labelled(fs), [](tarnfs_inode& i) { i.attributes = 7; }); }},
        {"XattrRootShared", "attributes: block ",
         [](TestFileSystem& fs) {
             const u64 theirs = fs.record(tagged(fs)).attributes;
             edit(fs, labelled(fs), [&](tarnfs_inode& i) { i.attributes = theirs; });
         }},
        {"XattrRootEmpty", "empty tree node",
         [](TestFileSystem& fs) {
             auto& node = *reinterpret_cast<tarnfs_node*>(xattr_root(fs, labelled(fs)));
             node.count = node.dead = 0;
             node.heap = kBlockSize;
         }},
        {"XattrRootLost", "marked in use, but nothing uses them",
         [](TestFileSystem& fs) { edit(fs, labelled(fs), [](tarnfs_inode& i) { i.attributes = 0; }); }},
        {"XattrLeaf", "no tree node of this kind",
         [](TestFileSystem& fs) {
             reinterpret_cast<tarnfs_node*>(xattr_leaf(fs))->kind = TARNFS_TREE_DIRECTORY;
         }},
        {"XattrSpace", "extended attribute of an unknown name space",
         [](TestFileSystem& fs) { xattr_item(fs, false).space = 9; }},
        {"XattrName", "attribute 'security.mabel' is not where its name belongs",
         [](TestFileSystem& fs) { xattr_item(fs, false).name[0] ^= 1; }},
        {"XattrTwice", "is there twice",
         [](TestFileSystem& fs) {
             auto* leaf = xattr_leaf(fs);
             auto& first = item_of<tarnfs_xattr_item>(leaf, sizeof(tarnfs_block_node), 0);
             for (u32 slot = 1;; slot++) {
                 auto& other = item_of<tarnfs_xattr_item>(leaf, sizeof(tarnfs_block_node), slot);
                 if (XattrKind::bytes(reinterpret_cast<byte*>(&first), kBlockSize) !=
                     XattrKind::bytes(reinterpret_cast<byte*>(&other), kBlockSize))
                     continue;
                 std::memcpy(&other, &first, XattrKind::bytes(reinterpret_cast<byte*>(&first), kBlockSize));
                 // It stands behind the first.
                 auto* slots = reinterpret_cast<u16*>(leaf + sizeof(tarnfs_block_node));
                 for (u32 at = slot; at > 1; at--)
                     std::swap(slots[at], slots[at - 1]);
                 other.key = first.key + 1;
                 return;
             }
         }},
        {"XattrValueShared", "used as value of",
         [](TestFileSystem& fs) { value_blocks(fs)[0] = fs.record(tagged(fs)).attributes; }},
        {"XattrValueRepeated", "used as value of",
         [](TestFileSystem& fs) { value_blocks(fs)[1] = value_blocks(fs)[0]; }},
        {"XattrValueOutside", "whose value is outside of the data area",
         [](TestFileSystem& fs) { value_blocks(fs)[2] = 5; }},
        {"XattrBlocks", "has 4 blocks, its record says 5",
         [](TestFileSystem& fs) { edit(fs, labelled(fs), [](tarnfs_inode& i) { i.blocks++; }); }},

        {"RootGone", "there is no root directory",
         [](TestFileSystem& fs) { edit(fs, kRoot, [](tarnfs_inode& i) { i.mode = kTypeRegular | 0644; }); }},
        {"EntryToNothing", "which is not in use",
         [](TestFileSystem& fs) { edit(fs, d1(fs), [](tarnfs_inode& i) { first_entry(i).inode = 31000; }); }},
        {"EntryToRoot", "which is not in use",
         [](TestFileSystem& fs) {
             edit(fs, d1(fs), [](tarnfs_inode& i) { first_entry(i).inode = TARNFS_INO_ROOT; });
         }},
        {"EntryType", "says type 8",
         [](TestFileSystem& fs) { edit(fs, d1(fs), [](tarnfs_inode& i) { first_entry(i).type = 8; }); }},
        {"EntryName", "is not where its name belongs",
         [](TestFileSystem& fs) { edit(fs, d1(fs), [](tarnfs_inode& i) { first_entry(i).name[0] ^= 1; }); }},
        {"DirectorySize", "entries, its record says",
         [](TestFileSystem& fs) { edit(fs, path(fs, {"many"}), [](tarnfs_inode& i) { i.size++; }); }},
        {"DirectoryParent", "its record says 1",
         [](TestFileSystem& fs) { edit(fs, d2(fs), [](tarnfs_inode& i) { i.parent = 1; }); }},
        {"RootParent", "the root directory's parent is 2",
         [](TestFileSystem& fs) { edit(fs, kRoot, [](tarnfs_inode& i) { i.parent = 2; }); }},
        {"DirectoryTwice", "has 2 names",
         [](TestFileSystem& fs) {
             // d2's only entry names d1, as d0's does.
             const InodeNumber inner = d1(fs);
             edit(fs, d2(fs), [&](tarnfs_inode& i) { first_entry(i).inode = inner.value; });
         }},
        {"DirectoryRemoved", "nothing names it, and it was not removed (link count 0)",
         [](TestFileSystem& fs) {
             const InodeNumber two = d2(fs), many = path(fs, {"many"});
             edit(fs, d1(fs), [&](tarnfs_inode& i) { first_entry(i).inode = many.value; });
             edit(fs, two, [](tarnfs_inode& i) { i.links = 0; });
         }},
        {"DirectoryRing", "is inside itself",
         [](TestFileSystem& fs) {
             // d1 is moved out of d0 and into d2, which it holds.
             const InodeNumber d0 = path(fs, {"files", "d0"}), one = d1(fs), two = d2(fs),
                               many = path(fs, {"many"});
             edit(fs, two, [&](tarnfs_inode& i) { first_entry(i).inode = one.value; });
             edit(fs, d0, [&](tarnfs_inode& i) { first_entry(i).inode = many.value; });
         }},
    };
}

}  // namespace

std::ostream& operator<<(std::ostream& to, const Damage& damage) { return to << damage.name; }

const std::vector<Damage>& damages()
{
    static const std::vector<Damage> all = all_damages();
    return all;
}

}  // namespace tarn::test
