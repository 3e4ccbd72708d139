// SPDX-License-Identifier: GPL-2.0
// Journals: committing and retiring.
//
// Crash argument.
//   Commit: the record is stored non-temporally and fenced before anything is applied, and before the caller's locks
//   go. A crash before the fence leaves a record that fails its CRC (or none): the operation did not happen, and nobody
//   was told it did. A crash after it replays the record.
//   Retirement: floor F is written only after every line targeted by a record below F was written back by this
//   thread and fenced; the tails move only after the slots with F are fenced. So whatever is overwritten in a ring is
//   below a durable floor, and whatever is at or above the highest durable floor is still in its ring.
//   The slots of different journals carry the same floor and are written together; a crash between them leaves some
//   with the old floor and the old tail: their scan starts earlier and skips what is below the highest floor.
//
//   A tail stops at the first record that is not below F, even if that record's effects are durable: replay must not
//   skip it while an earlier record of another journal, which may touch the same words, is still replayed.
//
// Lock order: retire_lock_, then one journal's lock at a time. Nothing else is taken under a journal's lock.
#include "fs/txn/journal.hpp"

#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/txn/record.hpp"
#include "fs/txn/transaction.hpp"

namespace tarn {

Journals::Journals(Media& media, const Layout& layout, Space& space)
    : media_(media), layout_(layout), space_(space), retire_lock_(Rank::kRetire, "tarnfs_retire")
{
}

Status Journals::load()
{
    journals_ = TRY(Array<Journal>::create(layout_.journals));
    for (u32 index = 0; index < layout_.journals; index++) {
        Journal& journal = journals_[index];
        journal.index = index;
        journal.header = layout_.journal(index);
        journal.ring_bytes = layout_.ring_bytes();
        journal.staging = TRY(Array<byte>::create(TARNFS_RECORD_MAX));
        TRY(read_slots(journal, recovery_floor_));
    }
    return Ok{};
}

Journal& Journals::pick() { return journals_[tarn_cpu_current() % journals_.size()]; }

// Makes sure `bytes` fit behind head, starting a new lap where the ring's end is too near. False: retire first.
bool Journals::make_room(Journal& journal, u32 bytes)
{
    const u64 to_end = journal.ring_bytes - journal.head;
    const bool wraps = bytes > to_end;  // also when head stands exactly at the end
    const u64 gap = wraps ? to_end : 0;
    if (journal.used + gap + bytes > journal.ring_bytes)
        return false;
    if (wraps) {
        journal.used += gap;
        journal.head = 0;
        journal.lap++;
    }
    return true;
}

// Under journal.lock: the composed record in staging becomes durable, then takes effect.
Result<Sequence> Journals::append(Journal& journal, u32 bytes)
{
    const Sequence sequence(next_.fetch_add(1));
    MutableBytes record(journal.staging.data(), bytes);
    finish_record(record, layout_, journal.index, journal.lap, sequence);
    media_.log(media_.writable(journal.ring()) + journal.head, record.data(), bytes);
    if (!mutant(Mutant::kNoFenceOfRecord))
        TRY(media_.fence());
    apply_record(media_, record);
    journal.head += bytes;
    journal.used += bytes;
    return sequence;
}

Result<Sequence> Journals::commit(Transaction& transaction)
{
    for (;;) {
        {
            Journal& journal = pick();
            MutexGuard guard(journal.lock);
            RecordWriter writer(media_, MutableBytes(journal.staging.data(), journal.staging.size()));
            const u32 bytes = TRY(writer.compose(transaction));
            if (bytes == 0)
                return Sequence(0);
            if (make_room(journal, bytes))
                return append(journal, bytes);
        }
        TRY(retire());
    }
}

// Writes back what the records of one journal below `floor` target, and says where they end. They stay where they
// are meanwhile: only retirement frees them, and it runs alone.
Result<Journals::Mark> Journals::write_back_records(Journal& journal, Sequence floor)
{
    u64 head, used;
    u32 lap;
    {
        MutexGuard guard(journal.lock);
        head = journal.head;
        lap = journal.lap;
        used = journal.used;
    }
    Mark mark{journal.tail, journal.tail_lap, 0};
    TargetLines lines(media_, Counters::kToo);
    RecordScanner scanner(media_, layout_, journal, journal.tail, journal.tail_lap, Verify::kShape);
    while (used && (mark.tail != head || mark.lap != lap)) {
        Bytes record = scanner.next();
        if (record.empty() || !check_record(layout_, record).is_ok()) {
            tarn_log_device(&media_.device(), TARN_LOG_ERROR, "journal %u: record at ring offset %llu is damaged", journal.index,
                     static_cast<unsigned long long>(mark.tail));
            return Error::kBadJournal;
        }
        if (sequence_of(record) >= floor)
            break;
        if (!mutant(Mutant::kRetireOwnJournal) || &journal == &pick())
            lines.write_back(record);
        mark = Mark{scanner.offset(), scanner.lap(), scanner.scanned()};
    }
    return mark;
}

void Journals::write_slot(Journal& journal, Sequence floor, u64 tail, u32 lap)
{
    tarnfs_journal_slot slot{};
    slot.magic = TARNFS_JOURNAL_MAGIC;
    memcpy(slot.uuid, layout_.uuid, sizeof(slot.uuid));
    slot.journal = journal.index;
    slot.lap = lap;
    slot.floor = floor.value;
    slot.tail = tail;
    slot.update = ++journal.slot_update;
    slot.crc = structure_crc(&slot, sizeof(slot), offsetof(tarnfs_journal_slot, crc));
    byte* target = media_.writable(journal.header) + slot.update % TARNFS_JOURNAL_SLOTS * sizeof(slot);
    media_.log(target, &slot, sizeof(slot));
}

Status Journals::retire()
{
    MutexGuard guard(retire_lock_);
    auto marks = TRY(Array<Mark>::create(journals_.size()));
    const Sequence floor = next_sequence();
    for (u32 i = 0; i < journals_.size(); i++)
        marks[i] = TRY(write_back_records(journals_[i], floor));
    TRY(media_.fence());
    for (u32 i = 0; i < journals_.size() && !mutant(Mutant::kNoFloor); i++)
        write_slot(journals_[i], floor, marks[i].tail, marks[i].lap);
    TRY(media_.fence());
    for (u32 i = 0; i < journals_.size(); i++) {
        Journal& journal = journals_[i];
        MutexGuard journal_guard(journal.lock);
        journal.tail = marks[i].tail;
        journal.tail_lap = marks[i].lap;
        journal.used -= marks[i].bytes;
    }
    space_.release_deferred(floor);
    return Ok{};
}

}  // namespace tarn
