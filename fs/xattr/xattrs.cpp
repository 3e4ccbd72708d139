// SPDX-License-Identifier: GPL-2.0
// Xattrs: see xattrs.hpp.
#include "fs/xattr/xattrs.hpp"

#include <cstring>

#include "cxxrt/mutant.hpp"

namespace tarn {

namespace {

constexpr u32 kKey = NodeView::kKey;

Bytes name_of(const tarn_xattr& xattr)
{
    return Bytes(reinterpret_cast<const byte*>(xattr.name.bytes), xattr.name.length);
}

bool is_same(const XattrEntry& entry, u8 space, Bytes name)
{
    return entry.space == space && entry.name.size() == name.size() &&
           memcmp(entry.name.data(), name.data(), name.size()) == 0;
}

Status check_name(u8 space, Bytes name)
{
    if (space < TARNFS_XATTR_USER || space > TARNFS_XATTR_SYSTEM)
        return Error::kUnsupported;
    if (name.empty() || name.size() > TARNFS_XATTR_NAME_MAX || memchr(name.data(), 0, name.size()))
        return Error::kInvalid;
    return Ok{};
}

// The bytes of a value that its blocks hold from the `index`-th on.
Bytes part_of(const tarn_xattr& xattr, u64 index)
{
    const u64 from = index * kBlockSize;
    return Bytes(static_cast<const byte*>(xattr.value) + from, xattr.size - from);
}

}  // namespace

XattrEntry decode_xattr(const Item& item)
{
    const byte* at = item.payload.data();
    XattrEntry entry;
    entry.space = load<u8>(at + offsetof(tarnfs_xattr_item, space) - kKey);
    entry.length = load<u32>(at + offsetof(tarnfs_xattr_item, value_length) - kKey);
    entry.cookie = item.key;
    const u32 name_length = load<u8>(at + offsetof(tarnfs_xattr_item, name_length) - kKey);
    entry.name = item.payload.subspan(XattrKind::kHeader - kKey, name_length);
    entry.stored = item.payload.subspan(XattrKind::value_at(name_length) - kKey);
    return entry;
}

u64 xattr_key(const u64 seed[2], u8 space, Bytes name)
{
    byte hashed[1 + TARNFS_XATTR_NAME_MAX];
    TARN_BUG_ON(name.size() > TARNFS_XATTR_NAME_MAX);
    hashed[0] = byte{space};
    memcpy(hashed + 1, name.data(), name.size());
    return name_key(seed, Bytes(hashed, 1 + name.size()));
}

// ---- looking --------------------------------------------------------------------------------------------

Result<Xattrs::Place> Xattrs::place(const Transaction* txn, u8 space, Bytes name) const
{
    TRY(check_name(space, name));
    const u64 first = xattr_key(volume_.layout().hash_seed, space, name);
    return find_named<XattrEntry>(tree_, txn, first, [&](const Item& item) {
        const XattrEntry entry = decode_xattr(item);
        return is_same(entry, space, name) ? std::optional(entry) : std::nullopt;
    });
}

Result<u32> Xattrs::get(u8 space, Bytes name, MutableBytes buffer) const
{
    const Place found = TRY(place(nullptr, space, name));
    if (!found.found)
        return Error::kNoXattr;
    const XattrEntry& entry = *found.found;
    if (buffer.empty())
        return entry.length;
    if (entry.length > buffer.size())
        return Error::kNoRoom;
    if (!entry.blocks())
        memcpy(buffer.data(), entry.stored.data(), entry.length);
    for (u32 i = 0; i < entry.blocks(); i++) {
        const u64 from = i * kBlockSize;
        memcpy(buffer.data() + from, volume_.media().at(entry.block(i)),
               min(kBlockSize, entry.length - from));
    }
    return entry.length;
}

Result<std::optional<XattrEntry>> Xattrs::next(u64 cookie, const Transaction* txn) const
{
    const std::optional<Item> item = TRY(tree_.at_or_above(txn, cookie));
    return item ? std::optional(decode_xattr(*item)) : std::nullopt;
}

// ---- values ---------------------------------------------------------------------------------------------

Status Xattrs::write_value(Volume& volume, const tarn_xattr& xattr, DeviceBlock near,
                           InFlightBatch& in_flight)
{
    if (xattr.size > TARNFS_XATTR_VALUE_MAX)
        return Error::kValueTooLong;
    Media& media = volume.media();
    const u64 count = XattrKind::value_blocks(xattr.size);
    for (u64 done = 0; done < count;) {
        Reserved reserved = TRY(volume.reserve(count - done, near));
        const u64 taken = reserved.run().count;
        const Bytes part = part_of(xattr, done);
        auto filled = std::move(reserved).fill(media, 0, min<u64>(part.size(), taken * kBlockSize),
                                               [&](byte* to, u64 length) {
                                                   if (mutant(Mutant::kXattrNotWrittenBack))
                                                       memcpy(to, part.data(), length);
                                                   else
                                                       media.copy(to, part.data(), length);
                                                   return length;
                                               });
        TRY(in_flight.add(std::move(*filled.token)));
        done += taken;
    }
    return Ok{};
}

// Lists the blocks that have been written for a value in its item; they are in use from this transaction on.
Status Xattrs::own_value(Transaction& txn, MutableBytes numbers, DurableValues& values)
{
    for (usize at = 0; at < numbers.size();) {
        Initialised<Durable> token = values.blocks.take(values.next++);
        const Run run = token.run();
        TARN_BUG_ON(run.count > (numbers.size() - at) / sizeof(u64));
        for (u64 i = 0; i < run.count; i++, at += sizeof(u64)) {
            const u64 block = (run.start + i).value;
            memcpy(numbers.data() + at, &block, sizeof block);
        }
        TRY(txn.own(std::move(token)));
    }
    return count_blocks(txn, numbers.size() / sizeof(u64), 0);
}

Status Xattrs::free_value(Transaction& txn, const XattrEntry& entry)
{
    const u32 count = entry.blocks();
    if (count == 0 || mutant(Mutant::kXattrKeepsOldValue))
        return Ok{};
    for (u32 i = 0; i < count;) {
        Run run{entry.block(i++), 1};
        for (; i < count && entry.block(i) == run.end(); i++)
            run.count++;
        TRY(txn.free(run, Freed::kData));
    }
    return count_blocks(txn, 0, count);
}

Status Xattrs::count_blocks(Transaction& txn, u64 added, u64 removed)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(tree_.root().record));
    record.blocks += added;
    record.blocks -= min<u64>(record.blocks, removed);
    return Ok{};
}

