// SPDX-License-Identifier: GPL-2.0
// Transaction: one atomic change of metadata.
//
// Changes are gathered in DRAM shadows; the media is untouched until commit(), so dropping an uncommitted
// Transaction undoes everything. commit() writes one redo record with non-temporal stores, fences, then applies the
// shadows in place with write-back and no fence, then releases what was freed. Whoever changes a range through a
// Transaction holds the lock of its owner (Inode::lock) from the first view() until commit() returns.
//
// After any method returned an error the transaction can only be dropped.
// A byte that is ever changed through a Transaction changes only through Transactions.
#pragma once
#include "cxxrt/box.hpp"
#include "cxxrt/list.hpp"
#include "cxxrt/lock.hpp"
#include "fs/media/tokens.hpp"
#include "fs/space/space.hpp"
#include "tarnfs/ondisk.hpp"

namespace tarn {

class Volume;
class Journal;

// A DRAM copy of one loggable object (an inode record or a block) with the 64-byte lines that changed.
class Shadow : public ListNode<Shadow> {
  public:
    MediaAddress address() const { return address_; }
    u32 size() const { return size_; }
    const byte* bytes() const { return bytes_.data(); }

    // The only ways to change it; ranges are checked against the size.
    void store(u32 offset, const void* source, u32 length);
    void move(u32 to, u32 from, u32 length);
    void zero(u32 offset, u32 length);

    Shadow(MediaAddress address, u32 size, Array<byte> bytes);

  private:
    friend class Transaction;
    friend class RecordWriter;
    void touch(u32 offset, u32 length);

    Array<byte> bytes_;
    MediaAddress address_;
    u32 size_;
    bool fresh_ = false;  // the base is zero: logged with a ZERO operation first
    u64 lines_ = 0;       // one bit per 64-byte line that may differ from the base
};

enum class Freed : u8 { kData, kMetadata };

class Transaction {
  public:
    // NOFS from here to the destructor. Does not sleep and reserves nothing.
    explicit Transaction(Volume& volume);
    // Undoes everything unless committed.
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    // The object at `address` as this transaction sees it: its shadow if it has one, else the media.
    // `address` is the start of a block, or of an inode record.
    const byte* view(MediaAddress address) const;
    const byte* view(DeviceBlock block) const { return view(address_of(block)); }

    // A shadow to change; made on first use. May sleep. Errors: kNoMemory. The reference lives until commit.
    Result<Shadow&> edit_block(DeviceBlock block);
    Result<Shadow&> edit_inode(MediaAddress record);
    // The same as a plain structure: changes are found by comparing at commit, the CRC is set there.
    Result<tarnfs_inode&> edit_inode_record(MediaAddress record);

    // A fresh metadata block: all-zero shadow, logged whole; its run is marked in use by this transaction.
    // `reserved` is one block.
    Result<Shadow&> init_block(Reserved&& reserved);
    // Marks a run in use; the evidence is the token. Called by BlockMap::publish, TreeBuilder and
    // Xattrs only.
    Status own(Initialised<Durable>&& token);
    // The same for a run whose contents nobody will be shown. Called by BlockMap::allocate only.
    Status own_unwritten(Reserved&& reserved);
    // Marks a run free; usable again after the commit (data) or when the floor has passed it (metadata).
    Status free(Run run, Freed what);

    // Sets or clears bits of an inode or orphan bitmap block.
    Status set_bits(DeviceBlock bitmap, u32 first, u32 count);
    Status clear_bits(DeviceBlock bitmap, u32 first, u32 count);

    // Upper bound of the record so far, in bytes. Long operations end a step when it passes kStepWeight: what one
    // further tree operation can add still fits below TARNFS_RECORD_MAX.
    u32 weight() const;
    static constexpr u32 kStepWeight = TARNFS_RECORD_MAX / 4;

    // Makes it all happen and durable. May sleep. Consumes the transaction: only the destructor may follow.
    // Errors leave the media unchanged, except kDeviceFlush: then the volume is shut down and recovery decides.
    // Nothing to do is success without a record.
    Status commit();

    Volume& volume() { return volume_; }

  private:
    friend class RecordWriter;
    friend class Journals;
    struct BitOp {
        DeviceBlock bitmap;
        u32 first;
        u32 count;
        u8 kind;  // TARNFS_OP_SET or TARNFS_OP_CLEAR
    };

    Shadow* find(MediaAddress address) const;
    Result<Shadow&> shadow(MediaAddress address, u32 size);
    template <class Token>
    Status take_over(Token&& token);
    Status log_run(Run run, u8 kind);
    Status log_bits(u8 kind, DeviceBlock bitmap, u32 first, u32 count);
    void seal();
    void settle(Sequence sequence);
    void undo();
    bool is_empty() const;

    NoFsScope nofs_;
    Volume& volume_;
    List<Shadow> shadows_;
    Vector<BitOp, 6> bits_;
    Vector<Run, 4> owned_;       // published here; given back when the transaction is dropped
    Vector<Run, 4> freed_data_;  // released by settle
    List<DeferredRun> freed_metadata_;  // deferred by settle
};

}  // namespace tarn
