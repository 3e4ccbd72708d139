// SPDX-License-Identifier: GPL-2.0
// Judging namespaces; see geometry.hpp. All sums are of values already known to be below the namespace's
// size, whose end is a physical address: none overflows.
#include "pmem/geometry.hpp"

namespace tarn::pmem {

namespace {

constexpr int kNoSuchDevice = -19;  // ENODEV: lets the platform offer the namespace to the next driver
constexpr int kInputOutput = -5;    // EIO
constexpr int kInvalid = -22;       // EINVAL: the namespace as configured
constexpr int kUnsupported = -95;   // EOPNOTSUPP: sound, but not for this kernel
constexpr int kDamaged = -117;      // EUCLEAN

constexpr u64 kReserve = TARN_PMEM_INFO_RESERVE;

bool is_aligned(u64 value, u64 unit) { return value % unit == 0; }

Judgement verdict(tarn_pmem_verdict what)
{
    Judgement judgement = {};
    judgement.verdict = what;
    return judgement;
}

Judgement leave(const char* reason)
{
    Judgement judgement = verdict(TARN_PMEM_LEAVE);
    judgement.error = kNoSuchDevice;
    judgement.reason = reason;
    return judgement;
}

Judgement refuse(int error, const char* reason, u64 found = 0, u64 needed = 0)
{
    Judgement judgement = verdict(TARN_PMEM_REFUSE);
    judgement.error = error;
    judgement.reason = reason;
    judgement.found = found;
    judgement.needed = needed;
    return judgement;
}

Judgement judge_raw(const Namespace& ns)
{
    if (!is_aligned(ns.start, ns.map_align))
        return refuse(kInvalid, "start of the namespace is misaligned", ns.start, ns.map_align);
    if (!is_aligned(ns.bytes, ns.map_align))
        return refuse(kInvalid, "size of the namespace is misaligned", ns.bytes, ns.map_align);
    Judgement judgement = verdict(TARN_PMEM_SERVE);
    judgement.geometry.map_start = judgement.geometry.data_start = ns.start;
    judgement.geometry.map_bytes = judgement.geometry.data_bytes = ns.bytes;
    return judgement;
}

// The numbers inside the info block against one another and against the size of the namespace.
Judgement check_layout(const Namespace& ns, const FsdaxNumbers& n)
{
    if (n.memory_map == MemoryMap::kInvalid)
        return refuse(kDamaged, "info block: unknown place of the memory map");
    if (n.data_offset >= ns.bytes)
        return refuse(kDamaged, "info block: data begins past the end of the namespace", n.data_offset,
                      ns.bytes);
    if (n.start_pad + n.end_trunc >= ns.bytes - n.data_offset)
        return refuse(kDamaged, "info block: padding leaves no room for data", n.start_pad + n.end_trunc,
                      ns.bytes - n.data_offset);
    if (n.data_offset < kReserve)
        return refuse(kDamaged, "info block: data overlaps the info block", n.data_offset, kReserve);
    if (!std::has_single_bit(n.align) || n.align > ns.bytes)
        return refuse(kDamaged, "info block: impossible alignment", n.align);
    return verdict(TARN_PMEM_SERVE);
}

// What this kernel needs in order to map it.
Judgement check_mappable(const Namespace& ns, const FsdaxNumbers& n)
{
    const u64 start = ns.start + n.start_pad;
    const u64 bytes = ns.bytes - n.start_pad - n.end_trunc;
    if (!is_aligned(start, ns.map_align))
        return refuse(kUnsupported, "start of the fsdax range is misaligned", start, ns.map_align);
    if (!is_aligned(bytes, ns.map_align))
        return refuse(kUnsupported, "size of the fsdax range is misaligned", bytes, ns.map_align);
    if (!is_aligned(n.data_offset, ns.page_bytes) || !is_aligned(start + n.data_offset, n.align))
        return refuse(kUnsupported, "start of the data is misaligned", start + n.data_offset,
                      max<u64>(n.align, ns.page_bytes));
    return verdict(TARN_PMEM_SERVE);
}

// A memory map on the device must have been laid out for pages and struct pages like this kernel's.
Judgement check_memory_map(const Namespace& ns, const FsdaxNumbers& n)
{
    if (n.memory_map != MemoryMap::kOnDevice)
        return verdict(TARN_PMEM_SERVE);
    if (n.page_bytes > ns.page_bytes)
        return refuse(kUnsupported, "memory map is for larger pages", n.page_bytes, ns.page_bytes);
    if (n.page_struct_bytes < ns.page_struct_bytes)
        return refuse(kUnsupported, "memory map is for smaller struct pages", n.page_struct_bytes,
                      ns.page_struct_bytes);
    const u64 pages = (ns.bytes - n.start_pad - n.end_trunc - kReserve) / ns.page_bytes;
    const u64 needed = kReserve + pages * ns.page_struct_bytes;
    if (n.data_offset < needed)
        return refuse(kDamaged, "info block: no room for the memory map before the data", n.data_offset,
                      needed);
    return verdict(TARN_PMEM_SERVE);
}

Judgement judge_fsdax(const Namespace& ns, const InfoBlock& block)
{
    const FsdaxNumbers n = numbers_of(block, ns.page_bytes);
    for (auto check : {check_layout, check_mappable, check_memory_map})
        if (Judgement judgement = check(ns, n); judgement.verdict != TARN_PMEM_SERVE)
            return judgement;
    Judgement judgement = verdict(TARN_PMEM_SERVE);
    tarn_pmem_geometry& geometry = judgement.geometry;
    geometry.map_start = ns.start + n.start_pad;
    geometry.map_bytes = ns.bytes - n.start_pad - n.end_trunc;
    geometry.data_start = geometry.map_start + n.data_offset;
    geometry.data_bytes = geometry.map_bytes - n.data_offset;
    geometry.memory_map_inside = n.memory_map == MemoryMap::kOnDevice;
    return judgement;
}

Judgement judge_foreign(BlockKind kind)
{
    if (kind == BlockKind::kDeviceDax)
        return leave("namespace is in device-dax mode");
    return leave("namespace has a sector translation table (BTT)");
}

Judgement judge_damaged(const BlockFinding& finding, const InfoBlock& block)
{
    switch (finding.kind) {
        case BlockKind::kFsdax:
            return refuse(kDamaged, "fsdax info block is damaged: wrong checksum", block.checksum,
                          finding.checksum);
        case BlockKind::kDeviceDax:
            return refuse(kDamaged, "device-dax info block is damaged: wrong checksum", block.checksum,
                          finding.checksum);
        default:
            return refuse(kDamaged, "BTT info block is damaged: wrong checksum", block.checksum,
                          finding.checksum);
    }
}

// No info block that counts: a raw namespace, or a new fsdax one that waits to be written.
Judgement judge_without_block(const Namespace& ns)
{
    return ns.personality == TARN_PMEM_PFN_DEVICE ? verdict(TARN_PMEM_FORMAT) : judge_raw(ns);
}

}  // namespace

Judgement judge(const Namespace& ns)
{
    if (ns.personality == TARN_PMEM_BTT_DEVICE || ns.personality == TARN_PMEM_DAX_DEVICE)
        return leave("not an fsdax device");
    if (ns.claim == TARN_PMEM_CLAIM_BTT)
        return leave("label claims the namespace for BTT");
    if (ns.claim == TARN_PMEM_CLAIM_DAX)
        return leave("label claims the namespace for device-dax");
    if (ns.claim == TARN_PMEM_CLAIM_UNKNOWN)
        return leave("label claims the namespace for something unknown");
    if (ns.bytes < ns.map_align)
        return refuse(kInvalid, "namespace is too small", ns.bytes, ns.map_align);
    if (ns.force_raw && ns.personality == TARN_PMEM_NAMESPACE)
        return judge_raw(ns);
    return verdict(TARN_PMEM_INSPECT);
}

Judgement judge_info_block(const Namespace& ns, const InfoBlock* block)
{
    if (!block)
        return refuse(kInputOutput, "info block cannot be read");
    const BlockFinding finding = recognise(*block, ns.uuid);
    if (finding.kind == BlockKind::kNone)
        return judge_without_block(ns);
    if (finding.state == BlockState::kDamaged)
        return judge_damaged(finding, *block);
    if (finding.state == BlockState::kStale)
        return judge_without_block(ns);
    if (finding.kind != BlockKind::kFsdax)
        return judge_foreign(finding.kind);
    Judgement judgement = judge_fsdax(ns, *block);
    if (judgement.verdict == TARN_PMEM_SERVE && ns.personality == TARN_PMEM_NAMESPACE)
        judgement.verdict = TARN_PMEM_ANNOUNCE;
    return judgement;
}

}  // namespace tarn::pmem
