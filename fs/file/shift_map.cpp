// SPDX-License-Identifier: GPL-2.0
// BlockMap: moving all that is behind a place. Invariants, locks and crash argument: block_map.hpp.
//
// Every extent behind the place gets another key, so the tree is built anew. Extents that the place cuts
// become two; those that meet become one.
#include "fs/file/block_map.hpp"
#include "fs/tree/builder.hpp"
#include "fs/tree/walk.hpp"

namespace tarn {

namespace {

// Leaves room in a record for the inode and the record's header.
constexpr u32 kMostWeight = TARNFS_RECORD_MAX - static_cast<u32>(kBlockSize);

// The part of an extent that lies in [from, to); empty if there is none.
Extent part_of(const Extent& extent, FileBlock from, FileBlock to)
{
    const FileBlock first = max(extent.first, from);
    const FileBlock end = min(extent.end(), to);
    if (first >= end)
        return Extent{first, 0, {}};
    return Extent{first, end - first, extent.device + (first - extent.first), extent.unwritten};
}

}  // namespace

// The new tree, and the last extent for it, which the next one may continue.
class BlockMap::Shifted {
  public:
    Shifted(BlockMap& map, Transaction& txn) : builder_(txn, map.volume_, map.tree_.root()) {}

    Status drop(DeviceBlock node) { return builder_.drop(node); }
    Status add(const Extent& extent)
    {
        if (extent.count == 0)
            return Ok{};
        if (extent.first.value >= kMaxFileBlocks || extent.count > kMaxFileBlocks - extent.first.value)
            return Error::kTooLarge;
        if (last_.count && last_.is_continued_by(extent)) {
            last_.count += extent.count;
            return Ok{};
        }
        TRY(flush());
        last_ = extent;
        return Ok{};
    }
    Status finish()
    {
        TRY(flush());
        return builder_.finish();
    }

  private:
    Status flush()
    {
        if (last_.count == 0)
            return Ok{};
        const u64 value = pack_extent(last_);
        return builder_.add(last_.first.value, Bytes(reinterpret_cast<const byte*>(&value), sizeof value));
    }

    TreeBuilder<ExtentKind> builder_;
    Extent last_{};
};

Status BlockMap::shift(Transaction& txn, FileBlock from, u64 count, Shift how)
{
    Shifted shifted(*this, txn);
    FileBlock behind_last(0);
    TreeWalk<ExtentKind> walk(volume_, tree_.root());
    while (const std::optional<WalkEvent> event = walk.next()) {
        if (event->what == WalkEvent::What::kDamage)
            return volume_.corrupt(Error::kBadNode, event->block, event->damage);
        if (event->what == WalkEvent::What::kNode) {
            TRY(shifted.drop(event->block));
            continue;
        }
        const Extent extent = unpack_extent(event->item.key, load<u64>(event->item.payload.data()));
        if (extent.first < behind_last)
            return volume_.corrupt(Error::kBadExtent, event->block, "extents that overlap");
        behind_last = extent.end();
        TRY(shift_extent(txn, shifted, extent, from, count, how));
    }
    TRY(shifted.finish());
    return txn.weight() > kMostWeight ? Status(Error::kTooLarge) : Status(Ok{});
}

Status BlockMap::shift_extent(Transaction& txn, Shifted& shifted, const Extent& extent, FileBlock from,
                              u64 count, Shift how)
{
    const bool collapses = how == Shift::kCollapse;
    const FileBlock cut = collapses ? from + count : from;  // what is behind moves
    TRY(shifted.add(part_of(extent, FileBlock(0), from)));
    const Extent gone = part_of(extent, from, cut);
    if (gone.count) {
        TRY(count_blocks(txn, 0, gone.count));
        TRY(txn.free(gone.run(), Freed::kData));
    }
    Extent moved = part_of(extent, cut, FileBlock(kMaxFileBlocks));
    moved.first = collapses ? FileBlock(moved.first.value - count) : moved.first + count;
    return shifted.add(moved);
}

}  // namespace tarn
