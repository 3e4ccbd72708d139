// SPDX-License-Identifier: GPL-2.0
// Transaction: gathering changes in DRAM.
//
// Crash argument: until commit() nothing here stores to the media, and commit() is Journals::commit (see journal.cpp):
// a crash shows all of the transaction or nothing of it. What settle() does is DRAM only: runs become usable again
// after the record that freed them is durable.
#include "fs/txn/transaction.hpp"

#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/space/bits.hpp"
#include "fs/txn/volume.hpp"

namespace tarn {

namespace {

constexpr u32 kInodeBytes = TARNFS_INODE_BYTES;
constexpr u32 kOpWeight = 16;  // bytes of the largest operation without its words
constexpr char kTwoUses[] = "block in use for two things";

}  // namespace

Shadow::Shadow(MediaAddress address, u32 size, Array<byte> bytes)
    : bytes_(std::move(bytes)), address_(address), size_(size)
{
}

void Shadow::touch(u32 offset, u32 length)
{
    TARN_BUG_ON(offset > size_ || length > size_ - offset);
    if (length == 0)
        return;
    const auto first = static_cast<u32>(offset / kLineSize);
    const auto count = static_cast<u32>((offset + length - 1) / kLineSize) - first + 1;
    const u64 ones = count == 64 ? ~u64{0} : (u64{1} << count) - 1;
    lines_ |= ones << first;
}

void Shadow::store(u32 offset, const void* source, u32 length)
{
    touch(offset, length);
    memcpy(bytes_.data() + offset, source, length);
}

void Shadow::move(u32 to, u32 from, u32 length)
{
    TARN_BUG_ON(from > size_ || length > size_ - from);
    touch(to, length);
    memmove(bytes_.data() + to, bytes_.data() + from, length);
}

void Shadow::zero(u32 offset, u32 length)
{
    touch(offset, length);
    memset(bytes_.data() + offset, 0, length);
}

Transaction::Transaction(Volume& volume) : volume_(volume) {}

Transaction::~Transaction()
{
    undo();
    while (Shadow* shadow = shadows_.pop_front())
        Box<Shadow>::adopt(shadow).reset();
}

// Gives back what this transaction owns and forgets what it meant to free. After settle() there is nothing to do.
void Transaction::undo()
{
    for (const Run& run : owned_)
        volume_.space().release(run);
    owned_.clear();
    freed_data_.clear();
    while (DeferredRun* deferred = freed_metadata_.pop_front())
        Box<DeferredRun>::adopt(deferred).reset();
}

Shadow* Transaction::find(MediaAddress address) const
{
    for (Shadow* shadow = shadows_.front(); shadow; shadow = shadows_.next(*shadow))
        if (shadow->address_ == address)
            return shadow;
    return nullptr;
}

const byte* Transaction::view(MediaAddress address) const
{
    const Shadow* shadow = find(address);
    return shadow ? shadow->bytes() : volume_.media().at(address);
}

Result<Shadow&> Transaction::shadow(MediaAddress address, u32 size)
{
    if (Shadow* known = find(address)) {
        if (known->size_ != size)
            return volume_.corrupt(Error::kBadBitmap, block_of(address), kTwoUses);
        return *known;
    }
    TRY(volume_.may_change());
    TARN_BUG_ON(address.value % size != 0);
    auto bytes = TRY(Array<byte>::create(size));
    memcpy(bytes.data(), volume_.media().at(address), size);
    auto made = TRY(Box<Shadow>::create(address, size, std::move(bytes)));
    Shadow& added = *made.release();
    shadows_.push_back(added);
    return added;
}

Result<Shadow&> Transaction::edit_block(DeviceBlock block)
{
    return shadow(address_of(block), kBlockSize);
}

Result<Shadow&> Transaction::edit_inode(MediaAddress record)
{
    Shadow& shadow_of_inode = TRY(shadow(record, kInodeBytes));
    shadow_of_inode.lines_ = (1u << (kInodeBytes / kLineSize)) - 1;  // compared whole at commit
    return shadow_of_inode;
}

Result<tarnfs_inode&> Transaction::edit_inode_record(MediaAddress record)
{
    Shadow& shadow_of_inode = TRY(edit_inode(record));
    return *reinterpret_cast<tarnfs_inode*>(shadow_of_inode.bytes_.data());
}

Result<Shadow&> Transaction::init_block(Reserved&& reserved)
{
    TRY(volume_.may_change());
    const Run run = reserved.run();
    TARN_BUG_ON(run.count != 1);
    // A block that this very transaction freed is never free before its commit, so there is no shadow of it yet: but where
    // the bitmap calls a block free that is in use.
    if (find(address_of(run.start)))
        return volume_.corrupt(Error::kBadBitmap, run.start, kTwoUses);
    auto bytes = TRY(Array<byte>::create(kBlockSize));
    auto made = TRY(Box<Shadow>::create(address_of(run.start), static_cast<u32>(kBlockSize), std::move(bytes)));
    TRY(owned_.reserve_one());
    TRY(log_run(run, TARNFS_OP_SET));
    reserved.spend();
    TRY(owned_.push(run));
    made->fresh_ = true;
    Shadow& added = *made.release();
    shadows_.push_back(added);
    return added;
}

template <class Token>
Status Transaction::take_over(Token&& token)
{
    TRY(volume_.may_change());
    TRY(owned_.reserve_one());
    TRY(log_run(token.run(), TARNFS_OP_SET));
    const Run run = token.run();
    token.spend();
    return owned_.push(run);
}

Status Transaction::own(Initialised<Durable>&& token) { return take_over(std::move(token)); }
Status Transaction::own_unwritten(Reserved&& reserved) { return take_over(std::move(reserved)); }

Status Transaction::free(Run run, Freed what)
{
    TRY(volume_.may_change());
    if (Status known = volume_.space().prepare(run); !known.is_ok())
        return is_corruption(known.error()) ? volume_.corrupt(known.error(), run.start, "freed but not in use")
                                            : known.error();
    if (what == Freed::kData) {
        TRY(freed_data_.reserve_one());
        TRY(log_run(run, TARNFS_OP_CLEAR));
        if (mutant(Mutant::kFreedBeforeRecord))
            volume_.space().release(run);
        return freed_data_.push(run);
    }
    auto deferred = TRY(Box<DeferredRun>::create());
    deferred->run = run;
    TRY(log_run(run, TARNFS_OP_CLEAR));
    freed_metadata_.push_back(*deferred.release());
    return Ok{};
}

// One operation per group the run touches.
Status Transaction::log_run(Run run, u8 kind)
{
    const Layout& layout = volume_.layout();
    TARN_BUG_ON(!layout.is_data(run));
    while (run.count) {
        const u64 group = run.start.value / TARNFS_BITMAP_BITS;
        const u32 first = static_cast<u32>(run.start.value % TARNFS_BITMAP_BITS);
        const u32 count = static_cast<u32>(min<u64>(run.count, TARNFS_BITMAP_BITS - first));
        TRY(log_bits(kind, layout.bitmap(group), first, count));
        run = Run{run.start + count, run.count - count};
    }
    return Ok{};
}

// What goes on where the operation before ended is one with it.
Status Transaction::log_bits(u8 kind, DeviceBlock bitmap, u32 first, u32 count)
{
    TARN_BUG_ON(count == 0 || first + count > TARNFS_BITMAP_BITS);
    BitOp* last = bits_.empty() ? nullptr : &bits_.back();
    if (last && last->bitmap == bitmap && last->kind == kind && last->first + last->count == first) {
        last->count += count;
        return Ok{};
    }
    return bits_.push(BitOp{bitmap, first, count, kind});
}

Status Transaction::set_bits(DeviceBlock bitmap, u32 first, u32 count)
{
    TRY(volume_.may_change());
    return log_bits(TARNFS_OP_SET, bitmap, first, count);
}

Status Transaction::clear_bits(DeviceBlock bitmap, u32 first, u32 count)
{
    TRY(volume_.may_change());
    return log_bits(TARNFS_OP_CLEAR, bitmap, first, count);
}

u32 Transaction::weight() const
{
    u32 bytes = static_cast<u32>(bits_.size()) * kOpWeight;
    for (Shadow* shadow = shadows_.front(); shadow; shadow = shadows_.next(*shadow))
        bytes += bits::population(shadow->lines_) * (static_cast<u32>(kLineSize) + kOpWeight);
    return bytes;
}

bool Transaction::is_empty() const { return shadows_.empty() && bits_.empty(); }

void Transaction::seal()
{
    for (Shadow* shadow = shadows_.front(); shadow; shadow = shadows_.next(*shadow)) {
        if (shadow->size_ != kInodeBytes)
            continue;
        auto& record = *reinterpret_cast<tarnfs_inode*>(shadow->bytes_.data());
        record.crc = structure_crc(&record, sizeof(record), offsetof(tarnfs_inode, crc));
    }
}

// The record is durable and applied: what it published is in use for good, what it freed becomes usable.
void Transaction::settle(Sequence sequence)
{
    owned_.clear();
    for (const Run& run : freed_data_)
        volume_.space().release(run);
    freed_data_.clear();
    while (DeferredRun* deferred = freed_metadata_.pop_front()) {
        if (mutant(Mutant::kMetadataFreedAtOnce))
            volume_.space().release(deferred->run);
        deferred->sequence = sequence;
        volume_.space().defer(Box<DeferredRun>::adopt(deferred));
    }
}

Status Transaction::commit()
{
    if (is_empty())
        return Ok{};
    TRY(volume_.may_change());
    seal();
    auto sequence = volume_.journals().commit(*this);
    if (sequence.is_ok()) {
        settle(sequence.value());
        return Ok{};
    }
    if (sequence.error() == Error::kDeviceFlush) {
        // Whether the record is durable is unknown: nothing it names may be used again before the next recovery.
        owned_.clear();
        volume_.shut_down(sequence.error());
    }
    if (is_corruption(sequence.error()))
        return volume_.corrupt(sequence.error(), volume_.layout().journal_start, "journal");
    return sequence.error();
}

}  // namespace tarn
