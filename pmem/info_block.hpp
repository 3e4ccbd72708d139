// SPDX-License-Identifier: GPL-2.0
// The platform's info blocks: 4096 bytes at byte 4096 of an NVDIMM namespace, which say that the namespace is
// used for fsdax, device-dax or with a sector translation table (BTT). Written by libnvdimm, read here.
//
// Nothing in a block is believed before its signature, parent and checksum are right, and after that each
// number is still checked against the namespace: the checksum guards against accidents only.
#pragma once
#include "cxxrt/types.hpp"
#include "pmem/pmem.h"

namespace tarn::pmem {

// Little-endian, naturally aligned.
struct InfoBlock {
    char signature[16];
    u8 uuid[16];
    u8 parent_uuid[16];
    u32 flags;
    u16 version_major;
    u16 version_minor;
    // From here on fsdax and device-dax only.
    u64 data_offset;  // from the start of the mapped range
    u64 pages;
    u32 mode;
    u32 start_pad;  // from minor version 1
    u32 end_trunc;
    u32 align;       // from minor version 2
    u32 page_bytes;  // from minor version 4
    u16 page_struct_bytes;
    u8 padding[3994];
    u64 checksum;
};
static_assert(sizeof(InfoBlock) == TARN_PMEM_INFO_BLOCK_BYTES);
static_assert(offsetof(InfoBlock, data_offset) == 56 && offsetof(InfoBlock, mode) == 72);
static_assert(offsetof(InfoBlock, page_bytes) == 88 && offsetof(InfoBlock, checksum) == 4088);
static_assert(std::endian::native == std::endian::little);

enum class BlockKind : u8 {
    kNone,
    kFsdax,
    kDeviceDax,
    kBtt,
};
enum class BlockState : u8 {
    kValid,
    kStale,    // belongs to another namespace that once was here
    kDamaged,  // signature right, checksum wrong
};
struct BlockFinding {
    BlockKind kind = BlockKind::kNone;
    BlockState state = BlockState::kValid;  // meaningless for kNone
    u64 checksum = 0;                       // as computed
};
// What kind of block this is and whether it can be believed.
BlockFinding recognise(const InfoBlock& block, const u8 (&namespace_uuid)[16]);

// Fletcher-64 over the block, its checksum field taken as zero.
u64 checksum_of(const InfoBlock& block);

// Where the struct pages of an fsdax namespace are kept.
enum class MemoryMap : u8 {
    kInDram,    // -M mem
    kOnDevice,  // -M dev
    kInvalid,
};
// An fsdax block's numbers, with the defaults of older versions filled in. Not yet checked against anything.
struct FsdaxNumbers {
    u64 data_offset;
    u64 start_pad;
    u64 end_trunc;
    u64 align;
    u64 page_bytes;
    u64 page_struct_bytes;
    MemoryMap memory_map;
};
FsdaxNumbers numbers_of(const InfoBlock& block, u64 kernel_page_bytes);

}  // namespace tarn::pmem
