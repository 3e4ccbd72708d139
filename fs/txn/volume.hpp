// SPDX-License-Identifier: GPL-2.0
// Volume: the block level of a mounted file system as one object: media, free space, journals, and whether changes
// are still allowed.
#pragma once
#include "fs/space/space.hpp"
#include "fs/txn/journal.hpp"

namespace tarn {

class Volume {
  public:
    // `layout` has been checked against `device`.
    Volume(const tarn_device& device, const Layout& layout);

    Media& media() { return media_; }
    const Layout& layout() const { return layout_; }
    Space& space() { return space_; }
    Journals& journals() { return journals_; }

    // Recovers the journals (a writable device is changed by that, whatever the access) and loads the free-space
    // counters. May sleep. Errors: kReadOnly when a read-only device needs recovery, the kBad* codes, kNoMemory.
    // kAsItIs: read-only for good, and the journals are not even looked at. What is there may be half of a change.
    enum class Access : u8 { kReadOnly, kReadWrite, kAsItIs };
    Status open(Access access);
    // Retires everything, so that the next mount finds nothing to replay. May sleep.
    Status close();

    // Space::reserve, which retires the journals first when only deferred blocks are left. May sleep.
    Result<Reserved> reserve(u64 count, DeviceBlock near, Use use = Use::kOrdinary);
    // Space::reserve_window. Where it fails, reserve() says why, or finds something else.
    Result<Reserved> reserve_window(u64 size, DeviceBlock near) { return space_.reserve_window(size, near); }

    // Raises the journals' floor over everything committed. May sleep.
    Status retire();

    // The label, NUL-terminated.
    void label(char (&text)[TARNFS_LABEL_BYTES]);
    // Durable on return; old or new after a crash. May sleep. Errors: those of may_change and write_label.
    Status set_label(const char* label);

    // Grows to `blocks`, or as far as device and bitmap table go (0). The old size or the new one after a
    // crash. May sleep. Errors: those of may_change; kInvalid (smaller than it is), kNoSpace (the device is
    // smaller), kTooLarge (the bitmap table has no room), kNoMemory, kBadBitmap, kBadSuperblock,
    // kDeviceFlush.
    Status grow(u64 blocks);

    // Ok, or kReadOnly / kShutDown: asked before every change.
    Status may_change() const;
    void set_read_only() { read_only_.store_release(1); }
    // Allows changes; starts the journals' new laps first where that has not happened yet. May sleep.
    // Errors: kReadOnly (device, or opened as it is), kShutDown, kDeviceFlush.
    Status set_read_write();
    bool is_as_it_is() const { return as_it_is_; }
    u64 replayed_records() const { return replayed_; }
    bool is_read_only() const { return read_only_.load_acquire() != 0; }
    // After an error that leaves the media in doubt, or on request: no further change until the next mount.
    // With kDeviceGone the media must not be touched any more at all.
    void shut_down(Error why);
    bool is_shut_down() const { return shut_down_.load_acquire() != 0; }
    bool is_gone() const { return shut_down_.load_acquire() == static_cast<u32>(Error::kDeviceGone); }

    // Logs damage found on the media, with where and what; switches to read-only. Returns `error` for the caller.
    // With OnDamage::kContinue changes go on elsewhere: nothing of the operation that met the damage has happened, and
    // what is damaged refuses whoever comes next. Not with a journal's damage: recovery would end there.
    Error corrupt(Error error, DeviceBlock where, const char* what);
    enum class OnDamage : u8 { kReadOnly, kContinue };
    void set_on_damage(OnDamage what) { on_damage_.store_relaxed(static_cast<u32>(what)); }
    // corrupt() has been called since the volume was made.
    bool is_damaged() const { return damaged_.load_acquire() != 0; }

  private:
    Status open_as_it_is();
    Status write_growth(u64 blocks);
    Status write_bitmaps(u64 first, u64 end);

    Media media_;
    Layout layout_;  // constant but for label and size
    Mutex superblock_lock_;
    Space space_;
    Journals journals_;
    u64 replayed_ = 0;           // records replayed by open()
    bool as_it_is_ = false;
    Atomic<u32> on_damage_{0};
    bool laps_started_ = false;  // Journals::restart has run
    Atomic<u32> read_only_{0};
    Atomic<u32> damaged_{0};
    Atomic<u32> shut_down_{0};  // the Error that was the reason
};

}  // namespace tarn
