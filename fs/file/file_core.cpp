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

static_assert(FileSystem::kHugeOutcomes == TARN_HUGE_OUTCOMES);
static_assert(static_cast<unsigned>(HugeFault::kNoMemory) == TARN_HUGE_NO_MEMORY);

File file(tarn_inode* inode) { return File(InodeObject::of(inode)); }

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
    const FaultKind kind = request->kind == TARN_FAULT_WRITE ? FaultKind::kWrite : FaultKind::kRead;
    return result_of(file(inode).fault(fault, window, kind, FileEntryPoints::invalidate_lock_held()));
}

int tarn_file_fault_huge(tarn_inode* inode, tarn_fault* fault, const tarn_fault_request* request)
{
    const FaultKind kind = request->kind == TARN_FAULT_WRITE ? FaultKind::kWrite : FaultKind::kRead;
    Result<HugeFault> outcome = file(inode).fault_huge(fault, FileBlock(request->block), kind,
                                                       FileEntryPoints::invalidate_lock_held());
    if (!outcome)
        return to_errno(outcome.error());
    tarn_file_count_huge(inode, static_cast<tarn_huge_fallback>(outcome.value()));
    return outcome.value() != HugeFault::kServed;
}

void tarn_file_count_huge(tarn_inode* inode, tarn_huge_fallback why)
{
    InodeObject::of(inode).inode.fs.huge_faults(why).fetch_add(1);
}

void tarn_fs_huge_faults(tarn_fs* fs, unsigned long long counts[TARN_HUGE_OUTCOMES])
{
    for (unsigned i = 0; i < TARN_HUGE_OUTCOMES; i++)
        counts[i] = reinterpret_cast<FileSystem*>(fs)->huge_faults(i).load_relaxed();
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
