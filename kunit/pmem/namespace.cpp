// SPDX-License-Identifier: GPL-2.0
// KUnit: which namespaces are taken, left and refused.
#include "cxxrt/box.hpp"
#include "kunit/pmem/machine.hpp"
#include "pmem/info_block.hpp"

using namespace tarn;
using namespace tarn::pmem;

namespace {

constexpr u64 kMiB = 1 << 20;

tarn_pmem_namespace make_namespace(tarn_pmem_personality personality)
{
    tarn_pmem_namespace ns = {};
    ns.start = 0x100000000;
    ns.bytes = 256 * kMiB;
    ns.map_align = 2 * kMiB;
    ns.page_bytes = 4096;
    ns.page_struct_bytes = 64;
    ns.personality = personality;
    return ns;
}

void fill(InfoBlock& block, const char* signature)
{
    for (u64 n = 0; n < sizeof(block.signature) && signature[n]; n++)
        block.signature[n] = signature[n];
    block.version_major = 1;
    block.version_minor = 4;
    block.mode = 1;
    block.data_offset = block.align = 2 * kMiB;
    block.page_bytes = 4096;
    block.page_struct_bytes = 64;
    block.checksum = checksum_of(block);
}

tarn_pmem_judgement judged(tarn_pmem_personality personality, const InfoBlock& block)
{
    const tarn_pmem_namespace ns = make_namespace(personality);
    tarn_pmem_judgement judgement;
    tarn_pmem_judge_info_block(&ns, &block, &judgement);
    return judgement;
}

}  // namespace

TARN_KUNIT_CASE(namespace_raw)
{
    auto block = Box<InfoBlock>::create();
    TARN_REQUIRE(block.is_ok());
    const tarn_pmem_judgement judgement = judged(TARN_PMEM_NAMESPACE, *block.value());
    TARN_EXPECT(judgement.verdict == TARN_PMEM_SERVE);
    TARN_EXPECT(judgement.geometry.data_bytes == 256 * kMiB);
}

TARN_KUNIT_CASE(namespace_fsdax)
{
    auto block = Box<InfoBlock>::create();
    TARN_REQUIRE(block.is_ok());
    fill(*block.value(), "NVDIMM_PFN_INFO");
    TARN_EXPECT(judged(TARN_PMEM_NAMESPACE, *block.value()).verdict == TARN_PMEM_ANNOUNCE);
    const tarn_pmem_judgement judgement = judged(TARN_PMEM_PFN_DEVICE, *block.value());
    TARN_EXPECT(judgement.verdict == TARN_PMEM_SERVE);
    TARN_EXPECT(judgement.geometry.data_start == 0x100000000 + 2 * kMiB);
    TARN_EXPECT(judgement.geometry.data_bytes == 254 * kMiB);
}

TARN_KUNIT_CASE(namespace_damaged)
{
    auto block = Box<InfoBlock>::create();
    TARN_REQUIRE(block.is_ok());
    fill(*block.value(), "NVDIMM_PFN_INFO");
    block.value()->data_offset++;
    const tarn_pmem_judgement judgement = judged(TARN_PMEM_PFN_DEVICE, *block.value());
    TARN_EXPECT(judgement.verdict == TARN_PMEM_REFUSE && judgement.error == -117);
}

TARN_KUNIT_CASE(namespace_of_others)
{
    for (const char* signature : {"NVDIMM_DAX_INFO", "BTT_ARENA_INFO"}) {
        auto block = Box<InfoBlock>::create();
        TARN_REQUIRE(block.is_ok());
        fill(*block.value(), signature);
        const tarn_pmem_judgement judgement = judged(TARN_PMEM_NAMESPACE, *block.value());
        TARN_EXPECT(judgement.verdict == TARN_PMEM_LEAVE && judgement.error == -19);
    }
}
