// SPDX-License-Identifier: GPL-2.0
// FileSystem: opening, remounting, closing.
//
// Crash argument: opening replays the journals before anything else is believed, and a read-write mount frees
// the orphans before anything new is done; both can be interrupted and repeated. Closing only retires the
// journals.
#include "fs/filesystem.hpp"

namespace tarn {

FileSystem::FileSystem(const tarn_device& device, const Layout& layout)
    : volume_(device, layout), inodes_(*this, volume_)
{
}

FileSystem::~FileSystem()
{
    if (Status closed = volume_.close(); !closed.is_ok())
        tarn_log_device(&volume_.media().device(), TARN_LOG_WARNING,
                        "unmount: %s; the next mount replays the journals", describe(closed.error()));
}

Result<Box<FileSystem>> FileSystem::open(const tarn_device& device, Access access)
{
    Layout layout;
    {
        const Media media(device);
        layout = TRY(read_layout(media));
    }
    auto fs = TRY(Box<FileSystem>::create(device, layout));
    TRY(fs->start(access));
    return fs;
}

Status FileSystem::start(Access access)
{
    if (access == Access::kReadWrite)
        TRY(may_write());
    TRY(volume_.open(access == Access::kReadWrite ? Access::kReadOnly : access));
    TRY(inodes_.load());
    return access == Access::kReadWrite ? allow_changes(InodeTable::Orphans::kAll) : Status(Ok{});
}

// Why this file system cannot be written whatever is asked for.
Status FileSystem::may_write()
{
    if (volume_.media().is_read_only()) {
        tarn_log_device(&volume_.media().device(), TARN_LOG_ERROR,
                        "the device is read-only: mount with -o ro");
        return Error::kReadOnly;
    }
    if (volume_.is_as_it_is()) {
        tarn_log_device(&volume_.media().device(), TARN_LOG_ERROR,
                        "the journals have not been replayed: unmount, and mount without norecovery");
        return Error::kReadOnly;
    }
    if (const u64 unknown = volume_.layout().ro_compat & ~TARNFS_KNOWN_RO_COMPAT) {
        tarn_log_device(&volume_.media().device(), TARN_LOG_ERROR,
                        "unknown read-only compatible features 0x%llx: mount with -o ro",
                        static_cast<unsigned long long>(unknown));
        return Error::kUnknownFeature;
    }
    return Ok{};
}

Status FileSystem::allow_changes(InodeTable::Orphans orphans)
{
    TRY(mend_superblocks(volume_.media(), volume_.layout()));
    TRY(volume_.set_read_write());
    auto finished = inodes_.free_orphans(orphans);
    if (finished.is_ok()) {
        if (finished.value())
            tarn_log_device(&volume_.media().device(), TARN_LOG_INFO, "%llu orphans freed",
                            static_cast<unsigned long long>(finished.value()));
        return Ok{};
    }
    volume_.set_read_only();
    // Damage is reported; what can be read stays readable. Unfinished orphans must not be written to.
    return is_corruption(finished.error()) ? Status(Ok{}) : Status(finished.error());
}

Status FileSystem::set_access(Access access)
{
    if (access != Access::kReadWrite) {
        if (!volume_.is_shut_down())
            TRY(settle());
        volume_.set_read_only();
        return Ok{};
    }
    TRY(may_write());
    if (volume_.is_shut_down())
        return Error::kShutDown;
    if (volume_.is_damaged()) {
        tarn_log(TARN_LOG_ERROR, "stays read-only after the damage found: unmount and run fsck.tarnfs");
        return Error::kReadOnly;
    }
    return is_read_only() ? allow_changes(InodeTable::Orphans::kUnnamed) : Status(Ok{});
}

// Every transaction fenced itself, and every write(2) and fsync its data: there is nothing left to fence.
Status FileSystem::sync() { return volume_.is_shut_down() ? Status(Error::kShutDown) : Status(Ok{}); }

Status FileSystem::settle()
{
    TRY(sync());
    return is_read_only() ? Status(Ok{}) : volume_.close();
}

}  // namespace tarn
