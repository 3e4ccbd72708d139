// SPDX-License-Identifier: GPL-2.0
// Journals: redo records on the media, and the floor below which they are no longer needed.
//
// One ring per journal; a commit picks the journal of its CPU. Under the journal's lock it takes the next global
// sequence number, writes the record, fences, and applies. So whoever then gets that lock finds every record with a
// lower sequence number applied (though its in-place lines may not be durable: another CPU wrote them back).
//
// Retirement (any CPU, one at a time): note the next sequence number F, then pass through each journal's lock once, after
// which every record below F has been applied; write back every line those records target; fence; write a slot with
// floor F to every journal; fence; only then let the tails move up. Space of a record is so reused only after a floor
// above it is durable, and idle journals are retired by whoever needs it.
//
// Crash argument: journal.cpp and recovery.cpp; format in SPEC.md.
#pragma once
#include "cxxrt/box.hpp"
#include "cxxrt/lock.hpp"
#include "fs/media/layout.hpp"
#include "fs/space/space.hpp"

namespace tarn {

class Transaction;

// One ring. All members but the constants are guarded by lock.
struct Journal {
    Journal() : lock(Rank::kJournal, "tarnfs_journal") {}

    Mutex lock;
    u32 index = 0;
    DeviceBlock header;   // slots; the ring follows
    u64 ring_bytes = 0;
    u64 head = 0;         // where the next record goes
    u64 tail = 0;         // where the oldest record that is still needed begins
    u32 lap = 0;          // of the next record
    u32 tail_lap = 0;     // of the record at tail
    u64 used = 0;         // bytes from tail to head, gaps at the ring's end included
    u64 slot_update = 0;  // of the newest slot
    Array<byte> staging;  // TARNFS_RECORD_MAX bytes: the record under construction

    DeviceBlock ring() const { return header + 1; }
};

class Journals {
  public:
    Journals(Media& media, const Layout& layout, Space& space);

    // Allocates the DRAM side and reads the slots. May sleep. Errors: kNoMemory, kBadJournal.
    Status load();
    // Replays what the floor does not cover and makes it durable. Idempotent; a crash inside is harmless. Returns the
    // number of records replayed. Errors: kReadOnly (something to replay, device read-only), kBadRecord, kDeviceFlush.
    Result<u64> recover();
    // Starts new laps behind recovery, so that nothing old can be taken for new. Writes all slots; two
    // fences. Error: kDeviceFlush.
    Status restart();

    // Writes the record of `transaction`, fences, applies it. May sleep. Returns its sequence number.
    Result<Sequence> commit(Transaction& transaction);
    // Raises the floor over everything committed so far. May sleep.
    Status retire();

    Sequence next_sequence() const { return Sequence(next_.load_acquire()); }

  private:
    // How far a journal can be retired: behind its last record below the new floor.
    struct Mark {
        u64 tail;
        u32 lap;
        u64 bytes;  // from the old tail to the new one, gaps included
    };

    Journal& pick();
    bool make_room(Journal& journal, u32 bytes);
    Result<Sequence> append(Journal& journal, u32 bytes);
    Result<Mark> write_back_records(Journal& journal, Sequence floor);
    void write_slot(Journal& journal, Sequence floor, u64 tail, u32 lap);
    void repeat_slot(Journal& journal);
    void repeat_record(Bytes record);
    Status read_slots(Journal& journal, Sequence& floor);

    Media& media_;
    const Layout& layout_;
    Space& space_;
    Array<Journal> journals_;
    Sequence recovery_floor_;
    Atomic<u64> next_{1};
    Mutex retire_lock_;
};

}  // namespace tarn
