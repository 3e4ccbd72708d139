// SPDX-License-Identifier: GPL-2.0
// Tokens: a block becomes reachable only with evidence that its contents are safe.
//
//   Reserved  --zero()/fill()-->  Initialised<InFlight>  --InFlightBatch::fence()-->  Initialised<Durable>
//   BlockMap::publish(Transaction&, FileBlock, Initialised<Durable>&&)
//
//   Unwritten --zero()/fill()-->  Converted<InFlight>    --fence()-->                 Converted<Durable>
//   BlockMap::publish(Transaction&, FileBlock, Converted<Durable>&&)
//
// Only Space makes a Reserved; only zero/fill turn one into Initialised<InFlight>; only a fence that succeeded makes
// that Durable; only Durable is accepted where a file's block map gains a block. Tokens are move-only; one that is
// dropped gives its run back to the free space; a moved-from token traps in debug builds. Nothing re-types a token.
//
// An unwritten run belongs to its file already (fallocate), but nobody is shown its contents. Only BlockMap makes an
// Unwritten, for one who has locked the run's entries so that nothing can map it meanwhile; from there the way is the
// same. Dropped, the run stays what it was: unwritten.
//
// Metadata blocks (tree nodes) take another road: Transaction::init_block consumes a Reserved and logs the whole
// contents in the same record that links the block, so contents and link become valid together. Those of a tree that is
// built anew (fs/tree/builder.hpp) take the first one, and end with Transaction::own.
#pragma once
#include <optional>

#include "cxxrt/mutant.hpp"
#include "cxxrt/vector.hpp"
#include "fs/media/media.hpp"

namespace tarn {

class Space;
class Transaction;

// Returns an unpublished run to the free space (fs/space).
void give_back(Space& space, Run run);

struct InFlight {};  // stored, not fenced
struct Durable {};   // a fence has completed since the stores

template <class State>
class Initialised;
class InFlightBatch;

// What all tokens share: sole ownership of a run until it is given back, published or turned into the next token.
class TokenBase {
  public:
    TokenBase(const TokenBase&) = delete;
    TokenBase& operator=(const TokenBase&) = delete;

    Run run() const
    {
        TARN_ASSERT(space_);
        return run_;
    }
    // True once the run has passed on to another token or owner.
    bool is_spent() const { return space_ == nullptr; }

  protected:
    TokenBase(Space& space, Run run) : space_(&space), run_(run) {}
    TokenBase(TokenBase&& other) : space_(std::exchange(other.space_, nullptr)), run_(other.run_)
    {
        TARN_ASSERT(space_);
    }
    ~TokenBase()
    {
        if (space_)
            give_back(*space_, run_);
    }
    // Ends this token's ownership; the caller now answers for the run.
    Space& spend()
    {
        TARN_BUG_ON(!space_);
        return *std::exchange(space_, nullptr);
    }

    Space* space_;
    Run run_;
};

// Free space set aside for one caller. Its contents are unknown; nothing may point to it.
class [[nodiscard]] Reserved : public TokenBase {
  public:
    Reserved(Reserved&&) = default;

    // Zeroes the whole run. Durable after a fence.
    Initialised<InFlight> zero(Media& media) &&;

    // Fills the run with `head` zero bytes, then what `copy` provides, then zeroes to the end of the last block
    // that received data; blocks beyond it are given back. `copy(target, length)` stores up to `length` bytes with
    // non-temporal stores and returns how many it stored. Returns nothing in `token` when no byte was copied.
    struct Filled;
    template <class Copy>
    Filled fill(Media& media, u64 head, u64 length, Copy&& copy) &&;

    // Cuts the token in two: this one keeps `count` blocks (1..count-1), the rest is returned.
    Reserved split(u64 count)
    {
        TARN_BUG_ON(count == 0 || count >= run_.count);
        Run rest{run_.start + count, run_.count - count};
        run_.count = count;
        return Reserved(*space_, rest);
    }

  private:
    friend class Space;
    friend class Transaction;
    Reserved(Space& space, Run run) : TokenBase(space, run) {}
};

// A run every byte of which has been stored; with Durable also fenced.
template <class State>
class [[nodiscard]] Initialised : public TokenBase {
  public:
    Initialised(Initialised&&) = default;

  private:
    friend class Reserved;
    friend class InFlightBatch;
    friend class DurableBatch;
    friend class Transaction;
    Initialised(Space& space, Run run) : TokenBase(space, run) {}
};

// What the tokens of a run that its file keeps share.
class UnwrittenBase {
  public:
    UnwrittenBase(const UnwrittenBase&) = delete;
    UnwrittenBase& operator=(const UnwrittenBase&) = delete;

    Run run() const
    {
        TARN_ASSERT(!is_spent());
        return run_;
    }
    bool is_spent() const { return run_.empty(); }

