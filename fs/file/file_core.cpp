// SPDX-License-Identifier: GPL-2.0
// The C ABI of file contents: fs/file_core.h in terms of File. Translates, and vouches for the VFS's locks.
#include "fs/file_core.h"

#include "fs/file/file.hpp"

namespace tarn {

// The caller of each of these functions holds what fs/file_core.h says: here that becomes a witness.
struct FileEntryPoints {
    static constexpr InvalidateHeld invalidate_lock_held() { return InvalidateHeld(); }
};

namespace {

static_assert(static_cast<unsigned>(HugeFault::kUnaligned) == 1);
static_assert(static_cast<unsigned>(HugeFault::kNoMemory) ==
              TARN_COUNT_FALLBACK_NO_MEMORY - TARN_COUNT_FALLBACK_UNALIGNED + 1);
static_assert(static_cast<unsigned>(FaultKind::kCopy) == TARN_FAULT_COPY);

File file(tarn_inode* inode) { return File(InodeObject::of(inode)); }
Trackers& trackers(tarn_fs* fs) { return reinterpret_cast<FileSystem*>(fs)->trackers(); }

// Counts by kind: `first` is what a read counts as.
void count_fault(tarn_inode* inode, tarn_count first, FaultKind kind)
{
    tarn_file_count(inode,
                    static_cast<tarn_count>(static_cast<unsigned>(first) + static_cast<unsigned>(kind)));
}

void count_huge(tarn_inode* inode, HugeFault outcome, FaultKind kind)
{
    if (outcome == HugeFault::kServed)
        count_fault(inode, TARN_COUNT_HUGE_READ, kind);
    else
        tarn_file_count(inode, static_cast<tarn_count>(static_cast<unsigned>(TARN_COUNT_FALLBACK_UNALIGNED) +
                                                       static_cast<unsigned>(outcome) - 1));
}

int result_of(const Status& status) { return status ? 0 : to_errno(status.error()); }

long long result_of(const Result<u64>& result)
{
    return result ? static_cast<long long>(result.value()) : to_errno(result.error());
}

}  // namespace

}  // namespace tarn

using namespace tarn;

extern "C" {

int tarn_file_fault(tarn_inode* inode, tarn_fault* fault, const tarn_fault_request* request)
{
    const FaultWindow window{FileBlock(request->block), FileBlock(request->first), FileBlock(request->end)};
    const FaultKind kind = static_cast<FaultKind>(request->kind);
    Result<u64> mapped = file(inode).fault(fault, window, kind, FileEntryPoints::invalidate_lock_held());
    if (!mapped)
        return to_errno(mapped.error());
    count_fault(inode, TARN_COUNT_READ, kind);
    InodeObject::of(inode).inode.fs.trackers().count(TARN_COUNT_AROUND, mapped.value() - 1);
    return 0;
}

int tarn_file_fault_huge(tarn_inode* inode, tarn_fault* fault, const tarn_fault_request* request)
{
    const FaultKind kind = static_cast<FaultKind>(request->kind);
    Result<HugeFault> outcome = file(inode).fault_huge(fault, FileBlock(request->block), kind,
                                                       FileEntryPoints::invalidate_lock_held());
    if (!outcome)
        return to_errno(outcome.error());
    count_huge(inode, outcome.value(), kind);
    return outcome.value() != HugeFault::kServed;
}

void tarn_file_count(tarn_inode* inode, tarn_count what)
{
    InodeObject::of(inode).inode.fs.trackers().count(what);
}

unsigned long long tarn_fs_counted(tarn_fs* fs, tarn_count what) { return trackers(fs).counted(what); }

unsigned long long tarn_fs_reclaimable(tarn_fs* fs) { return trackers(fs).reclaimable(); }

unsigned long long tarn_fs_reclaim(tarn_fs* fs, unsigned long long count)
{
    return trackers(fs).reclaim(count);
}

int tarn_file_supports_map_sync(tarn_inode* inode)
{
    return InodeObject::of(inode).inode.fs.volume().media().is_sync();
}

long long tarn_file_read(tarn_inode* inode, unsigned long long offset, unsigned long long length, tarn_user* to)
{
    return result_of(file(inode).read(offset, length, to));
}

long long tarn_file_write(tarn_inode* inode, tarn_write* write) { return result_of(file(inode).write(*write)); }

int tarn_file_write_end(tarn_inode* inode, tarn_write* write) { return result_of(file(inode).write_end(*write)); }

unsigned long long tarn_file_size(tarn_inode* inode) { return file(inode).size(); }

long long tarn_file_seek(tarn_inode* inode, unsigned long long offset, tarn_seek what)
{
    return result_of(file(inode).seek(offset, what == TARN_SEEK_DATA ? Seek::kData : Seek::kHole));
}

int tarn_file_extent(tarn_inode* inode, unsigned long long block, tarn_extent* extent)
{
    Result<std::optional<Mapping>> found = file(inode).extent_from(FileBlock(block));
    if (!found)
        return to_errno(found.error());
    if (!found.value())
        return 0;
    const Mapping& mapping = *found.value();
    *extent = {mapping.first.value, mapping.count, mapping.device.value, !mapping.is_written()};
    return 1;
}

int tarn_file_is_overwrite(tarn_inode* inode, unsigned long long offset, unsigned long long length)
{
    Result<bool> is_overwrite = file(inode).is_overwrite(offset, length);
    return is_overwrite && is_overwrite.value();
}

int tarn_file_resize(tarn_inode* inode, unsigned long long size, const tarn_times* times)
{
    return result_of(file(inode).resize(size, *times));
}

int tarn_file_fallocate(tarn_inode* inode, tarn_fallocate* request)
{
    Result<bool> more = file(inode).fallocate(*request);
    return more ? more.value() : to_errno(more.error());
}

int tarn_file_sync(tarn_inode* inode, unsigned long long first, unsigned long long last)
{
    FileBlock end = min(file_block(last), kLastFileBlock);
    return result_of(file(inode).sync(file_block(first), end));
}

int tarn_file_trim(tarn_inode* inode) { return file(inode).trim(); }

int tarn_file_evict(tarn_inode* inode, tarn_evict how)
{
    return result_of(file(inode).evict(how == TARN_EVICT_DISCARD ? Evict::kDiscard : Evict::kKeep));
}

}  // extern "C"
