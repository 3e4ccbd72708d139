// SPDX-License-Identifier: GPL-2.0
// Questions about bad sectors; see bad_blocks.hpp.
#include "pmem/bad_blocks.hpp"

namespace tarn::pmem {

std::optional<SectorRange> BadBlocks::first_in(SectorRange range) const
{
    if (range.empty())
        return std::nullopt;
    unsigned long long first = 0;
    unsigned long long count = 0;
    if (!tarn_media_first_bad(media_, range.first.value, range.count, &first, &count))
        return std::nullopt;
    const SectorRange bad = common(range, SectorRange{Sector(first), count});
    if (bad.empty())
        return std::nullopt;
    return bad;
}

bool BadBlocks::any_around(SectorRange whole, SectorRange part) const
{
    return any_in({whole.first, part.first - whole.first}) || any_in({part.end(), whole.end() - part.end()});
}

void BadBlocks::add(SectorRange range) const
{
    if (!range.empty())
        tarn_media_add_bad(media_, range.first.value, range.count);
}

void BadBlocks::forget(SectorRange range) const
{
    if (!range.empty())
        tarn_media_forget_bad(media_, range.first.value, range.count);
}

u64 pages_before_bad(const BadBlocks& bad, PageRange available)
{
    const auto run = bad.first_in(sectors_of(available));
    if (!run)
        return available.count;
    return run->first.value / kSectorsPerPage - available.first.value;
}

}  // namespace tarn::pmem
