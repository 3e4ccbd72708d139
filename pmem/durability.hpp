// SPDX-License-Identifier: GPL-2.0
// When are stores to this memory durable?
#pragma once
#include "pmem/pmem.h"

namespace tarn::pmem {

// Fills in the `out` members from the `in` members.
void decide_durability(tarn_pmem_durability& durability);

}  // namespace tarn::pmem
