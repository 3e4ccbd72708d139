// SPDX-License-Identifier: GPL-2.0
// Kinds: the checks that are too long for every look-up to carry inline.
#include "fs/tree/kinds.hpp"

namespace tarn {

namespace {

constexpr u8 kMaxType = 12;  // DT_SOCK
// DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK
constexpr u32 kTypes = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 6 | 1u << 8 | 1u << 10 | 1u << 12;

bool is_name(Bytes name)
{
    for (byte c : name)
        if (c == byte{0} || c == byte{'/'})
            return false;
    return true;
}

// The value lies elsewhere: each of its blocks is one for data.
bool are_data(const Layout& layout, Bytes blocks)
{
    for (usize at = 0; at < blocks.size(); at += sizeof(u64))
        if (!layout.is_data(Run{DeviceBlock(load<u64>(blocks.data() + at)), 1}))
            return false;
    return true;
}

}  // namespace

const char* DirentKind::defect(const Layout&, Bytes item)
{
    const auto& entry = *reinterpret_cast<const tarnfs_dirent_item*>(item.data());
    if (entry.key < kFirstKey || entry.key > kLastKey)
        return "directory entry with an impossible key";
    if (entry.inode == 0)
        return "directory entry that names no inode";
    if (entry.type > kMaxType || !(kTypes >> entry.type & 1))
        return "directory entry of an unknown type";
    if (entry.name_length == 0 || !is_name(item.subspan(kHeader, entry.name_length)))
        return "directory entry with an impossible name";
    return nullptr;
}

const char* XattrKind::defect(const Layout& layout, Bytes item)
{
    const auto& xattr = *reinterpret_cast<const tarnfs_xattr_item*>(item.data());
    if (xattr.key < DirentKind::kFirstKey || xattr.key > DirentKind::kLastKey)
        return "extended attribute with an impossible key";
    if (xattr.space < TARNFS_XATTR_USER || xattr.space > TARNFS_XATTR_SYSTEM)
        return "extended attribute of an unknown name space";
    for (byte c : item.subspan(kHeader, xattr.name_length))
        if (c == byte{0})
            return "extended attribute with an impossible name";
    if (xattr.name_length == 0)
        return "extended attribute without a name";
    if (xattr.value_length > TARNFS_XATTR_VALUE_MAX)
        return "extended attribute with too long a value";
    if (value_blocks(xattr.value_length) && !are_data(layout, item.subspan(value_at(xattr.name_length))))
        return "extended attribute whose value is outside of the data area";
    return nullptr;
}

}  // namespace tarn
