// SPDX-License-Identifier: GPL-2.0
// Is this namespace ours, and which part of it is the disk?
//
// The rule behind every case: a namespace is served only in the way its info block says, because serving it
// in another way shifts the data and the next mkfs destroys it. So a block that is there but damaged, or
// cannot be read, refuses the namespace instead of being ignored; the administrator's force_raw overrules
// that.
#pragma once
#include "pmem/info_block.hpp"
#include "pmem/pmem.h"

namespace tarn::pmem {

using Namespace = tarn_pmem_namespace;
using Judgement = tarn_pmem_judgement;

// By the facts alone.
Judgement judge(const Namespace& ns);
// With the info block's contents; `block` is null when they could not be read.
Judgement judge_info_block(const Namespace& ns, const InfoBlock* block);

}  // namespace tarn::pmem
