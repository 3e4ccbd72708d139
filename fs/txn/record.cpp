// SPDX-License-Identifier: GPL-2.0
// Records: composing, checking, applying and scanning.
//
// Crash argument for apply_record: it only repeats what a durable record says, so doing it again, partly or in full,
// changes nothing. Two records of overlapping ranges are ordered by the locks their transactions held, and recovery
// applies in sequence order. Bitmap operations of concurrent records may meet in one word; they touch different bits
// (a bit's owner is the token or the freeing transaction) and are applied with atomic and/or.
#include "fs/txn/record.hpp"

#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/space/bits.hpp"
#include "fs/txn/journal.hpp"
#include "fs/txn/transaction.hpp"

namespace tarn {

namespace {

constexpr u32 kHeader = sizeof(tarnfs_record);

constexpr u64 op_word(u64 kind, u64 block, u64 first_word, u64 count)
{
    return kind | first_word << 4 | (count - 1) << 13 | block << TARNFS_OP_BLOCK_SHIFT;
}
constexpr u64 op_plain(u64 kind, u64 block) { return kind | block << TARNFS_OP_BLOCK_SHIFT; }

// One decoded operation. `payload` points behind the first word.
struct Op {
    u32 kind;
    u32 first;  // WORDS: first word; SET, CLEAR: first bit
    u32 count;
    DeviceBlock block;
    const u64* payload;
    u32 bytes;  // length of the whole operation
};

// Decodes the operation at `at`, which has at least 8 readable bytes.
Op decode(const byte* at)
{
    u64 word;
    memcpy(&word, at, sizeof(word));
    Op op{};
    op.kind = static_cast<u32>(word & 15);
    op.block = DeviceBlock(word >> TARNFS_OP_BLOCK_SHIFT);
    op.payload = reinterpret_cast<const u64*>(at + kWordSize);
    op.bytes = kWordSize;
    if (op.kind == TARNFS_OP_WORDS) {
        op.first = static_cast<u32>(word >> 4 & 511);
        op.count = static_cast<u32>(word >> 13 & 511) + 1;
        op.bytes += op.count * static_cast<u32>(kWordSize);
    } else if (op.kind == TARNFS_OP_SET || op.kind == TARNFS_OP_CLEAR) {
        op.bytes += kWordSize;
    }
    return op;
}

void decode_bits(Op& op)
{
    op.first = static_cast<u32>(op.payload[0]);
    op.count = static_cast<u32>(op.payload[0] >> 32);
}

// Calls `visit(op)` for each operation of a record whose shape has been checked.
template <class Visit>
void for_each_op(Bytes record, Visit visit)
{
    const u32 used = header_of(record).used;
    for (u32 at = kHeader; at < used;) {
        Op op = decode(record.data() + at);
        if (op.kind == TARNFS_OP_SET || op.kind == TARNFS_OP_CLEAR)
            decode_bits(op);
        visit(op);
        at += op.bytes;
    }
}

bool op_is_sound(const Layout& layout, Op& op)
{
    const bool data = layout.is_data(Run{op.block, 1});
    switch (op.kind) {
    case TARNFS_OP_WORDS:
        return op.first + op.count <= kBlockSize / kWordSize && (data || op.block == layout.system_block);
    case TARNFS_OP_ZERO:
        return data;
    case TARNFS_OP_SET:
    case TARNFS_OP_CLEAR:
        decode_bits(op);
        return op.count && op.first < TARNFS_BITMAP_BITS && op.count <= TARNFS_BITMAP_BITS - op.first &&
               (data || (op.block >= layout.bitmap_start && op.block < layout.bitmap_start + layout.groups));
    }
    return false;
}

bool is_inode_bitmap(const Media& media, DeviceBlock block)
{
    return reinterpret_cast<const tarnfs_bitmap*>(media.at(block))->kind == TARNFS_BITMAP_INODES;
}

// Sets or clears bits, and keeps the counter in step.
void apply_bits(Media& media, const Op& op)
{
    auto& bitmap = *reinterpret_cast<tarnfs_bitmap*>(media.writable(op.block));
    u32 changed = 0;
    u32 first = op.first;
    for (u32 left = op.count; left;) {
        const bits::Piece p = bits::piece(first, left);
        u64* word = reinterpret_cast<u64*>(&bitmap.words[p.word]);
        const u64 old = op.kind == TARNFS_OP_SET ? __atomic_fetch_or(word, p.mask, __ATOMIC_RELAXED)
                                                 : __atomic_fetch_and(word, ~p.mask, __ATOMIC_RELAXED);
        changed += bits::population(op.kind == TARNFS_OP_SET ? ~old & p.mask : old & p.mask);
        first += p.count;
        left -= p.count;
    }
    if (op.kind == TARNFS_OP_SET)
        __atomic_fetch_add(&bitmap.set, changed, __ATOMIC_RELAXED);
    else
        __atomic_fetch_sub(&bitmap.set, changed, __ATOMIC_RELAXED);
}

}  // namespace

// ---- composing ---------------------------------------------------------------------------------------------

Status RecordWriter::word(u64 value)
{
    if (used_ + kWordSize > staging_.size())
        return Error::kTransactionTooBig;
    memcpy(staging_.data() + used_, &value, kWordSize);
    used_ += kWordSize;
    return Ok{};
}

Status RecordWriter::words(MediaAddress at, const u64* source, u32 count)
{
    const u64 first = (at.value & (kBlockSize - 1)) / kWordSize;
    TRY(word(op_word(TARNFS_OP_WORDS, block_of(at).value, first, count)));
    if (used_ + count * kWordSize > staging_.size())
        return Error::kTransactionTooBig;
    memcpy(staging_.data() + used_, source, count * kWordSize);
    used_ += count * kWordSize;
    return Ok{};
}

// Emits the words of a shadow that differ from its base (the media, or zero). A single equal word between two
// differing ones is carried along: that costs no more than a second operation.
Status RecordWriter::shadow(Shadow& shadow)
{
    const auto* now = reinterpret_cast<const u64*>(shadow.bytes());
    const auto* base = reinterpret_cast<const u64*>(media_.at(shadow.address()));
    const auto end = static_cast<u32>(shadow.size() / kWordSize);
    auto differs = [&](u32 i) { return shadow.fresh_ ? now[i] != 0 : now[i] != base[i]; };
    if (shadow.fresh_)
        TRY(word(op_plain(TARNFS_OP_ZERO, block_of(shadow.address()).value)));
    u32 start = end;  // of the run being collected; `end` when there is none
    u32 last = 0;     // last differing word of that run
    for (u32 i = 0; i < end; i++) {
        if (i % 8 == 0 && !(shadow.lines_ >> (i / 8) & 1)) {
            i += 7;
            continue;
        }
        if (!differs(i))
            continue;
        if (start != end && i - last > 2) {
            TRY(words(shadow.address() + start * kWordSize, now + start, last - start + 1));
            start = end;
        }
        if (start == end)
            start = i;
        last = i;
    }
    if (start != end)
        TRY(words(shadow.address() + start * kWordSize, now + start, last - start + 1));
    return Ok{};
}

// The bug of a mutant: what the bitmap's word and counter will be, not what happens to them.
inline Status RecordWriter::bit_as_word(DeviceBlock block, u32 bit, u8 kind)
{
    const auto& bitmap = *reinterpret_cast<const tarnfs_bitmap*>(media_.at(block));
    const bool sets = kind == TARNFS_OP_SET;
    const u64 mask = u64{1} << bit % 64;
    const u64 word = sets ? bitmap.words[bit / 64] | mask : bitmap.words[bit / 64] & ~mask;
    const u64 counter = u64{sets ? bitmap.set + 1 : bitmap.set - 1} << 32 | bitmap.bits;
    TRY(words(address_of(block) + offsetof(tarnfs_bitmap, words) + bit / 64 * kWordSize, &word, 1));
    return words(address_of(block) + offsetof(tarnfs_bitmap, bits), &counter, 1);
}

Result<u32> RecordWriter::compose(Transaction& transaction)
{
    used_ = kHeader;
    for (Shadow* s = transaction.shadows_.front(); s; s = transaction.shadows_.next(*s))
        TRY(shadow(*s));
    for (const auto& op : transaction.bits_) {
        if (mutant(Mutant::kBitsAsWords) && is_inode_bitmap(media_, op.bitmap)) {
            TRY(bit_as_word(op.bitmap, op.first, op.kind));
            continue;
        }
        TRY(word(op_plain(op.kind, op.bitmap.value)));
        TRY(word(u64{op.count} << 32 | op.first));
    }
    if (used_ == kHeader)
        return u32{0};
    const u32 bytes = static_cast<u32>(round_up(used_, TARNFS_RECORD_ALIGN));
    memset(staging_.data() + used_, 0, bytes - used_);
    reinterpret_cast<tarnfs_record*>(staging_.data())->used = static_cast<u32>(used_);
    return bytes;
}

void finish_record(MutableBytes record, const Layout& layout, u32 journal, u32 lap, Sequence sequence)
{
    auto& header = *reinterpret_cast<tarnfs_record*>(record.data());
    header.magic = TARNFS_RECORD_MAGIC;
    header.bytes = static_cast<u32>(record.size());
    header.sequence = sequence.value;
    header.lap = lap;
    header.journal = journal;
    memcpy(header.uuid, layout.uuid, sizeof(header.uuid));
    header.crc = structure_crc(record.data(), record.size(), offsetof(tarnfs_record, crc));
}

// ---- applying ----------------------------------------------------------------------------------------------

void apply_record(Media& media, Bytes record)
{
    for_each_op(record, [&](const Op& op) {
        if (op.kind == TARNFS_OP_WORDS)
            memcpy(media.writable(op.block) + op.first * kWordSize, op.payload, op.count * kWordSize);
        else if (op.kind == TARNFS_OP_ZERO)
            memset(media.writable(op.block), 0, kBlockSize);
        else
            apply_bits(media, op);
    });
    TargetLines(media, Counters::kLeft).write_back(record);
}

void TargetLines::write_back(Bytes record)
{
    for_each_op(record, [&](const Op& op) {
        const byte* block = media_.at(op.block);
        if (op.kind == TARNFS_OP_WORDS) {
            write_back(block + op.first * kWordSize, op.count * kWordSize);
        } else if (op.kind == TARNFS_OP_ZERO) {
            write_back(block, kBlockSize);
        } else {
            const auto& bitmap = *reinterpret_cast<const tarnfs_bitmap*>(block);
            const u32 last = op.first + op.count - 1;
            write_back(&bitmap.words[op.first / 64], (last / 64 - op.first / 64 + 1) * kWordSize);
            if (counters_ == Counters::kToo)
                write_back(&bitmap.set, sizeof(bitmap.set));
        }
    });
}

void TargetLines::write_back(const void* target, usize length)
{
    usize line = reinterpret_cast<usize>(target) / kLineSize;
    const usize end = (reinterpret_cast<usize>(target) + length - 1) / kLineSize + 1;
    while (line < end) {
        const usize from = line++;
        if (!remember(from))
            continue;
        while (line < end && remember(line))
            line++;
        media_.write_back(reinterpret_cast<const void*>(from * kLineSize), (line - from) * kLineSize);
    }
}

// False: it is remembered already. The lines of one block never displace each other, and blocks begin in different places,
// for their first lines change most.
bool TargetLines::remember(usize line)
{
    usize& slot = recent_[(line + line / kRemembered * 13) % kRemembered];
    if (slot == line)
        return false;
    slot = line;
    return true;
}

Status check_record(const Layout& layout, Bytes record)
{
    const u32 used = header_of(record).used;
    if (used > record.size() || used < kHeader || used % kWordSize)
        return Error::kBadRecord;
    for (u32 at = kHeader; at < used;) {
        Op op = decode(record.data() + at);
        if (op.bytes > used - at || !op_is_sound(layout, op))
            return Error::kBadRecord;
        at += op.bytes;
    }
    return Ok{};
}

void recount_bitmaps(Media& media, Bytes record)
{
    DeviceBlock last(~u64{0});
    for_each_op(record, [&](const Op& op) {
        if ((op.kind != TARNFS_OP_SET && op.kind != TARNFS_OP_CLEAR) || op.block == last)
            return;
        last = op.block;
        auto& bitmap = *reinterpret_cast<tarnfs_bitmap*>(media.writable(op.block));
        const u32 limit = min<u32>(bitmap.bits, TARNFS_BITMAP_BITS);
        bitmap.set = bits::count_set(reinterpret_cast<const u64*>(bitmap.words), limit);
        media.write_back(&bitmap.set, sizeof(bitmap.set));
    });
}

// ---- scanning ----------------------------------------------------------------------------------------------

RecordScanner::RecordScanner(const Media& media, const Layout& layout, const Journal& journal, u64 offset, u32 lap,
                             Verify verify)
    : media_(media), layout_(layout), journal_(journal.index), ring_(media.at(journal.ring())),
      ring_bytes_(journal.ring_bytes), offset_(offset), lap_(lap), verify_(verify)
{
}

Bytes RecordScanner::record_at(u64 offset, u32 lap) const
{
    if (offset % TARNFS_RECORD_ALIGN || ring_bytes_ < kHeader || offset > ring_bytes_ - kHeader)
        return {};
    tarnfs_record header;
    memcpy(&header, ring_ + offset, sizeof(header));
    if (header.magic != TARNFS_RECORD_MAGIC || header.lap != lap || header.journal != journal_)
        return {};
    if (header.bytes < kHeader || header.bytes > TARNFS_RECORD_MAX || header.bytes % TARNFS_RECORD_ALIGN ||
        header.bytes > ring_bytes_ - offset || header.sequence <= last_.value || !is_possible(header.sequence))
        return {};
    if (memcmp(header.uuid, layout_.uuid, sizeof(header.uuid)) != 0)
        return {};
    Bytes record(ring_ + offset, header.bytes);
    if (verify_ == Verify::kFull &&
        header.crc != structure_crc(record.data(), record.size(), offsetof(tarnfs_record, crc)))
        return {};
    return record;
}

Bytes RecordScanner::next()
{
    Bytes record = record_at(offset_, lap_);
    u64 gap = 0;
    if (record.empty() && offset_ != 0) {
        // The writer begins a new lap at the start of the ring when a record does not fit before its end.
        gap = ring_bytes_ - min(offset_, ring_bytes_);
        record = record_at(0, lap_ + 1);
        if (!record.empty()) {
            offset_ = 0;
            lap_++;
        }
    }
    if (record.empty())
        return {};
    scanned_ += gap + record.size();
    if (scanned_ > ring_bytes_)
        return {};
    offset_ += record.size();
    last_ = sequence_of(record);
    return record;
}

}  // namespace tarn
