// SPDX-License-Identifier: GPL-2.0
// What can be done with a disk: read, write, zero, discard, access in place, and what poison does to each.
//
// Invariants
// - A sector is in the bad list from the moment it is known to be unreadable until new contents have been
// stored over it.
//   Clearing poison at the platform comes first, storing second, forgetting last: a reader sees an error or
//   the new contents, never what clearing left behind. A crash in between leaves cleared sectors whose
//   contents nobody was promised.
// - The core holds no locks and no state. Two writers of one sector race as they do on any disk.
// - A page that the kernel has marked as failed may have lost its mapping. It is stored to only after it is
// usable
//   again, which needs every bad sector in it to be overwritten by the same request.
#pragma once
#include "pmem/bad_blocks.hpp"
#include "pmem/range.hpp"

namespace tarn::pmem {

enum class AccessMode : u8 {
    kNormal,
    kRecovery,
};

class Disk {
  public:
    explicit Disk(const tarn_pmem_disk& disk) : disk_(disk), bad_(disk.media) {}

    u64 bytes() const { return disk_.memory.blocks * kPageSize; }
    // [offset, offset+length) as a range, or kInvalid when it is not inside the disk.
    Result<ByteRange> range(u64 offset, u64 length) const;

    Status begin_read(ByteRange range) const;
    Status read(ByteRange range, void* target) const;

    Status begin_write(ByteRange range) const;
    void write(ByteRange range, const void* source) const;
    void end_write(ByteRange range) const { bad_.forget(covered_sectors(range)); }

    Status zero(ByteRange range) const;
    Status discard(ByteRange range) const;

    // Pages accessible from `first` on; 0 when it lies outside the disk, kPoison when it is bad.
    Result<u64> reach(Page first, u64 wanted, AccessMode mode) const;

    // Takes note of a reported failure of real memory.
    void add_failed(ByteRange range) const { bad_.add(touched_sectors(range)); }

    Status flush() const;

    // See tarn_pmem_is_backed().
    bool is_backed() const;

  private:
    unsigned char* at(Byte offset) const { return disk_.memory.base + offset.value; }
    Status clear_poison(SectorRange bad) const;
    Status unblock(PageRange pages, SectorRange written) const;
    Status zero_step(ByteRange range) const;
    Status heal(SectorRange bad) const;
    bool looks_unwritten() const;
    bool keeps_a_word(Byte offset) const;

    const tarn_pmem_disk& disk_;
    BadBlocks bad_;
};

// The part of the physical range [start, start+length) that belongs to a disk of `bytes` bytes at
// `data_start`; empty when none does.
ByteRange clip_to_disk(Physical data_start, u64 bytes, Physical start, u64 length);

}  // namespace tarn::pmem
