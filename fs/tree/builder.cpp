// SPDX-License-Identifier: GPL-2.0
// TreeBuilder: see builder.hpp.
#include "fs/tree/builder.hpp"

#include <cstring>

#include "cxxrt/runtime.h"
#include "fs/tree/node_editor.hpp"

namespace tarn {

template <class Kind>
void TreeBuilder<Kind>::clear(u32 level)
{
    memset(levels_[level].bytes.data(), 0, kBlockSize);
    header(level) = empty_node(root_, Kind::kTag, level, DeviceBlock());
}

// Levels call one another at most kLevels deep.
template <class Kind>
Status TreeBuilder<Kind>::put(u32 level, u64 key, Bytes payload)
{
    if (level == kLevels)
        return Error::kTooLarge;
    if (levels_[level].bytes.size() == 0) {
        levels_[level].bytes = TRY(Array<byte>::create(kBlockSize));
        clear(level);
    }
    const u32 bytes = NodeView::kKey + static_cast<u32>(payload.size());
    if (!view(level).fits(bytes))
        TRY(put_down(level));
    tarnfs_node& node = header(level).node;
    const u16 at = static_cast<u16>(node.heap - bytes);
    byte* start = levels_[level].bytes.data();
    memcpy(start + at, &key, sizeof key);
    memcpy(start + at + NodeView::kKey, payload.data(), payload.size());
    memcpy(start + view(level).slots_end(), &at, sizeof at);
    node.heap = at;
    node.count++;
    return Ok{};
}

// Stores the node of a level, and puts an item for it into the one above.
template <class Kind>
Status TreeBuilder<Kind>::put_down(u32 level)
{
    Reserved block = TRY(next_block());
    const u64 self = block.run().start.value;
    header(level).self = self;
    auto filled = std::move(block).fill(volume_.media(), 0, kBlockSize, [&](byte* target, u64 length) {
        tarn_persist_copy(&volume_.media().device(), target, levels_[level].bytes.data(), length);
        return length;
    });
    TRY(in_flight_.add(std::move(*filled.token)));
    added_++;
    // Every key belongs to some leaf: the leftmost nodes begin at 0.
    const u64 key = levels_[level].is_leftmost ? 0 : load<u64>(view(level).item(0));
    levels_[level].is_leftmost = false;
    clear(level);
    return put(level + 1, key, Bytes(reinterpret_cast<const byte*>(&self), sizeof self));
}

template <class Kind>
Result<Reserved> TreeBuilder<Kind>::next_block()
{
    if (!spare_)
        spare_.emplace(TRY(volume_.reserve(kReserveAtOnce, block_of(root_.record))));
    Reserved block = std::move(*spare_);
    spare_.reset();
    if (block.run().count > 1)
        spare_.emplace(block.split(1));
    return block;
}

template <class Kind>
Status TreeBuilder<Kind>::drop(DeviceBlock node)
{
    dropped_++;
    return txn_.free(Run{node, 1}, Freed::kMetadata);
}

template <class Kind>
Status TreeBuilder<Kind>::finish()
{
    constexpr u32 kRootBytes = TARNFS_ROOT_BYTES - NodeView::kRootHeader;
    u32 top = 0;
    const auto is_top = [&](u32 level) {
        return level + 1 == kLevels || levels_[level + 1].bytes.size() == 0;
    };
    while (levels_[top].bytes.size() && !(is_top(top) && view(top).used() <= kRootBytes))
        TRY(put_down(top++));
    TRY(publish());
    return put_root(top);
}

// One fence for all new nodes.
template <class Kind>
Status TreeBuilder<Kind>::publish()
{
    if (added_) {
        DurableBatch durable;
        TRY(std::move(in_flight_).fence(volume_.media(), durable));
        for (usize i = 0; i < durable.size(); i++)
            TRY(txn_.own(durable.take(i)));
    }
    tarnfs_inode& record = TRY(txn_.edit_inode_record(root_.record));
    record.blocks = record.blocks + added_ - min<u64>(record.blocks, dropped_);
    return Ok{};
}

// What is left in the highest level is the root.
template <class Kind>
Status TreeBuilder<Kind>::put_root(u32 level)
{
    auto root = NodeEditor<Kind>::root(volume_, TRY(txn_.edit_inode(root_.record)));
    root.reset(level);
    if (levels_[level].bytes.size() == 0)
        return Ok{};
    const NodeView items = view(level);
    return root.append(items, 0);
}

template class TreeBuilder<ExtentKind>;

}  // namespace tarn
