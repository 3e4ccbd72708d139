// SPDX-License-Identifier: GPL-2.0
// BlockMap: see block_map.hpp.
#include "fs/file/block_map.hpp"

#include "cxxrt/mutant.hpp"
#include "fs/dax/tracker.hpp"

namespace tarn {

namespace {

Extent decode(const Item& item) { return unpack_extent(item.key, load<u64>(item.payload.data())); }

// The payload of an extent's item.
struct ExtentValue {
    u64 value;
    explicit ExtentValue(const Extent& extent) : value(pack_extent(extent)) {}
    Bytes bytes() const { return Bytes(reinterpret_cast<const byte*>(&value), sizeof value); }
};

}  // namespace

// The extent that begins at or below `at`.
Result<std::optional<Extent>> BlockMap::below(const Transaction* txn, FileBlock at) const
{
    const std::optional<Item> item = TRY(tree_.at_or_below(txn, at.value));
    return item ? std::optional(decode(*item)) : std::nullopt;
}

// The extent that begins at or above `at`.
Result<std::optional<Extent>> BlockMap::above(const Transaction* txn, FileBlock at) const
{
    const std::optional<Item> item = TRY(tree_.at_or_above(txn, at.value));
    return item ? std::optional(decode(*item)) : std::nullopt;
}

Result<Mapping> BlockMap::lookup(const Transaction* txn, FileBlock at, u64 max) const
{
    TARN_ASSERT(max > 0);
    if (at.value >= kMaxFileBlocks)
        return Error::kTooLarge;
    const std::optional<Extent> found = TRY(below(txn, at));
    if (found && found->end() > at) {
        const u64 skipped = at - found->first;
        const auto state = found->unwritten ? Mapping::State::kUnwritten : Mapping::State::kWritten;
        return Mapping{at, min(max, found->count - skipped), found->device + skipped, state};
    }
    Mapping hole{at, min(max, kMaxFileBlocks - at.value), DeviceBlock(), Mapping::State::kHole};
    if (hole.count > 1)
        if (const std::optional<Extent> next = TRY(above(txn, at)))
            hole.count = min(hole.count, next->first - at);
    return hole;
}

Status BlockMap::count_blocks(Transaction& txn, u64 added, u64 removed)
{
    tarnfs_inode& record = TRY(txn.edit_inode_record(tree_.root().record));
    record.blocks += added;
    record.blocks -= min<u64>(record.blocks, removed);
    return Ok{};
}

Status BlockMap::publish(Transaction& txn, FileBlock at, Initialised<Durable>&& token)
{
    Initialised<Durable> owned = std::move(token);
    TRY(add_fresh(txn, Extent{at, owned.run().count, owned.run().start}));
    return txn.own(std::move(owned));
}

Status BlockMap::allocate(Transaction& txn, FileBlock at, Reserved&& reserved)
{
    Reserved owned = std::move(reserved);
    TRY(add_fresh(txn, Extent{at, owned.run().count, owned.run().start, true}));
    return txn.own_unwritten(std::move(owned));
}

Status BlockMap::add_fresh(Transaction& txn, const Extent& fresh)
{
    if (fresh.first.value >= kMaxFileBlocks || fresh.count > kMaxFileBlocks - fresh.first.value)
        return Error::kTooLarge;
    TARN_BUG_ON(fresh.count > TARNFS_EXTENT_MAX_LENGTH);
    TRY(add(txn, fresh));
    return count_blocks(txn, fresh.count, 0);
}

Result<Unwritten> BlockMap::unwritten(const LockedRange& locked, FileBlock at, u64 max) const
{
    const Mapping found = TRY(lookup(nullptr, at, max));
    TARN_BUG_ON(at < locked.first() || found.end() > locked.end());
    if (found.state != Mapping::State::kUnwritten)
        return Error::kBadExtent;
    return Unwritten(Run{found.device, found.count});
}

Status BlockMap::publish(Transaction& txn, FileBlock at, Converted<Durable>&& token)
{
    const Run run = token.spend();
    const std::optional<Extent> extent = TRY(below(&txn, at));
    const FileBlock to = at + run.count;
    if (!extent || !extent->unwritten || extent->end() < to || extent->device + (at - extent->first) != run.start)
        return volume_.corrupt(Error::kBadExtent, block_of(tree_.root().record), "converted run that is not there");
    TRY(carve(txn, *extent, at, to));
    return add(txn, Extent{at, run.count, run.start}, Use::kReserve);
}

// Puts an extent into a hole, joined with its neighbours where it continues them. In the usual case, an
// append, one look-up tells all: what begins at or below the new extent's end is the extent before it.
Status BlockMap::add(Transaction& txn, const Extent& fresh, Use use)
{
    Extent whole = fresh;
    std::optional<Extent> before = TRY(below(&txn, fresh.end()));
    if (before && before->first == fresh.end()) {
        const Extent after = *before;
        before = TRY(below(&txn, fresh.end() - 1));
        if (whole.is_continued_by(after)) {
            TRY(tree_.erase(txn, after.first.value));
            whole.count += after.count;
        }
    }
    if (before && before->end() > fresh.first)
        return volume_.corrupt(Error::kBadExtent, block_of(tree_.root().record), "hole that is mapped");
    if (!before || !before->is_continued_by(whole))
        return tree_.insert(txn, whole.first.value, ExtentValue(whole).bytes(), use);
    before->count += whole.count;
    return tree_.replace(txn, before->first.value, ExtentValue(*before).bytes());
}

// Takes [from, to) out of an extent that it lies in; what becomes of its blocks is the caller's business.
Status BlockMap::carve(Transaction& txn, const Extent& extent, FileBlock from, FileBlock to)
{
    const Extent head{extent.first, from - extent.first, extent.device, extent.unwritten};
    const Extent tail{to, extent.end() - to, extent.device + (to - extent.first), extent.unwritten};
    if (head.count)
        TRY(tree_.replace(txn, head.first.value, ExtentValue(head).bytes()));
    else if (!mutant(Mutant::kDoubleFree))
        TRY(tree_.erase(txn, extent.first.value));
    if (tail.count)
        TRY(tree_.insert(txn, tail.first.value, ExtentValue(tail).bytes(), Use::kReserve));
    return Ok{};
}

// Calls change(extent, from, to) for each extent that has a part [from, to) in the range, until the transaction is large.
template <class Change>
Status BlockMap::each_extent(Transaction& txn, FileBlock from, u64 count, u64* done, Change change)
{
    *done = 0;
    if (from.value >= kMaxFileBlocks)
        return Error::kTooLarge;
    const FileBlock end = from + min(count, kMaxFileBlocks - from.value);
    FileBlock at = from;
    while (at < end) {
        std::optional<Extent> extent = TRY(below(&txn, at));
        if (!extent || extent->end() <= at)
            extent = TRY(above(&txn, at));
        if (!extent || extent->first >= end)
            break;
        at = max(at, extent->first);
        const FileBlock to = min(end, extent->end());
        TRY(change(*extent, at, to));
        at = to;
        *done = at - from;
        if (txn.weight() > Transaction::kStepWeight)
            return Ok{};
    }
    *done = count;
    return Ok{};
}

Status BlockMap::unmap(Transaction& txn, FileBlock from, u64 count, u64* done, Freed what)
{
    return each_extent(txn, from, count, done, [&](const Extent& extent, FileBlock at, FileBlock to) -> Status {
        TRY(carve(txn, extent, at, to));
        TRY(count_blocks(txn, 0, to - at));
        return txn.free(Run{extent.device + (at - extent.first), to - at}, what);
    });
}

Status BlockMap::unwrite(Transaction& txn, FileBlock from, u64 count, u64* done)
{
    return each_extent(txn, from, count, done, [&](const Extent& extent, FileBlock at, FileBlock to) -> Status {
        if (extent.unwritten)
            return Ok{};
        TRY(carve(txn, extent, at, to));
        return add(txn, Extent{at, to - at, extent.device + (at - extent.first), true}, Use::kReserve);
    });
}

Result<std::optional<FileBlock>> BlockMap::last(const Transaction* txn) const
{
    const std::optional<Extent> extent = TRY(below(txn, FileBlock(kMaxFileBlocks - 1)));
    return extent ? std::optional(extent->end() - 1) : std::nullopt;
}

}  // namespace tarn
