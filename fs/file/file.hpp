// SPDX-License-Identifier: GPL-2.0
// File: what may be done with the contents of a regular file. A thin view of an InodeObject; made for one call.
//
// Locks. The VFS's are taken by the glue and stand at each function of fs/file_core.h; this class takes entry locks, then
// Inode::lock, in that order, and never an entry lock under an Inode::lock:
//  - i_rwsem exclusive keeps the size and the set of mapped blocks from shrinking or growing through write, truncate and
//    fallocate; faults may still fill holes below the size.
//  - invalidate_lock, held by faults (shared), truncation and punching (exclusive), keeps blocks from being freed between
//    the moment a fault looks one up and the moment its PTE and its entry exist.
//  - the entry lock makes look-up, allocation and PTE one step for a block: two faults cannot both allocate, and a fault
//    that saw a hole has installed its zero page before the writer that fills the hole un-maps zero pages.
// Whoever waits for user memory (copy out, fault-in of a write's source) holds i_rwsem only.
//
// Crash argument: a block is reachable only through a Durable token (fill.cpp); a larger size is committed only when
// everything below it is durable, the rest of the old last block zeroed included (truncate.cpp); nothing behind the size
// is ever believed, and blocks there are unwritten, but for those that an interrupted truncation has yet to free. Bytes
// overwritten in place are durable at the next fence of the same thread.
#pragma once
#include "fs/file/block_map.hpp"
#include "fs/file/object.hpp"
#include "fs/filesystem.hpp"

struct tarn_fallocate;
struct tarn_user;
struct tarn_write;

namespace tarn {

inline constexpr u64 kMaxFileSize = (u64{1} << 63) - kBlockSize;  // s_maxbytes
inline constexpr FileBlock kLastFileBlock{(kMaxFileSize >> kBlockShift) - 1};

constexpr FileBlock file_block(u64 offset) { return FileBlock(offset >> kBlockShift); }
// The first block that begins at or behind `offset`.
constexpr FileBlock file_block_up(u64 offset) { return FileBlock(divide_up(offset, kBlockSize)); }
constexpr u64 byte_offset(FileBlock block) { return block.value << kBlockShift; }

// A store is kMkwrite where a page is mapped read-only already; one to a private mapping is kCopy, and no store to the
// file. As enum tarn_fault_kind.
enum class FaultKind : u8 { kRead, kWrite, kMkwrite, kCopy };
constexpr bool is_store(FaultKind kind) { return kind == FaultKind::kWrite || kind == FaultKind::kMkwrite; }
// Where a fault happened, and what may be mapped along.
struct FaultWindow {
    FileBlock at, first, end;
};
// What became of a fault of 2 MiB; from kUnaligned on as in enum tarn_count.
enum class HugeFault : u8 { kServed, kUnaligned, kEnd, kEntries, kScattered, kNoSpace, kNoMemory };
enum class Seek : u8 { kData, kHole };
enum class Evict : u8 { kKeep, kDiscard };

class File {
  public:
    explicit File(InodeObject& object)
        : object_(object), inode_(object.inode), tracker_(object.tracker), volume_(object.inode.fs.volume()),
          media_(volume_.media())
    {
    }

    // fault.cpp. Errors: kBeyondEnd, kNoSpace, kNoMemory, kReadOnly, kShutDown, damage.
    // Pages mapped.
    Result<u64> fault(tarn_fault* fault, const FaultWindow& window, FaultKind kind,
                      const InvalidateHeld& held);
    // fault_huge.cpp. Anything but kServed: served by nobody yet. Errors: the same.
    Result<HugeFault> fault_huge(tarn_fault* fault, FileBlock first, FaultKind kind,
                                 const InvalidateHeld& held);

    // read.cpp. Errors: kFault (not a byte delivered), kBeyondEnd (seek), damage.
    Result<u64> read(u64 offset, u64 length, tarn_user* to);
    Result<u64> seek(u64 offset, Seek what);
    // What is mapped at or behind `at`, if anything is.
    Result<std::optional<Mapping>> extent_from(FileBlock at);
    u64 size();

    // write.cpp. Bytes now in the file, 0 when the source was not resident. Errors: kNoSpace, kNoMemory, kReadOnly ...
    Result<u64> write(tarn_write& write);
    Status write_end(tarn_write& write);
    // All of it can be stored in place, without a wait for the device.
    Result<bool> is_overwrite(u64 offset, u64 length);

    // truncate.cpp. Errors: kBusy (shrinking: a page is pinned, nothing changed), kNoSpace, kNoMemory, kReadOnly ...
    Status resize(u64 size, const tarn_times& times);

    // fallocate.cpp. One step; true: there is more to do. Errors: kBusy (the first step, as above), kNoSpace ...
    Result<bool> fallocate(tarn_fallocate& request);

