// SPDX-License-Identifier: GPL-2.0
// The C face of the core: each function of pmem.h turns plain numbers into checked ranges, calls one
// operation, and folds its error to an errno. No decision is made here.
#include "pmem/disk.hpp"
#include "pmem/durability.hpp"
#include "pmem/geometry.hpp"

using namespace tarn;
using namespace tarn::pmem;

namespace {

int to_c(const Status& status) { return to_errno(status.error()); }

AccessMode to_mode(tarn_pmem_access access)
{
    return access == TARN_PMEM_RECOVERY ? AccessMode::kRecovery : AccessMode::kNormal;
}

template <class Operation>
int with_range(const tarn_pmem_disk* c_disk, u64 offset, u64 length, Operation operation)
{
    const Disk disk(*c_disk);
    const auto range = disk.range(offset, length);
    if (!range)
        return to_errno(range.error());
    return to_c(operation(disk, range.value()));
}

}  // namespace

extern "C" {

void tarn_pmem_judge(const tarn_pmem_namespace* ns, tarn_pmem_judgement* out) { *out = judge(*ns); }

void tarn_pmem_judge_info_block(const tarn_pmem_namespace* ns, const void* block, tarn_pmem_judgement* out)
{
    *out = judge_info_block(*ns, static_cast<const InfoBlock*>(block));
}

void tarn_pmem_decide_durability(tarn_pmem_durability* durability) { decide_durability(*durability); }

int tarn_pmem_is_backed(const tarn_pmem_disk* disk) { return Disk(*disk).is_backed(); }

int tarn_pmem_begin_read(const tarn_pmem_disk* disk, unsigned long long offset, unsigned long long length)
{
    return with_range(disk, offset, length,
                      [](const Disk& d, ByteRange range) { return d.begin_read(range); });
}

int tarn_pmem_read(const tarn_pmem_disk* disk, unsigned long long offset, void* target, tarn_size_t length)
{
    return with_range(disk, offset, length,
                      [=](const Disk& d, ByteRange range) { return d.read(range, target); });
}

int tarn_pmem_begin_write(const tarn_pmem_disk* disk, unsigned long long offset, unsigned long long length)
{
    return with_range(disk, offset, length,
                      [](const Disk& d, ByteRange range) { return d.begin_write(range); });
}

int tarn_pmem_write(const tarn_pmem_disk* disk, unsigned long long offset, const void* source,
                    tarn_size_t length)
{
    return with_range(disk, offset, length, [=](const Disk& d, ByteRange range) -> Status {
        d.write(range, source);
        return Ok{};
    });
}

void tarn_pmem_end_write(const tarn_pmem_disk* disk, unsigned long long offset, unsigned long long length)
{
    with_range(disk, offset, length, [](const Disk& d, ByteRange range) -> Status {
        d.end_write(range);
        return Ok{};
    });
}

int tarn_pmem_zero(const tarn_pmem_disk* disk, unsigned long long offset, unsigned long long length)
{
    return with_range(disk, offset, length, [](const Disk& d, ByteRange range) { return d.zero(range); });
}

int tarn_pmem_discard(const tarn_pmem_disk* disk, unsigned long long offset, unsigned long long length)
{
    return with_range(disk, offset, length, [](const Disk& d, ByteRange range) { return d.discard(range); });
}

long tarn_pmem_reach(const tarn_pmem_disk* disk, unsigned long long page, long pages, tarn_pmem_access access)
{
    const auto reach =
        Disk(*disk).reach(Page(page), pages < 0 ? 0 : static_cast<u64>(pages), to_mode(access));
    if (reach)
        return static_cast<long>(reach.value());
    return reach.error() == Error::kPoison ? disk->poison_errno : to_errno(reach.error());
}

int tarn_pmem_failure(const tarn_pmem_disk* c_disk, unsigned long long physical, unsigned long long length,
                      int real, unsigned long long* disk_offset, unsigned long long* disk_length)
{
    const Disk disk(*c_disk);
    const Physical data_start(c_disk->memory.first_pfn * kPageSize);
    const ByteRange range = clip_to_disk(data_start, disk.bytes(), Physical(physical), length);
    if (range.empty())
        return -6;  // ENXIO
    if (real)
        disk.add_failed(range);
    *disk_offset = range.first.value;
    *disk_length = range.count;
    return 0;
}

int tarn_pmem_flush(const tarn_pmem_disk* disk) { return to_c(Disk(*disk).flush()); }

}  // extern "C"
