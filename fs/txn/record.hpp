// SPDX-License-Identifier: GPL-2.0
// Records: composing one from a transaction, scanning a ring for them, and applying one to the media.
//
// Composition and application are each in one place: commit and recovery apply with the same code, retirement and
// recovery scan with the same code.
#pragma once
#include "fs/media/layout.hpp"

namespace tarn {

class Transaction;
class Shadow;
struct Journal;

// Composes a record in DRAM. The header's identity (sequence, lap, journal) is filled in last, with the CRC.
class RecordWriter {
  public:
    RecordWriter(const Media& media, MutableBytes staging) : media_(media), staging_(staging) {}

    // Writes all operations of `transaction`; returns the record's length in bytes, 0 when nothing differs from the
    // media. Error: kTransactionTooBig.
    Result<u32> compose(Transaction& transaction);

  private:
    Status word(u64 value);
    Status shadow(Shadow& shadow);
    Status words(MediaAddress at, const u64* source, u32 count);
    Status bit_as_word(DeviceBlock block, u32 bit, u8 kind);

    const Media& media_;
    MutableBytes staging_;
    usize used_ = 0;
};

// Completes the header of a composed record.
void finish_record(MutableBytes record, const Layout& layout, u32 journal, u32 lap, Sequence sequence);

// Applies a record whose shape and operations are known to be good: stores in place and writes the lines back; no
// fence. Other transactions may apply at the same time: word ranges are theirs by lock, bitmap words change atomically.
void apply_record(Media& media, Bytes record);
// Whether the counters of bitmaps are written back with the bits. They are derived: recovery recounts those of the records it
// replays, so only what it will not see again, because the floor passes it, has to have them written back.
enum class Counters { kLeft, kToo };
// Writes back the lines that records target, after all their stores, and without storing. What changes of one object are
// words apart that share lines, and records of one journal go on changing the same objects: a line that was written back
// lately is not written back again. So one of these is for records of one journal, all applied before it is made.
class TargetLines {
  public:
    TargetLines(Media& media, Counters counters) : media_(media), counters_(counters) {}
    void write_back(Bytes record);

  private:
    void write_back(const void* target, usize length);
    bool remember(usize line);

    static constexpr usize kRemembered = 64;  // as many as a block has
    Media& media_;
    Counters counters_;
    usize recent_[kRemembered] = {};  // by number (address / kLineSize), each in one place
};
// Checks that every operation is well formed and aims at blocks a record may change.
Status check_record(const Layout& layout, Bytes record);
// Sets the counter of each bitmap the record changes to what its words say.
void recount_bitmaps(Media& media, Bytes record);

enum class Verify : u8 {
    kFull,   // checksum too: for recovery
    kShape,  // header only: for records this mount has written
};

// Walks a ring from a known record start. Ends at the first thing that is not the next record.
class RecordScanner {
  public:
    RecordScanner(const Media& media, const Layout& layout, const Journal& journal, u64 offset, u32 lap,
                  Verify verify);

    // The next record, or an empty span.
    Bytes next();
    // Lap of the last record met (or the starting lap).
    u32 lap() const { return lap_; }
    u64 offset() const { return offset_; }
    // Bytes walked so far, gaps at the ring's end included.
    u64 scanned() const { return scanned_; }

  private:
    Bytes record_at(u64 offset, u32 lap) const;

    const Media& media_;
    const Layout& layout_;
    u32 journal_;
    const byte* ring_;
    u64 ring_bytes_;
    u64 offset_;
    u32 lap_;
    u64 scanned_ = 0;  // bounds the walk to one lap's worth of bytes
    Sequence last_{0};
    Verify verify_;
};

inline const tarnfs_record& header_of(Bytes record)
{
    return *reinterpret_cast<const tarnfs_record*>(record.data());
}
inline Sequence sequence_of(Bytes record) { return Sequence(header_of(record).sequence); }

}  // namespace tarn