    // version.cpp. Of any inode. May sleep. Errors: kReadOnly and kShutDown where it cannot be marked ...
    Result<u64> query_version();

    // sync.cpp. Errors: kDeviceFlush, kShutDown.
    Status sync(FileBlock from, FileBlock last);
    bool trim();
    Status evict(Evict how);

  private:
    BlockMap map() const { return BlockMap(volume_, inode_.tree()); }
    // The run at `at`, under Inode::lock.
    Result<Mapping> look_up(FileBlock at, u64 max);
    // placement.cpp. Up to `count` blocks for a hole at `at`; `rest`: what the caller is about to ask for in all.
    Result<Reserved> reserve_for(const BlockMap& map, FileBlock at, u64 count, u64 rest);
    std::optional<Reserved> window_for(u64 size, DeviceBlock near, u64 count);
    // fence() with the volume shut down when it fails.
    Status fence();
    Result<Initialised<Durable>> fence(Initialised<InFlight>&& token);
    Result<Converted<Durable>> fence(Converted<InFlight>&& token);

    // Both: pages mapped.
    Result<u64> map_readable(LockedEntry& entry, tarn_fault* fault, FileBlock from, FileBlock end);
    Result<u64> map_writable(LockedEntry& entry, tarn_fault* fault, FileBlock at, FileBlock end);
    Result<u64> lend(LockedEntry& entry, tarn_fault* fault, FileBlock at);
    Result<HugeFault> map_huge(LockedEntry& entry, tarn_fault* fault, FaultKind kind);
    Result<bool> is_empty(FileBlock first, FileBlock end);
    bool fits_huge(const Mapping& mapping) const;
    bool is_huge_aligned(DeviceBlock block) const;
    Result<std::optional<Mapping>> make_written_huge(LockedEntry& entry);
    PageRun pages_of(const Mapping& mapping) const;
    Result<Mapping> make_written(LockedEntry& entry, const Mapping& seen);
    template <class Token>
    Result<Mapping> publish_zeroed(LockedEntry& entry, Token&& zeroed);  // fault.cpp, for both kinds

    struct Piece;
    Result<Piece> piece_at(u64 offset, u64 length);

    u64 copy_in(byte* target, u64 length, tarn_user* from);
    Result<u64> overwrite(tarn_write& write, const Mapping& mapping);
    void end_overwriting(tarn_write& write);
    Result<std::optional<u64>> fill(tarn_write& write, const Mapping& seen);
    Result<u64> fill_locked(tarn_write& write, const LockedRange& range, const Mapping& empty);
    template <class Token>
    Result<u64> fill_and_publish(tarn_write& write, FileBlock first, Token&& empty);
    Status log_growth(Transaction& txn, u64 size, const tarn_times& times);

    // While it exists, and before note_change() is asked: contents may change without a record (version.cpp).
    class Changing {
      public:
        explicit Changing(InodeObject& object) : object_(object) { object_.changing.fetch_add(1); }
        ~Changing() { object_.changing.fetch_sub(1); }
        Changing(const Changing&) = delete;
        Changing& operator=(const Changing&) = delete;

      private:
        InodeObject& object_;
    };
    bool is_changing() const;
    bool is_version_seen() const;
    Status store_version(u64 version);
    Status note_change();
    Status grow(u64 from, u64 to, const tarn_times& times);
    Status shrink(u64 to, const tarn_times& times);
    Result<bool> shrink_record(u64 to, const tarn_times& times);
    Status finish_shrinking(FileBlock first);
    Status free_behind_end(u64 size);
    Result<bool> zero_behind(u64 end, u64 to);
    Result<bool> zero_part(u64 from, u64 to);
    Result<bool> has_blocks_behind(u64 end);
    void tell_unfinished(Error error) const;

    Status begin_fallocate(tarn_fallocate& request);
    Result<bool> begin_clearing(tarn_fallocate& request, u64 size);
    Status clear_step(tarn_fallocate& request);
    Status take_away(FileBlock first, FileBlock last);
    Status begin_shift(tarn_fallocate& request);
    Result<bool> shift_step(tarn_fallocate& request);
    Status shift(const tarn_fallocate& request);
    Result<bool> is_in_pieces(FileBlock from, FileBlock end);
    Result<bool> allocate_step(tarn_fallocate& request);

    void forget(FileBlock from, FileBlock last);
    Status split_at(FileBlock at);
    Status make_durable(FileBlock from, FileBlock last);
    Status sync_locked(FileBlock from, FileBlock last);
    void write_back(const LockedRange& range);

    InodeObject& object_;
    Inode& inode_;
    DirtyTracker& tracker_;
    Volume& volume_;
    Media& media_;
};

}  // namespace tarn
