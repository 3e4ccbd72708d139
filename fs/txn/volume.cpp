// SPDX-License-Identifier: GPL-2.0
// Volume: opening, closing, and the decision to stop.
#include "fs/txn/volume.hpp"

#include <cstring>

namespace tarn {

Volume::Volume(const tarn_device& device, const Layout& layout)
    : media_(device),
      layout_(layout),
      superblock_lock_(Rank::kSuperblock, "tarnfs_superblock"),
      space_(media_, layout_),
      journals_(media_, layout_, space_)
{
}

Status Volume::open(Access access)
{
    set_read_only();
    if (access == Access::kAsItIs)
        return open_as_it_is();
    TRY(journals_.load());
    replayed_ = TRY(journals_.recover());
    if (replayed_)
        tarn_log_device(&media_.device(), TARN_LOG_INFO, "recovery: %llu records replayed", static_cast<unsigned long long>(replayed_));
    TRY(space_.load());
    if (access == Access::kReadWrite)
        TRY(set_read_write());
    return Ok{};
}

// Nothing will be taken from the free space: how much there is of it can be wrong, or unknown.
Status Volume::open_as_it_is()
{
    as_it_is_ = true;
    Status loaded = space_.load();
    return is_corruption(loaded.error()) ? Status(Ok{}) : std::move(loaded);
}

Status Volume::set_read_write()
{
    if (media_.is_read_only() || as_it_is_)
        return Error::kReadOnly;
    if (is_shut_down())
        return Error::kShutDown;
    if (!laps_started_) {
        TRY(journals_.restart());
        laps_started_ = true;
    }
    read_only_.store_release(0);
    return Ok{};
}

Status Volume::close()
{
    if (!laps_started_ || is_shut_down())
        return Ok{};
    return retire();
}

Status Volume::retire()
{
    Status retired = journals_.retire();
    if (retired.error() == Error::kDeviceFlush)
        shut_down(retired.error());
    else if (is_corruption(retired.error()))
        return corrupt(retired.error(), layout_.journal_start, "journal");
    return retired;
}

Result<Reserved> Volume::reserve(u64 count, DeviceBlock near, Use use)
{
    TRY(may_change());
    for (;;) {
        const u64 deferred = space_.deferred_blocks();
        auto reserved = space_.reserve(count, near, use);
        if (reserved.is_ok())
            return reserved;
        if (is_corruption(reserved.error()))
            return corrupt(reserved.error(), layout_.bitmap_start, "block bitmap");
        if (reserved.error() != Error::kNoSpace)
            return reserved;
        if (space_.release_unpinned())
            continue;
        if (deferred == 0)
            return reserved;
        TRY(retire());  // makes the deferred blocks free
    }
}

void Volume::label(char (&text)[TARNFS_LABEL_BYTES])
{
    MutexGuard guard(superblock_lock_);
    memcpy(text, layout_.label, sizeof(text));
}

Status Volume::set_label(const char* label)
{
    TRY(may_change());
    MutexGuard guard(superblock_lock_);
    Status written = write_label(media_, layout_, label);
    if (written.error() == Error::kDeviceFlush)
        shut_down(written.error());
    if (written.is_ok()) {
        memset(layout_.label, 0, sizeof(layout_.label));
        memcpy(layout_.label, label, strlen(label));
    }
    return written;
}

Status Volume::may_change() const
{
    if (is_shut_down())
        return Error::kShutDown;
    if (is_read_only())
        return Error::kReadOnly;
    return Ok{};
}

void Volume::shut_down(Error why)
{
    const bool already = is_shut_down();
    if (!already || why == Error::kDeviceGone)
        shut_down_.store_release(static_cast<u32>(why));
    if (already)
        return;
    tarn_log_device(&media_.device(), TARN_LOG_ERROR, "shut down: %s; unmount and mount again to recover", describe(why));
}

Error Volume::corrupt(Error error, DeviceBlock where, const char* what)
{
    const bool in_journal = error == Error::kBadJournal || error == Error::kBadRecord;
    const bool stops = in_journal || on_damage_.load_relaxed() != static_cast<u32>(OnDamage::kContinue);
    tarn_log_device(&media_.device(), TARN_LOG_ERROR, "block %llu: %s: %s; %srun fsck.tarnfs",
                    static_cast<unsigned long long>(where.value), describe(error), what,
                    stops ? "now read-only, " : "");
    damaged_.store_release(1);
    if (stops)
        set_read_only();
    return error;
}

}  // namespace tarn
