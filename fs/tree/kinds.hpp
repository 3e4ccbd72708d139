// SPDX-License-Identifier: GPL-2.0
// Kinds: what a tree needs to know about its leaf items: their tag, their size and whether one makes sense.
//
// A kind has
//   kTag                    the byte in a node's header (TARNFS_TREE_*)
//   kDefect                 the error for an item that makes no sense
//   kRoot                   where a tree's root node is
//   kMaxBytes               size of the largest item: at most a fifth of a block
//   bytes(item, room)       size of an item (key included, multiple of 8), or 0 when it has not room in
//   `room` defect(layout, item)    null, or what is wrong with an item whose size has been checked
// Items are untrusted: neither function reads beyond what it was given.
#pragma once
#include "fs/media/layout.hpp"

namespace tarn {

// In the inode record itself; or in a block that the record names (tarnfs_inode.attributes), once there is an
// item.
enum class RootPlace : u8 { kRecord, kBlock };

// Blocks of the largest file: offsets reach 2^63 - 4096 bytes.
inline constexpr u64 kMaxFileBlocks = (u64{1} << 51) - 1;

// Reads from an item; the media is little-endian and so is the machine.
template <class T>
T load(const byte* from)
{
    T value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

// An extent item, taken apart.
struct Extent {
    FileBlock first;
    u64 count = 0;
    DeviceBlock device;
    bool unwritten = false;

    FileBlock end() const { return first + count; }
    Run run() const { return Run{device, count}; }
    // `next` goes on where this one ends, in the file and on the device, and both fit into one extent.
    bool is_continued_by(const Extent& next) const
    {
        return end() == next.first && device + count == next.device && unwritten == next.unwritten &&
               count + next.count <= TARNFS_EXTENT_MAX_LENGTH;
    }
};

inline Extent unpack_extent(u64 key, u64 value)
{
    constexpr u64 kBlockMask = (u64{1} << TARNFS_EXTENT_BLOCK_BITS) - 1;
    return Extent{FileBlock(key), value >> TARNFS_EXTENT_BLOCK_BITS & TARNFS_EXTENT_MAX_LENGTH,
                  DeviceBlock(value & kBlockMask), (value >> 63) != 0};
}

inline u64 pack_extent(const Extent& extent)
{
    return extent.device.value | extent.count << TARNFS_EXTENT_BLOCK_BITS | u64{extent.unwritten} << 63;
}

struct ExtentKind {
    static constexpr u8 kTag = TARNFS_TREE_EXTENTS;
    static constexpr RootPlace kRoot = RootPlace::kRecord;
    static constexpr Error kDefect = Error::kBadExtent;
    static constexpr u32 kMaxBytes = sizeof(tarnfs_extent_item);

    static u32 bytes(const byte*, u32 room)
    {
        return room >= sizeof(tarnfs_extent_item) ? sizeof(tarnfs_extent_item) : 0;
    }
    static const char* defect(const Layout& layout, Bytes item)
    {
        const Extent extent = unpack_extent(load<u64>(item.data()), load<u64>(item.data() + 8));
        if (extent.first.value >= kMaxFileBlocks || extent.count > kMaxFileBlocks - extent.first.value)
            return "extent beyond the largest file";
        return layout.is_data(extent.run()) ? nullptr : "extent outside of the data area";
    }
};

struct DirentKind {
    static constexpr u8 kTag = TARNFS_TREE_DIRECTORY;
    static constexpr RootPlace kRoot = RootPlace::kRecord;
    static constexpr Error kDefect = Error::kBadDirectory;
    static constexpr u32 kHeader = offsetof(tarnfs_dirent_item, name);
    static constexpr u32 kMaxBytes = (kHeader + TARNFS_NAME_MAX + 7) / 8 * 8;
    // Keys below are never used: "." and ".." have their readdir positions there.
    static constexpr u64 kFirstKey = 65536;
    // A position is a signed 64-bit number to readdir.
    static constexpr u64 kLastKey = (u64{1} << 63) - 1;

    static u32 bytes(const byte* item, u32 room)
    {
        if (room < kHeader)
            return 0;
        u32 length = load<u8>(item + offsetof(tarnfs_dirent_item, name_length));
        u32 whole = (kHeader + length + 7) / 8 * 8;
        return whole <= room ? whole : 0;
    }
    static const char* defect(const Layout& layout, Bytes item);
};

struct XattrKind {
    static constexpr u8 kTag = TARNFS_TREE_ATTRIBUTES;
    static constexpr RootPlace kRoot = RootPlace::kBlock;
    static constexpr Error kDefect = Error::kBadXattr;
    static constexpr u32 kHeader = offsetof(tarnfs_xattr_item, name);
    static constexpr u32 kMaxBytes = kHeader + (TARNFS_XATTR_NAME_MAX + 7) / 8 * 8 + TARNFS_XATTR_INLINE;

    // Where the value, or the list of its blocks, begins in an item; how many blocks there are (0: it is
    // inline); how many bytes of the item it takes.
    static constexpr u32 value_at(u32 name_length) { return kHeader + (name_length + 7) / 8 * 8; }
    static constexpr u32 value_blocks(u32 length)
    {
        return length <= TARNFS_XATTR_INLINE ? 0
                                             : static_cast<u32>((u64{length} + kBlockSize - 1) / kBlockSize);
    }
    static constexpr u64 value_bytes(u32 length)
    {
        return length <= TARNFS_XATTR_INLINE ? (length + 7) / 8 * 8 : value_blocks(length) * u64{8};
    }
    static u32 bytes(const byte* item, u32 room)
    {
        if (room < kHeader)
            return 0;
        const u32 name = load<u8>(item + offsetof(tarnfs_xattr_item, name_length));
        const u64 whole =
            value_at(name) + value_bytes(load<u32>(item + offsetof(tarnfs_xattr_item, value_length)));
        return whole <= room ? static_cast<u32>(whole) : 0;
    }
    static const char* defect(const Layout& layout, Bytes item);
};

}  // namespace tarn
