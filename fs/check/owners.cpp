// SPDX-License-Identifier: GPL-2.0
// BlockOwners: marking runs, group by group.
#include "fs/check/owners.hpp"

#include "fs/space/bits.hpp"

namespace tarn {

namespace {

// The part of a run that lies in one group.
struct Part {
    u64 group;
    u32 first;
    u32 count;
};

Part first_part(Run run)
{
    const u64 group = run.start.value / TARNFS_BITMAP_BITS;
    const u32 first = static_cast<u32>(run.start.value % TARNFS_BITMAP_BITS);
    return {group, first, static_cast<u32>(min<u64>(run.count, TARNFS_BITMAP_BITS - first))};
}

Run behind(Run run, u32 count) { return Run{run.start + count, run.count - count}; }

}  // namespace

Status BlockOwners::init()
{
    groups_ = TRY(Array<Box<Bits>>::create(layout_.groups));
    return Ok{};
}

Result<BlockOwners::Bits*> BlockOwners::bits_of(u64 index)
{
    if (!groups_[index])
        groups_[index] = TRY(Box<Bits>::create());
    return groups_[index].get();
}

DeviceBlock BlockOwners::find(Run run, u32 owned) const
{
    while (run.count) {
        const Part part = first_part(run);
        const Bits* bits = groups_[part.group].get();
        if (!bits && !owned)
            return run.start;
        if (bits) {
            const u32 found = bits::find(bits->words, part.first, part.first + part.count, owned);
            if (found < part.first + part.count)
                return run.start + (found - part.first);
        }
        run = behind(run, part.count);
    }
    return run.start;
}

Status BlockOwners::mark(Run run)
{
    while (run.count) {
        const Part part = first_part(run);
        Bits* bits = TRY(bits_of(part.group));
        bits::set(bits->words, part.first, part.count);
        run = behind(run, part.count);
    }
    return Ok{};
}

void BlockOwners::disown(Run run)
{
    while (run.count) {
        const Part part = first_part(run);
        if (Bits* bits = groups_[part.group].get())
            bits::clear(bits->words, part.first, part.count);
        run = behind(run, part.count);
    }
}

Status BlockOwners::own(Run run, DeviceBlock* taken)
{
    *taken = find(run, 1);
    if (*taken != run.end() && ++overlaps_ > kMostOverlaps)
        return Ok{};
    return mark(run);
}

}  // namespace tarn
