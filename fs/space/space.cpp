// SPDX-License-Identifier: GPL-2.0
// Space: searching, setting aside and giving back blocks.
//
// Nothing here stores to the media: bitmaps change when a committed record is applied (fs/txn/apply.cpp). A crash
// therefore forgets every reservation, which is right: none of them was reachable.
#include "fs/space/space.hpp"

#include <cstring>

#include "fs/space/bits.hpp"

namespace tarn {

// One loaded group. `words` is a superset of the media's bits.
struct Space::Group {
    Group() : lock(Rank::kGroup, "tarnfs_group") {}

    SpinLock lock;
    u32 bits = 0;
    u32 free = 0;     // clear bits
    u32 hint = 0;     // where the last search ended
    u32 longest = 0;  // no free run is longer than this
    u64 words[TARNFS_BITMAP_BITS / 64] = {};
};

namespace {

constexpr u64 kWindowGroups = 4;  // where a window is looked for

struct BitRun {
    u32 first = 0;
    u32 count = 0;
};

// The longest free run of at most `count` bits in [from, limit) that ends the search as soon as it is whole.
// `longest` receives the longest run met, cut at `count`.
BitRun first_fit(const u64* words, u32 from, u32 limit, u32 count, u32* longest)
{
    BitRun best;
    while (from < limit) {
        from = bits::find(words, from, limit, 0);
        if (from == limit)
            break;
        const u32 end = bits::find(words, from, static_cast<u32>(min<u64>(limit, u64{from} + count)), 1);
        if (end - from > best.count)
            best = {from, end - from};
        if (best.count == count)
            break;
        from = end;
    }
    *longest = max(*longest, best.count);
    return best;
}

// The part of a run that lies in its first group.
struct Piece {
    u64 index;
    u32 first;
    u32 count;
};

Piece piece_of(Run run)
{
    const u32 first = static_cast<u32>(run.start.value % TARNFS_BITMAP_BITS);
    return {run.start.value / TARNFS_BITMAP_BITS, first,
            static_cast<u32>(min<u64>(run.count, TARNFS_BITMAP_BITS - first))};
}

// A free run that begins on a multiple of `unit` and has at least `unit` blocks.
BitRun aligned_fit(const u64* words, u32 from, u32 limit, u32 count, u32 unit = kHugeBlocks)
{
    for (u32 at = static_cast<u32>(round_up(from, unit)); at + unit <= limit; at += unit) {
        const u32 end = bits::find(words, at, static_cast<u32>(min<u64>(limit, u64{at} + count)), 1);
        if (end - at >= unit)
            return {at, end - at};
    }
    return {};
}

}  // namespace

void give_back(Space& space, Run run) { space.release(run); }

Space::Space(Media& media, const Layout& layout)
    : media_(media), layout_(layout), pending_lock_(Rank::kPending, "tarnfs_pending")
{
}

Space::~Space()
{
    for (auto& slot : groups_)
        Box<Group>::adopt(slot.load_relaxed()).reset();
    SpinGuard guard(pending_lock_);
    while (DeferredRun* deferred = pending_.pop_front())
        Box<DeferredRun>::adopt(deferred).reset();
    while (DeferredRun* pinned = set_aside_.pop_front())
        Box<DeferredRun>::adopt(pinned).reset();
}

Status Space::check_header(u64 index, const tarnfs_bitmap& bitmap) const
{
    const char* wrong = nullptr;
    if (bitmap.magic != TARNFS_BITMAP_MAGIC || bitmap.kind != TARNFS_BITMAP_BLOCKS)
        wrong = "no block bitmap";
    else if (bitmap.index != index)
        wrong = "bitmap of another group";
    else if (bitmap.bits != TARNFS_BITMAP_BITS || bitmap.set > layout_.group_bits(index))
        wrong = "impossible counters";
    if (!wrong)
        return Ok{};
    tarn_log_device(&media_.device(), TARN_LOG_ERROR, "block %llu: %s (group %llu)",
             static_cast<unsigned long long>(layout_.bitmap(index).value), wrong,
             static_cast<unsigned long long>(index));
    return Error::kBadBitmap;
}

// What is no file's is in use for ever. A bitmap that says otherwise would have the journals overwritten.
Status Space::check_fixed(u64 index, const u64* words) const
{
    const u64 start = index * TARNFS_BITMAP_BITS;
    const u32 limit = layout_.group_bits(index);
    const u64 replica = layout_.replica().value - start;  // wraps where that is before
    const u32 fixed = layout_.first_data.value > start
                          ? static_cast<u32>(min<u64>(limit, layout_.first_data.value - start))
                          : 0;
    u32 free = bits::find(words, 0, fixed, 0);
    if (free == fixed)
        free =
            replica < limit && !(words[replica / 64] >> replica % 64 & 1) ? static_cast<u32>(replica) : limit;
    if (free == limit)
        return Ok{};
    tarn_log_device(&media_.device(), TARN_LOG_ERROR, "block %llu: group %llu calls block %llu free, which is no file's",
             static_cast<unsigned long long>(layout_.bitmap(index).value),
             static_cast<unsigned long long>(index), static_cast<unsigned long long>(start + free));
    return Error::kBadBitmap;
}

Status Space::load()
{
    // Growing happens under those who look into the array: it is as large as the file system can get on this
    // device.
    const u64 most = min(layout_.most_groups(), divide_up(media_.blocks(), TARNFS_BITMAP_BITS));
    groups_ = TRY(Array<Atomic<Group*>>::create(most));
    u64 free = 0;
    for (u64 index = 0; index < layout_.groups; index++) {
        const auto& bitmap = *reinterpret_cast<const tarnfs_bitmap*>(media_.at(layout_.bitmap(index)));
        TRY(check_header(index, bitmap));
        free += layout_.group_bits(index) - bitmap.set;
    }
    free_.store_relaxed(free);
    set_reserve();
    return Ok{};
}

void Space::set_reserve()
{
    // A leaf that splits keeps about 112 extents, so a map of n blocks has less than n / 100 nodes, whatever is written in
    // which order: enough for every pattern of conversions until the bound is met.
    constexpr u64 kLargestReserve = 8192;  // 32 MiB
    reserve_.store_relaxed(min<u64>(kLargestReserve, layout_.blocks / 96));
}

Status Space::prepare_growth()
{
    auto loaded = load_group(layout_.groups - 1);
    return loaded.is_ok() ? Status(Ok{}) : Status(loaded.error());
}

void Space::grow(u64 blocks)
{
    const u64 index = (blocks - 1) / TARNFS_BITMAP_BITS;
    Group* group = groups_[index].load_acquire();
    TARN_BUG_ON(!group);
    {
        SpinGuard guard(group->lock);
        const u32 old_bits = group->bits;
        group->bits = layout_.group_bits(index);
        group->free += bits::clear(group->words, old_bits, group->bits - old_bits);
        group->longest = group->bits;
    }
    set_reserve();
    free_.fetch_add(layout_.blocks - blocks);
}

Result<Space::Group&> Space::load_group(u64 index)
{
    if (Group* group = groups_[index].load_acquire())
        return *group;
    const auto& bitmap = *reinterpret_cast<const tarnfs_bitmap*>(media_.at(layout_.bitmap(index)));
    TRY(check_header(index, bitmap));
    auto group = TRY(Box<Group>::create());
    group->bits = layout_.group_bits(index);
    memcpy(group->words, bitmap.words, sizeof(group->words));
    bits::set(group->words, group->bits, TARNFS_BITMAP_BITS - group->bits);
    group->free = group->bits - bits::count_set(group->words, group->bits);
    group->longest = group->bits;
    if (group->bits - group->free != bitmap.set) {
        // Somebody else has loaded it meanwhile, and its bits were changing as we counted them?
        if (Group* loaded = groups_[index].load_acquire())
            return *loaded;
        tarn_log_device(&media_.device(), TARN_LOG_ERROR, "block %llu: group %llu has %u blocks in use, its counter says %u",
                 static_cast<unsigned long long>(layout_.bitmap(index).value),
                 static_cast<unsigned long long>(index), group->bits - group->free, bitmap.set);
        return Error::kBadBitmap;
    }
    TRY(check_fixed(index, group->words));
    // No bit of an unloaded group can change, so two loaders read the same and the first wins.
    Group* expected = nullptr;
    if (groups_[index].compare_exchange(expected, group.get()))
        return *group.release();
    return *expected;
}

// Takes a run of at most `count` blocks from one group, searching from bit `behind` (else from where the last search
// ended) and then from its start.
// With Fit::kWhole, only a run of the full length (or, from 2 MiB on, a 2 MiB-aligned one) will do; with Fit::kWindow only
// one of the full length on a multiple of it.
std::optional<Run> Space::take(Group& group, u64 index, u64 count, std::optional<u32> behind, Fit fit)
{
    SpinGuard guard(group.lock);
    // Who takes anything need not look for more than there is: that would be a walk over all free runs each time.
    const u32 wanted = static_cast<u32>(min<u64>(count, fit == Fit::kAny ? group.longest : group.bits));
    if (group.free == 0 || (fit != Fit::kAny && group.longest < min(wanted, kHugeBlocks)))
        return std::nullopt;
    const u32 from = behind.value_or(group.hint);
    const u32 start = from < group.bits ? from : 0;
    BitRun found;
    u32 longest = 0;
    if (fit == Fit::kWindow) {
        found = aligned_fit(group.words, start, group.bits, wanted, wanted);
        if (!found.count)
            found = aligned_fit(group.words, 0, group.bits, wanted, wanted);
    } else if (wanted >= kHugeBlocks) {
        if (behind && start % kHugeBlocks != 0)  // goes on where the caller's last run ended
            found = first_fit(group.words, start, min(group.bits, start + wanted), wanted, &longest);
        if (found.first != start || found.count < kHugeBlocks)
            found = aligned_fit(group.words, start, group.bits, wanted);
        if (!found.count)
            found = aligned_fit(group.words, 0, group.bits, wanted);
    }
    if (!found.count && fit != Fit::kWindow && !(fit == Fit::kWhole && wanted >= kHugeBlocks)) {
        longest = 0;
        found = first_fit(group.words, start, group.bits, wanted, &longest);
        if (found.count < wanted) {
            const BitRun wrapped = first_fit(group.words, 0, group.bits, wanted, &longest);
            found = wrapped.count > found.count ? wrapped : found;
            if (found.count < wanted)
                group.longest = longest;
        }
        if (fit == Fit::kWhole && found.count < wanted)
            return std::nullopt;
    } else if (!found.count) {
        return std::nullopt;
    }
    TARN_BUG_ON(found.count == 0);
    bits::set(group.words, found.first, found.count);
    group.free -= found.count;
    group.hint = found.first + found.count;
    return Run{DeviceBlock(index * TARNFS_BITMAP_BITS + found.first), found.count};
}

Result<std::optional<Run>> Space::sweep(u64 count, DeviceBlock near, Fit fit)
{
    const u64 all = layout_.groups;
    const u64 home = near.value < all * TARNFS_BITMAP_BITS ? near.value / TARNFS_BITMAP_BITS : 0;
    const u64 groups = fit == Fit::kWindow ? min(kWindowGroups, all) : all;
    for (u64 step = 0; step < groups; step++) {
        const u64 index = (home + step) % all;
        Group& group = TRY(load_group(index));
        std::optional<u32> behind;
        if (step == 0 && near.value)
            behind = static_cast<u32>(near.value % TARNFS_BITMAP_BITS);
        if (auto run = take(group, index, count, behind, fit))
            return run;
    }
    return std::optional<Run>();
}

// How many of `count` blocks the caller may take; they are subtracted from the free ones.
u64 Space::claim(u64 count, Use use)
{
    const u64 untouchable = use == Use::kReserve ? 0 : reserve_.load_relaxed();
    u64 free = free_.load_relaxed();
    for (;;) {
        if (free <= untouchable)
            return 0;
        const u64 granted = min(count, free - untouchable);
        if (free_.compare_exchange(free, free - granted))
            return granted;
    }
}

Result<Reserved> Space::find(u64 count, DeviceBlock near, Use use)
{
    TARN_BUG_ON(count == 0);
    const u64 granted = claim(min<u64>(count, TARNFS_BITMAP_BITS), use);
    if (granted == 0)
        return Error::kNoSpace;
    auto found = sweep(granted, near, Fit::kWhole);
    if (found.is_ok() && !found.value())
        found.value() = TRY(sweep(granted, near, Fit::kAny));
    if (!found.is_ok() || !found.value()) {
        free_.fetch_add(granted);
        return found.is_ok() ? Error::kNoSpace : found.error();
    }
    const Run run = *found.value();
    free_.fetch_add(granted - run.count);
    return Reserved(*this, run);
}

Result<Reserved> Space::find_window(u64 size, DeviceBlock near)
{
    TARN_BUG_ON(size == 0 || size > kHugeBlocks || (size & (size - 1)) != 0);
    const u64 granted = claim(size, Use::kOrdinary);
    auto found = granted == size ? sweep(size, near, Fit::kWindow) : std::optional<Run>();
    if (found.is_ok() && found.value())
        return Reserved(*this, *found.value());
    free_.fetch_add(granted);
    return found.is_ok() ? Error::kNoSpace : found.error();
}

bool Space::is_pinned(DeviceBlock block) const
{
    return tarn_device_is_pinned(&media_.device(), block.value) != 0;
}

Result<Reserved> Space::reserve(u64 count, DeviceBlock near, Use use)
{
    for (;;) {
        std::optional<Reserved> usable = TRY(without_pinned(TRY(find(count, near, use))));
        if (usable)
            return std::move(*usable);
    }
}

Result<Reserved> Space::reserve_window(u64 size, DeviceBlock near)
{
    std::optional<Reserved> usable = TRY(without_pinned(TRY(find_window(size, near))));
    return usable ? Result<Reserved>(std::move(*usable)) : Error::kNoSpace;
}

// As much of a run as is before its first pinned block; that one is set aside when it is the very first.
Result<std::optional<Reserved>> Space::without_pinned(Reserved&& found)
{
    Reserved owned = std::move(found);
    u64 usable = 0;
    while (usable < owned.run().count && !is_pinned(owned.run().start + usable))
        usable++;
    if (max<u64>(usable, 1) < owned.run().count) {
        Reserved given_back = owned.split(max<u64>(usable, 1));
    }
    if (usable)
        return std::optional<Reserved>(std::move(owned));
    TRY(set_aside(std::move(owned)));
    return std::optional<Reserved>();
}

// One block, out of the free ones until release_unpinned.
Status Space::set_aside(Reserved&& pinned)
{
    Reserved owned = std::move(pinned);
    auto waiting = TRY(Box<DeferredRun>::create());
    waiting->run = owned.run();
    owned.spend();
    pinned_.fetch_add(waiting->run.count);
    SpinGuard guard(pending_lock_);
    set_aside_.push_back(*waiting.release());
    return Ok{};
}

bool Space::release_unpinned()
{
    List<DeferredRun> ready;
    {
        SpinGuard guard(pending_lock_);
        DeferredRun* waiting = set_aside_.front();
        while (waiting) {
            DeferredRun* next = set_aside_.next(*waiting);
            if (!is_pinned(waiting->run.start)) {
                set_aside_.remove(*waiting);
                ready.push_back(*waiting);
            }
            waiting = next;
        }
    }
    const bool any = !ready.empty();
    while (DeferredRun* free = ready.pop_front()) {
        release(free->run);
        pinned_.fetch_sub(free->run.count);
        Box<DeferredRun>::adopt(free).reset();
    }
    return any;
}

Status Space::prepare(Run run)
{
    while (run.count) {
        const Piece here = piece_of(run);
        Group& group = TRY(load_group(here.index));
        {
            SpinGuard guard(group.lock);
            if (bits::find(group.words, here.first, here.first + here.count, 0) != here.first + here.count)
                return Error::kBadExtent;
        }
        run = Run{run.start + here.count, run.count - here.count};
    }
    return Ok{};
}

// Counts what really becomes free: two extents of a damaged map may name the same blocks in one transaction.
void Space::release(Run run)
{
    while (run.count) {
        const Piece here = piece_of(run);
        Group* group = groups_[here.index].load_acquire();
        TARN_BUG_ON(!group);  // prepare() loaded it
        {
            SpinGuard guard(group->lock);
            const u32 freed = bits::clear(group->words, here.first, here.count);
            group->free += freed;
            group->longest = group->bits;
            free_.fetch_add(freed);
        }
        run = Run{run.start + here.count, run.count - here.count};
    }
}

void Space::defer(Box<DeferredRun> deferred)
{
    deferred_.fetch_add(deferred->run.count);
    SpinGuard guard(pending_lock_);
    pending_.push_back(*deferred.release());
}

void Space::release_deferred(Sequence floor)
{
    List<DeferredRun> ready;
    {
        SpinGuard guard(pending_lock_);
        DeferredRun* deferred = pending_.front();
        while (deferred) {
            DeferredRun* next = pending_.next(*deferred);
            if (deferred->sequence < floor) {
                pending_.remove(*deferred);
                ready.push_back(*deferred);
            }
            deferred = next;
        }
    }
    while (DeferredRun* deferred = ready.pop_front()) {
        release(deferred->run);
        deferred_.fetch_sub(deferred->run.count);
        Box<DeferredRun>::adopt(deferred).reset();
    }
}

}  // namespace tarn
