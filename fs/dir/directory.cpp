// SPDX-License-Identifier: GPL-2.0
// Directory: see directory.hpp.
#include "fs/dir/directory.hpp"

#include <cstring>

namespace tarn {

namespace {

constexpr u32 kKey = NodeView::kKey;
// Fields in an item's payload.
constexpr usize kInodeAt = offsetof(tarnfs_dirent_item, inode) - kKey;
constexpr usize kTypeAt = offsetof(tarnfs_dirent_item, type) - kKey;
constexpr usize kLengthAt = offsetof(tarnfs_dirent_item, name_length) - kKey;
constexpr usize kNameAt = offsetof(tarnfs_dirent_item, name) - kKey;

// An item under construction; what is behind the name is zero.
struct EntryItem {
    alignas(tarnfs_dirent_item) byte bytes[DirentKind::kMaxBytes] = {};

    EntryItem(Bytes name, InodeNumber inode, u8 type)
    {
        auto& entry = *reinterpret_cast<tarnfs_dirent_item*>(bytes);
        entry.inode = inode.value;
        entry.type = type;
        entry.name_length = static_cast<tarn_u8>(name.size());
        memcpy(entry.name, name.data(), name.size());
    }
    Bytes payload() const { return Bytes(bytes, DirentKind::bytes(bytes, sizeof bytes)).subspan(kKey); }
};

bool same(Bytes a, Bytes b) { return a.size() == b.size() && memcmp(a.data(), b.data(), a.size()) == 0; }

Status check_name(Bytes name)
{
    if (name.size() > TARNFS_NAME_MAX)
        return Error::kNameTooLong;
    return name.empty() ? Status(Error::kInvalid) : Status(Ok{});
}

// What an insertion would store is what a look-up accepts.
Status check_new(const Layout& layout, EntryItem& item)
{
    auto& entry = *reinterpret_cast<tarnfs_dirent_item*>(item.bytes);
    entry.key = DirentKind::kFirstKey;
    const Bytes whole(item.bytes, DirentKind::bytes(item.bytes, sizeof item.bytes));
    return DirentKind::defect(layout, whole) ? Status(Error::kInvalid) : Status(Ok{});
}

}  // namespace

Entry decode_entry(const Item& item)
{
    const byte* at = item.payload.data();
    const u8 length = load<u8>(at + kLengthAt);
    return Entry{InodeNumber(load<u64>(at + kInodeAt)), load<u8>(at + kTypeAt),
                 item.payload.subspan(kNameAt, length), item.key};
}

Result<Directory::Place> Directory::place(const Transaction* txn, Bytes name) const
{
    return find_named<Entry>(tree_, txn, name_key(volume_.layout().hash_seed, name), [&](const Item& item) {
        const Entry entry = decode_entry(item);
        return same(entry.name, name) ? std::optional(entry) : std::nullopt;
    });
}

Result<std::optional<Entry>> Directory::find(const Transaction* txn, Bytes name) const
{
    TRY(check_name(name));
    const Place found = TRY(place(txn, name));
    return found.found;
}

Result<std::optional<Entry>> Directory::next(u64 cookie, const Transaction* txn) const
{
    const std::optional<Item> item = TRY(tree_.at_or_above(txn, cookie));
    return item ? std::optional(decode_entry(*item)) : std::nullopt;
}

Result<bool> Directory::is_empty(const Transaction* txn) const
{
    return !TRY(tree_.at_or_above(txn, 0)).has_value();
}

Status Directory::insert(Transaction& txn, Bytes name, InodeNumber inode, u8 type)
{
    TRY(check_name(name));
    EntryItem item(name, inode, type);
    TRY(check_new(volume_.layout(), item));
    const Place found = TRY(place(&txn, name));
    if (found.found)
        return Error::kExists;
    if (!found.key)
        return Error::kNoSpace;
    return tree_.insert(txn, found.key, item.payload());
}

Status Directory::erase(Transaction& txn, Bytes name)
{
    TRY(check_name(name));
    const Place found = TRY(place(&txn, name));
    return found.found ? tree_.erase(txn, found.key) : Status(Error::kNotFound);
}

Status Directory::replace(Transaction& txn, Bytes name, InodeNumber inode, u8 type)
{
    TRY(check_name(name));
    EntryItem item(name, inode, type);
    TRY(check_new(volume_.layout(), item));
    const Place found = TRY(place(&txn, name));
    return found.found ? tree_.replace(txn, found.key, item.payload()) : Status(Error::kNotFound);
}

}  // namespace tarn