// ---- changing -------------------------------------------------------------------------------------------

Status Xattrs::change(Transaction& txn, const tarn_xattr_change& change, DurableValues& values)
{
    const tarn_xattr& xattr = change.xattr;
    const Place found = TRY(place(&txn, xattr.space, name_of(xattr)));
    const bool is_removal = change.how == TARN_XATTR_REMOVE || change.how == TARN_XATTR_CLEAR;
    if (found.found && change.how == TARN_XATTR_CREATE)
        return Error::kExists;
    if (!found.found && (change.how == TARN_XATTR_REPLACE || change.how == TARN_XATTR_REMOVE))
        return Error::kNoXattr;
    if (found.found)
        TRY(free_value(txn, *found.found));
    if (!is_removal)
        return store(txn, xattr, found, values);
    return found.found ? tree_.erase(txn, found.key) : Status(Ok{});
}

Status Xattrs::store(Transaction& txn, const tarn_xattr& xattr, const Place& place, DurableValues& values)
{
    if (!place.key)
        return Error::kNoSpace;
    if (xattr.size > TARNFS_XATTR_VALUE_MAX)
        return Error::kValueTooLong;
    const u32 value_at = XattrKind::value_at(xattr.name.length);
    const usize bytes = value_at + XattrKind::value_bytes(xattr.size);
    auto item = TRY(Array<byte>::create(bytes));
    auto& head = *reinterpret_cast<tarnfs_xattr_item*>(item.data());
    head.space = xattr.space;
    head.name_length = static_cast<tarn_u8>(xattr.name.length);
    head.value_length = xattr.size;
    memcpy(head.name, xattr.name.bytes, xattr.name.length);
    if (XattrKind::value_blocks(xattr.size))
        TRY(own_value(txn, MutableBytes(item.data() + value_at, bytes - value_at), values));
    else if (xattr.size)
        memcpy(item.data() + value_at, xattr.value, xattr.size);
    const Bytes payload(item.data() + kKey, bytes - kKey);
    return place.found ? tree_.replace(txn, place.key, payload) : tree_.insert(txn, place.key, payload);
}

Status Xattrs::remove_some(Transaction& txn)
{
    bool removed = false;
    while (const std::optional<Item> item = TRY(tree_.at_or_above(&txn, 0))) {
        TRY(free_value(txn, decode_xattr(*item)));
        TRY(tree_.erase(txn, item->key));
        removed = true;
        if (txn.weight() > Transaction::kStepWeight)
            return Ok{};
    }
    return removed ? Status(Ok{})
                   : volume_.corrupt(Error::kBadXattr, block_of(tree_.root().record),
                                     "attribute tree without an item");
}

}  // namespace tarn
