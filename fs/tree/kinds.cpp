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

}  // namespace tarn
