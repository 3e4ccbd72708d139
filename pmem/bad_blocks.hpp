// SPDX-License-Identifier: GPL-2.0
// The known bad sectors of one disk. The list itself is the platform's (it is also shown in sysfs); this is
// how the core asks about it.
//
// Every walk advances by at least one sector and ends at the end of the range it was given, however the list
// changes meanwhile.
#pragma once
#include <optional>

#include "pmem/range.hpp"

namespace tarn::pmem {

class BadBlocks {
  public:
    explicit BadBlocks(void* media) : media_(media) {}

    // The first bad run in `range`, clipped to it.
    std::optional<SectorRange> first_in(SectorRange range) const;
    bool any_in(SectorRange range) const { return first_in(range).has_value(); }
    // Is there a bad sector in `whole` outside `part`? `part` lies inside `whole`.
    bool any_around(SectorRange whole, SectorRange part) const;

    // Calls `visit(SectorRange) -> Status` for each bad run of `range`; stops at the first error.
    template <class Visit>
    Status for_each_in(SectorRange range, Visit visit) const
    {
        while (auto bad = first_in(range)) {
            TRY(visit(*bad));
            range = {bad->end(), range.end() - bad->end()};
        }
        return Ok{};
    }

    void add(SectorRange range) const;
    void forget(SectorRange range) const;

  private:
    void* media_;
};

// How much of `available` can be accessed from its first page on: up to the first page with a bad sector (0:
// that is the first page itself).
u64 pages_before_bad(const BadBlocks& bad, PageRange available);

}  // namespace tarn::pmem
