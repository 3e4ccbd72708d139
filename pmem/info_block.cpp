// SPDX-License-Identifier: GPL-2.0
// Recognising and reading the platform's info blocks; see info_block.hpp.
#include "pmem/info_block.hpp"

namespace tarn::pmem {

namespace {

constexpr char kFsdaxSignature[17] = "NVDIMM_PFN_INFO\0";
constexpr char kDeviceDaxSignature[17] = "NVDIMM_DAX_INFO\0";
constexpr char kBttSignature[17] = "BTT_ARENA_INFO\0\0";

constexpr u32 kModeDram = 1;
constexpr u32 kModeDevice = 2;
constexpr u64 kOldPageStructBytes = 64;  // before minor version 4

bool same16(const void* a, const void* b) { return __builtin_memcmp(a, b, 16) == 0; }

bool is_zero16(const u8 (&uuid)[16])
{
    for (u8 part : uuid)
        if (part != 0)
            return false;
    return true;
}

BlockKind kind_of(const InfoBlock& block)
{
    if (same16(block.signature, kFsdaxSignature))
        return BlockKind::kFsdax;
    if (same16(block.signature, kDeviceDaxSignature))
        return BlockKind::kDeviceDax;
    if (same16(block.signature, kBttSignature))
        return BlockKind::kBtt;
    return BlockKind::kNone;
}

// A BTT block may have no parent; the others always name the namespace they were written for.
bool is_child_of(const InfoBlock& block, BlockKind kind, const u8 (&uuid)[16])
{
    if (kind == BlockKind::kBtt && is_zero16(block.parent_uuid))
        return true;
    return same16(block.parent_uuid, uuid);
}

MemoryMap memory_map_of(u32 mode)
{
    if (mode == kModeDram)
        return MemoryMap::kInDram;
    if (mode == kModeDevice)
        return MemoryMap::kOnDevice;
    return MemoryMap::kInvalid;
}

}  // namespace

u64 checksum_of(const InfoBlock& block)
{
    const auto* bytes = reinterpret_cast<const unsigned char*>(&block);
    u32 low = 0;
    u64 high = 0;
    for (usize at = 0; at < sizeof(InfoBlock); at += sizeof(u32)) {
        u32 word = 0;
        if (at < offsetof(InfoBlock, checksum))
            __builtin_memcpy(&word, bytes + at, sizeof(word));
        low += word;
        high += low;
    }
    return high << 32 | low;
}

BlockFinding recognise(const InfoBlock& block, const u8 (&namespace_uuid)[16])
{
    BlockFinding finding;
    finding.kind = kind_of(block);
    if (finding.kind == BlockKind::kNone)
        return finding;
    finding.checksum = checksum_of(block);
    if (finding.checksum != block.checksum)
        finding.state = BlockState::kDamaged;
    else if (!is_child_of(block, finding.kind, namespace_uuid))
        finding.state = BlockState::kStale;
    return finding;
}

FsdaxNumbers numbers_of(const InfoBlock& block, u64 kernel_page_bytes)
{
    FsdaxNumbers numbers = {};
    const u16 version = block.version_minor;
    numbers.data_offset = block.data_offset;
    numbers.start_pad = version >= 1 ? block.start_pad : 0;
    numbers.end_trunc = version >= 1 ? block.end_trunc : 0;
    numbers.align = version >= 2 ? block.align : 0;
    if (numbers.align == 0)
        numbers.align = std::bit_floor(block.data_offset);
    numbers.page_bytes = version >= 4 ? block.page_bytes : kernel_page_bytes;
    numbers.page_struct_bytes = version >= 4 ? block.page_struct_bytes : kOldPageStructBytes;
    numbers.memory_map = memory_map_of(block.mode);
    return numbers;
}

}  // namespace tarn::pmem
