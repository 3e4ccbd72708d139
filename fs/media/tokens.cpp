// SPDX-License-Identifier: GPL-2.0
// Tokens: zeroing and the fence that upgrades them.
#include "fs/media/tokens.hpp"

namespace tarn {

Initialised<InFlight> Reserved::zero(Media& media) &&
{
    Run run = run_;
    if (!mutant(Mutant::kFaultSkipsZero))
        media.zero(media.writable(run.start), run.count * kBlockSize);
    return Initialised<InFlight>(spend(), run);
}

Converted<InFlight> Unwritten::zero(Media& media) &&
{
    const Run run = spend();
    if (!mutant(Mutant::kUnwrittenSkipsZero))
        media.zero(media.writable(run.start), run.count * kBlockSize);
    return Converted<InFlight>(run);
}

Status InFlightBatch::fence(Media& media, DurableBatch& durable) &&
{
    if (!mutant(Mutant::kNoFenceBeforeRecord))
        TRY(media.fence());
    for (auto& token : tokens_) {
        TRY(durable.tokens_.reserve_one());
        Run run = token.run_;
        TRY(durable.tokens_.push(Initialised<Durable>(token.spend(), run)));
    }
    return Ok{};
}

}  // namespace tarn
