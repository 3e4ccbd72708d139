// SPDX-License-Identifier: GPL-2.0
// Space: which blocks are free, and for whom.
//
// The persistent truth is one bitmap block per group of TARNFS_BITMAP_BITS blocks, changed only by committed
// transactions (SET/CLEAR operations, fs/txn). In DRAM each group, loaded on first use, keeps a copy of its bitmap in
// which more bits are set: runs handed out as tokens and not yet published, and freed runs that may not be used yet.
// A run is searched in the DRAM copy only, so nothing reserved or freed-but-not-safe can be handed out.
//
// Freed data returns when the freeing record is durable (release); freed metadata only when the journals' floor has
// passed that record (defer, release_deferred), so that replay cannot write old node contents over new data.
//
// A free block whose page somebody still has pinned (DMA that goes on after its file was removed, or unmounted) may be
// stored to at any time: it is not handed out. One that a search comes upon is set aside until space runs short.
//
// Lock order: Group::lock (Rank::kGroup) and pending_lock_ (Rank::kPending) are taken alone, for a bounded search.
#pragma once
#include <optional>

#include "cxxrt/box.hpp"
#include "cxxrt/list.hpp"
#include "cxxrt/lock.hpp"
#include "fs/media/layout.hpp"
#include "fs/media/tokens.hpp"

namespace tarn {

// A piece of the device, and of a file, that one entry of a page middle directory maps.
inline constexpr u32 kHugeBlocks = 512;  // 2 MiB

// Who asks: ordinary operations leave the reserve alone; unlink, truncation and conversion may dip into it (A4).
enum class Use : u8 { kOrdinary, kReserve };

// A freed run that waits for the floor; made before the commit so that nothing can fail after it.
struct DeferredRun : ListNode<DeferredRun> {
    Run run;
    Sequence sequence;
};

class Space {
  public:
    Space(Media& media, const Layout& layout);
    ~Space();

    // Sums the groups' counters (one line per group). May sleep. Errors: kBadBitmap, kNoMemory.
    Status load();

    // Sets aside up to `count` (>= 1) contiguous blocks, as near behind `near` as possible; at least one, maybe fewer
    // than asked. Runs of 512 blocks and more are placed on a 2 MiB boundary where one is free. May sleep (loads a
    // group). Errors: kNoSpace, kNoMemory, kBadBitmap.
    Result<Reserved> reserve(u64 count, DeviceBlock near, Use use);
    // The device's last group is loaded, so that it can grow. May sleep. Errors: kNoMemory, kBadBitmap.
    Status prepare_growth();
    // The layout has grown from `blocks`: what is behind is free. After prepare_growth.
    void grow(u64 blocks);
    // An empty run of `size` blocks (a power of two, at most 512) on a multiple of `size`, in the group of `near` or in
    // one soon behind it. For who takes the first blocks of it and wants to find the rest free when he comes back: only
    // empty windows are given out, so that nobody else begins in this one while there are others. Errors: as above;
    // kNoSpace when no window is there.
    Result<Reserved> reserve_window(u64 size, DeviceBlock near);

    // Blocks that are free or will be without any further change (deferred and pinned ones), the reserve included.
    u64 free_blocks() const { return free_.load_relaxed() + deferred_.load_relaxed() + pinned_.load_relaxed(); }
    u64 total_blocks() const { return layout_.blocks; }
    // Blocks kept for Use::kReserve.
    u64 reserve_blocks() const { return reserve_.load_relaxed(); }
    // Freed metadata waiting for the floor.
    u64 deferred_blocks() const { return deferred_.load_relaxed(); }
    // Makes free what had been set aside and is not pinned any more. True: something was.
    bool release_unpinned();

    // ---- for Transaction, Journals and tokens only ----

    // Before a run is freed: loads its groups, so that release cannot fail. May sleep. Errors: kBadExtent when part of
    // it is not in use, kNoMemory, kBadBitmap.
    Status prepare(Run run);
    // Back to free space: never published, or freed by a record that is durable and applied.
    void release(Run run);
    // Freed metadata; kept until release_deferred(floor) with floor > deferred->sequence.
    void defer(Box<DeferredRun> deferred);
    // Called when `floor` is durable.
    void release_deferred(Sequence floor);

  private:
    struct Group;
    enum class Fit : u8 { kWhole, kAny, kWindow };

    void set_reserve();
    Status check_header(u64 index, const tarnfs_bitmap& bitmap) const;
    Status check_fixed(u64 index, const u64* words) const;
    Result<Group&> load_group(u64 index);
    std::optional<Run> take(Group& group, u64 index, u64 count, std::optional<u32> behind, Fit fit);
    Result<std::optional<Run>> sweep(u64 count, DeviceBlock near, Fit fit);
    u64 claim(u64 count, Use use);
    Result<Reserved> find(u64 count, DeviceBlock near, Use use);
    Result<Reserved> find_window(u64 size, DeviceBlock near);
    Result<std::optional<Reserved>> without_pinned(Reserved&& found);
    bool is_pinned(DeviceBlock block) const;
    Status set_aside(Reserved&& pinned);

    Media& media_;
    const Layout& layout_;
    Array<Atomic<Group*>> groups_;
    Atomic<u64> free_;      // blocks free in the DRAM sense (reserve included)
    Atomic<u64> deferred_;  // blocks in pending_
    Atomic<u64> pinned_;    // blocks in set_aside_
    Atomic<u64> reserve_{0};
    SpinLock pending_lock_;
    List<DeferredRun> pending_ TARN_GUARDED_BY(pending_lock_);
    List<DeferredRun> set_aside_ TARN_GUARDED_BY(pending_lock_);  // pinned when last seen; their sequence means nothing
};

}  // namespace tarn
