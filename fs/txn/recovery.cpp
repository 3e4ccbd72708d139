// SPDX-License-Identifier: GPL-2.0
// Recovery: replaying what the floor does not cover.
//
// The records of all journals at or above the highest durable floor are applied in sequence order, by merging
// the journals; each was durable before any later transaction could depend on it, so a missing number belongs
// to an operation nobody was told about. Cost: the journals' contents, whatever the size of the device.
//
// Crash argument: applying is idempotent, and no slot changes before the fence behind the last apply. A crash
// inside recovery repeats it from the same slots and records: nothing is applied before all records are
// durable, and restart() makes the slots durable before it overwrites the older ones. That they were read
// does not say so: the fence behind them may have failed, in a mount that has ended since or in an earlier
// try. Counters of bitmaps are derived: the ones touched are recounted at the end.
#include <cstring>

#include "cxxrt/mutant.hpp"
#include "fs/txn/journal.hpp"
#include "fs/txn/record.hpp"

namespace tarn {

namespace {

// Where a record begins.
DeviceBlock block_holding(const Media& media, Bytes record)
{
    return DeviceBlock(static_cast<u64>(record.data() - media.at(DeviceBlock(0))) >> kBlockShift);
}

// One journal's place in the merge.
struct Source {
    RecordScanner* scanner = nullptr;
    Bytes record;
};

}  // namespace

// Takes the newest good slot of a journal; `floor` rises to its floor.
Status Journals::read_slots(Journal& journal, Sequence& floor)
{
    const auto* slots = reinterpret_cast<const tarnfs_journal_slot*>(media_.at(journal.header));
    bool found = false;
    for (u32 i = 0; i < TARNFS_JOURNAL_SLOTS; i++) {
        tarnfs_journal_slot slot;
        memcpy(&slot, &slots[i], sizeof(slot));
        if (!is_good_slot(layout_, journal.index, slot) || (found && slot.update <= journal.slot_update))
            continue;
        found = true;
        journal.slot_update = slot.update;
        journal.tail = journal.head = slot.tail;
        journal.tail_lap = journal.lap = slot.lap;
        floor = max(floor, Sequence(slot.floor));
    }
    if (found)
        return Ok{};
    tarn_log_device(&media_.device(), TARN_LOG_ERROR, "block %llu: journal %u has no good slot",
             static_cast<unsigned long long>(journal.header.value), journal.index);
    return Error::kBadJournal;
}

// Stores the newest slot once more, as it is. The other one may be overwritten only when this one is durable.
void Journals::repeat_slot(Journal& journal)
{
    byte* newest = media_.writable(journal.header) +
                   journal.slot_update % TARNFS_JOURNAL_SLOTS * sizeof(tarnfs_journal_slot);
    tarnfs_journal_slot slot;
    memcpy(&slot, newest, sizeof(slot));
    media_.log(newest, &slot, sizeof(slot));
}

// The same for a record, which may take effect only when it is durable.
void Journals::repeat_record(Bytes record)
{
    Journal& journal = journals_[header_of(record).journal];
    memcpy(journal.staging.data(), record.data(), record.size());
    byte* target = media_.writable(journal.ring()) + (record.data() - media_.at(journal.ring()));
    media_.log(target, journal.staging.data(), record.size());
}

// Visits every record at or above `floor` of all journals in sequence order. Visit returns a Status.
template <class Visit>
static Status merge(const Media& media, const Layout& layout, Span<Journal> journals, Sequence floor, Visit visit)
{
    auto scanners = TRY(Array<Box<RecordScanner>>::create(journals.size()));
    auto sources = TRY(Array<Source>::create(journals.size()));
    for (usize i = 0; i < journals.size(); i++) {
        const Journal& journal = journals[i];
        const Verify verify = mutant(Mutant::kTornRecord) ? Verify::kShape : Verify::kFull;
        scanners[i] = TRY(Box<RecordScanner>::create(media, layout, journal, journal.tail, journal.tail_lap,
                                                     verify));
        sources[i].scanner = scanners[i].get();
        if (i == 0 || !mutant(Mutant::kRecoverOwnJournal))
            sources[i].record = scanners[i]->next();
    }
    for (;;) {
        Source* lowest = nullptr;
        for (Source& source : sources)
            if (!source.record.empty() && (!lowest || sequence_of(source.record) < sequence_of(lowest->record)))
                lowest = mutant(Mutant::kRecoverUnordered) && lowest ? lowest : &source;
        if (!lowest)
            break;
        if (sequence_of(lowest->record) >= floor || mutant(Mutant::kReplayBelowFloor))
            TRY(visit(lowest->record));
        lowest->record = lowest->scanner->next();
    }
    for (usize i = 0; i < journals.size(); i++)
        journals[i].lap = max(journals[i].lap, scanners[i]->lap());
    return Ok{};
}

Result<u64> Journals::recover()
{
    const Span<Journal> all(journals_.data(), journals_.size());
    u64 found = 0;
    Sequence next = max(recovery_floor_, Sequence(1));
    TRY(merge(media_, layout_, all, recovery_floor_, [&](Bytes record) -> Status {
        found++;
        next = max(next, sequence_of(record) + 1);
        Status sound = check_record(layout_, record);
        if (!sound.is_ok())
            tarn_log_device(&media_.device(), TARN_LOG_ERROR, "block %llu: journal %u: record %llu is not possible",
                            static_cast<unsigned long long>(block_holding(media_, record).value), header_of(record).journal,
                            header_of(record).sequence);
        return sound;
    }));
    next_.store_release(next.value);
    if (found == 0)
        return found;
    if (media_.is_read_only()) {
        tarn_log_device(&media_.device(), TARN_LOG_ERROR, "recovery is needed but the device is read-only");
        return Error::kReadOnly;
    }
    TRY(merge(media_, layout_, all, recovery_floor_, [&](Bytes record) -> Status {
        repeat_record(record);
        return Ok{};
    }));
    TRY(media_.fence());
    TRY(merge(media_, layout_, all, recovery_floor_, [&](Bytes record) -> Status {
        apply_record(media_, record);
        return Ok{};
    }));
    TRY(merge(media_, layout_, all, recovery_floor_, [&](Bytes record) -> Status {
        recount_bitmaps(media_, record);
        return Ok{};
    }));
    TRY(media_.fence());
    return found;
}

Status Journals::restart()
{
    for (Journal& journal : journals_)
        repeat_slot(journal);
    TRY(media_.fence());
    for (Journal& journal : journals_) {
        MutexGuard guard(journal.lock);
        // Two on: a torn record of the next lap may lie at the start of the ring.
        journal.lap += 2;
        journal.tail_lap = journal.lap;
        journal.head = journal.tail = journal.used = 0;
        write_slot(journal, next_sequence(), 0, journal.lap);
    }
    return media_.fence();
}

}  // namespace tarn
