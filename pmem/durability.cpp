// SPDX-License-Identifier: GPL-2.0
// When are stores to this memory durable? Asked of the platform once, when a disk is set up.
#include "pmem/durability.hpp"

namespace tarn::pmem {

void decide_durability(tarn_pmem_durability& durability)
{
    const bool flush_does_work = !durability.synchronous || durability.has_flush > 0;
    durability.class_ = flush_does_work ? TARN_DEVICE_FLUSH : TARN_DEVICE_SYNC;
    durability.write_back = durability.has_cache != 0;
    durability.doubtful = durability.synchronous && durability.has_flush < 0;
    durability.remark = nullptr;
    if (!durability.synchronous)
        durability.remark = "stores are durable after a flush by the host; MAP_SYNC is not possible";
    else if (durability.doubtful)
        durability.remark = "the platform does not say whether stores survive a loss of power";
}

}  // namespace tarn::pmem