  protected:
    explicit UnwrittenBase(Run run) : run_(run) {}
    UnwrittenBase(UnwrittenBase&& other) : run_(other.spend()) {}
    ~UnwrittenBase() = default;
    Run spend()
    {
        TARN_BUG_ON(run_.empty());
        return std::exchange(run_, Run{});
    }

    Run run_;
};

template <class State>
class Converted;

// A run that a file has unwritten, while nothing can map it. Valid until the file's Inode::lock is dropped.
class [[nodiscard]] Unwritten : public UnwrittenBase {
  public:
    Unwritten(Unwritten&&) = default;

    // As Reserved's; blocks behind the last one that received data stay unwritten.
    Converted<InFlight> zero(Media& media) &&;
    struct Filled;
    template <class Copy>
    Filled fill(Media& media, u64 head, u64 length, Copy&& copy) &&;

  private:
    friend class BlockMap;
    explicit Unwritten(Run run) : UnwrittenBase(run) {}
};

// An unwritten run every byte of which has been stored; with Durable also fenced.
template <class State>
class [[nodiscard]] Converted : public UnwrittenBase {
  public:
    Converted(Converted&&) = default;

    Result<Converted<Durable>> fence(Media& media) &&
        requires std::is_same_v<State, InFlight>
    {
        if (!mutant(Mutant::kConversionNotFenced))
            TRY(media.fence());
        return Converted<Durable>(this->spend());
    }

  private:
    friend class Unwritten;
    template <class Other>
    friend class Converted;
    friend class BlockMap;
    explicit Converted(Run run) : UnwrittenBase(run) {}
};

struct Unwritten::Filled {
    u64 copied;
    std::optional<Converted<InFlight>> token;
};

struct Reserved::Filled {
    u64 copied;                                   // bytes copy() delivered
    std::optional<Initialised<InFlight>> token;   // none when copied is 0
};

// Durable tokens, handed out in the order they were added.
class [[nodiscard]] DurableBatch {
  public:
    DurableBatch() = default;
    usize size() const { return tokens_.size(); }
    Run run(usize index) const { return tokens_[index].run(); }
    // Each index once.
    Initialised<Durable> take(usize index) { return std::move(tokens_[index]); }

  private:
    friend class InFlightBatch;
    Vector<Initialised<Durable>, 4> tokens_;
};

// Collects tokens in flight, so that one fence serves them all.
class [[nodiscard]] InFlightBatch {
  public:
    InFlightBatch() = default;
    usize size() const { return tokens_.size(); }
    // On failure (no memory) the token is dropped: its run goes back.
    Status add(Initialised<InFlight>&& token) { return tokens_.push(std::move(token)); }
    // One fence, all tokens Durable, appended to `durable` in order. On failure all runs go back.
    Status fence(Media& media, DurableBatch& durable) &&;

  private:
    Vector<Initialised<InFlight>, 4> tokens_;
};

// Stores `head` zero bytes, what `copy` provides, and zeroes to the end of the last block that received data. Nothing
// but what `copy` itself did is stored when no byte was copied.
struct FilledBytes {
    u64 copied;
    u64 blocks;
};
template <class Copy>
FilledBytes fill_run(Media& media, Run run, u64 head, u64 length, Copy&& copy)
{
    byte* start = media.writable(run.start);
    TARN_BUG_ON(head + length > run.count * kBlockSize);
    const u64 copied = length ? copy(start + head, length) : 0;
    TARN_BUG_ON(copied > length);
    if (copied == 0)
        return {0, 0};
    const u64 used = head + copied;
    const u64 end = round_up(used, kBlockSize);
    if (head && !mutant(Mutant::kFillSkipsHead))
        media.zero(start, head);
    if (end > used && !mutant(Mutant::kFillSkipsTail))
        media.zero(start + used, end - used);
    return {copied, end / kBlockSize};
}

template <class Copy>
Reserved::Filled Reserved::fill(Media& media, u64 head, u64 length, Copy&& copy) &&
{
    const FilledBytes done = fill_run(media, run_, head, length, copy);
    Filled filled{done.copied, std::nullopt};
    if (done.copied == 0)
        return filled;  // this token still owns the run and gives it back when it goes
    if (done.blocks < run_.count) {
        Reserved rest = split(done.blocks);
    }
    Run kept = run_;
    filled.token.emplace(Initialised<InFlight>(spend(), kept));
    return filled;
}

template <class Copy>
Unwritten::Filled Unwritten::fill(Media& media, u64 head, u64 length, Copy&& copy) &&
{
    const Run run = spend();
    const FilledBytes done = fill_run(media, run, head, length, copy);
    Filled filled{done.copied, std::nullopt};
    if (done.copied)
        filled.token.emplace(Converted<InFlight>(Run{run.start, done.blocks}));
    return filled;
}

}  // namespace tarn
