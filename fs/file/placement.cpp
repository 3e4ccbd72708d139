// SPDX-License-Identifier: GPL-2.0
// Where new blocks of a file go.
//
//  - Behind the block before them, so that a file written from front to back is one extent; without one, near the inode.
//  - From 2 MiB on (or where one call is going to write as much), each 2 MiB of the file begin on a 2 MiB boundary of the
//    device, however small the steps are in which it grows: pages of 2 MiB can map it.
//  - Where another file has taken the place, as when two grow at once, the file moves to an empty window as large as what
//    it has up to there (at most 2 MiB). So it is in few pieces, and keeps no place that it does not use.
//
// A window is only where blocks are taken from: the part that is not taken now is given back at once, and anybody may
// have it when space is short. So nothing here changes what is free.
//
// Locks: Inode::lock, exclusive.
#include "fs/file/file.hpp"

namespace tarn {

namespace {

constexpr u64 kSmallestWindow = 8;  // blocks; smaller files stay near their inode

// A power of two.
u64 window_size(u64 wanted)
{
    u64 size = kSmallestWindow;
    while (size < wanted && size < kHugeBlocks)
        size *= 2;
    return size;
}

}  // namespace

// The first blocks of an empty window.
std::optional<Reserved> File::window_for(u64 size, DeviceBlock near, u64 count)
{
    auto window = volume_.reserve_window(size, near);
    if (!window)
        return std::nullopt;
    Reserved found = window.take();
    if (count < found.run().count) {
        Reserved given_back = found.split(count);
    }
    return found;
}

Result<Reserved> File::reserve_for(const BlockMap& blocks, FileBlock at, u64 count, u64 rest)
{
    std::optional<DeviceBlock> behind;
    if (at.value > 0) {
        const Mapping before = TRY(blocks.lookup(nullptr, at - 1, 1));
        if (!before.is_hole())
            behind = before.device + 1;
    }
    const DeviceBlock near = behind.value_or(block_of(inode_.record));
    const u64 in_huge = at.value % kHugeBlocks;
    if (in_huge == 0 && count >= kHugeBlocks)
        return volume_.reserve(count, DeviceBlock(round_up(near.value, kHugeBlocks)));
    if (in_huge == 0 && (behind || rest >= kHugeBlocks)) {
        if (auto window = window_for(kHugeBlocks, near, count))
            return std::move(*window);
    }
    const u64 to_boundary = min(count, kHugeBlocks - in_huge);
    const bool is_aligned = behind && behind->value % kHugeBlocks == in_huge;
    Reserved found = TRY(volume_.reserve(is_aligned ? count : to_boundary, near));
    if (!behind || found.run().start == *behind || at.value < kSmallestWindow)
        return found;
    if (auto window = window_for(window_size(max(at.value, to_boundary)), near, to_boundary))
        return std::move(*window);
    return found;
}

}  // namespace tarn
