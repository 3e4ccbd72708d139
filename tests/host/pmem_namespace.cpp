// SPDX-License-Identifier: GPL-2.0
// Which namespaces tarn_pmem takes, which it leaves, which it refuses, and what it makes of an info block.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "pmem/durability.hpp"
#include "pmem/geometry.hpp"

namespace tarn::pmem {
namespace {

constexpr u64 kMiB = 1 << 20;
constexpr u64 kStart = 0x100000000;
constexpr u8 kUuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

// The platform's checksum, written down a second time from its definition.
u64 fletcher64(const InfoBlock& block)
{
    u32 words[1024];
    std::memcpy(words, &block, sizeof words);
    words[1022] = words[1023] = 0;
    u32 low = 0;
    u64 high = 0;
    for (u32 word : words) {
        low += word;
        high += low;
    }
    return (high << 32) | low;
}

Namespace raw_namespace()
{
    Namespace ns = {};
    ns.start = kStart;
    ns.bytes = 256 * kMiB;
    ns.map_align = 2 * kMiB;
    ns.page_bytes = 4096;
    ns.page_struct_bytes = 64;
    ns.personality = TARN_PMEM_NAMESPACE;
    ns.claim = TARN_PMEM_CLAIM_NONE;
    std::memcpy(ns.uuid, kUuid, 16);
    return ns;
}

Namespace pfn_namespace()
{
    Namespace ns = raw_namespace();
    ns.personality = TARN_PMEM_PFN_DEVICE;
    return ns;
}

void seal(InfoBlock& block) { block.checksum = fletcher64(block); }

// As libnvdimm writes it for a namespace like the above with -M mem.
InfoBlock info_block(const char* signature = "NVDIMM_PFN_INFO")
{
    InfoBlock block = {};
    std::strncpy(block.signature, signature, 16);
    std::memcpy(block.parent_uuid, kUuid, 16);
    block.version_major = 1;
    block.version_minor = 4;
    block.mode = 1;
    block.data_offset = 2 * kMiB;
    block.pages = 254 * kMiB / 4096;
    block.align = 2 * kMiB;
    block.page_bytes = 4096;
    block.page_struct_bytes = 64;
    seal(block);
    return block;
}

// The same with -M dev: 64 bytes for each of 65536 pages, and the reserve, rounded up to the alignment.
InfoBlock info_block_on_device()
{
    InfoBlock block = info_block();
    block.mode = 2;
    block.data_offset = 6 * kMiB;
    seal(block);
    return block;
}

TEST(PmemNamespace, RawOneIsServedWhole)
{
    const Namespace ns = raw_namespace();
    EXPECT_EQ(judge(ns).verdict, TARN_PMEM_INSPECT);
    const InfoBlock empty = {};
    const Judgement judgement = judge_info_block(ns, &empty);
    ASSERT_EQ(judgement.verdict, TARN_PMEM_SERVE);
    EXPECT_EQ(judgement.geometry.map_start, kStart);
    EXPECT_EQ(judgement.geometry.data_start, kStart);
    EXPECT_EQ(judgement.geometry.data_bytes, 256 * kMiB);
    EXPECT_FALSE(judgement.geometry.memory_map_inside);
}

TEST(PmemNamespace, FsdaxWithMemoryMapInDram)
{
    const InfoBlock block = info_block();
    EXPECT_EQ(judge_info_block(raw_namespace(), &block).verdict, TARN_PMEM_ANNOUNCE);
    const Judgement judgement = judge_info_block(pfn_namespace(), &block);
    ASSERT_EQ(judgement.verdict, TARN_PMEM_SERVE);
    EXPECT_EQ(judgement.geometry.map_start, kStart);
    EXPECT_EQ(judgement.geometry.map_bytes, 256 * kMiB);
    EXPECT_EQ(judgement.geometry.data_start, kStart + 2 * kMiB);
    EXPECT_EQ(judgement.geometry.data_bytes, 254 * kMiB);
    EXPECT_FALSE(judgement.geometry.memory_map_inside);
}

TEST(PmemNamespace, FsdaxWithMemoryMapOnDevice)
{
    const InfoBlock block = info_block_on_device();
    const Judgement judgement = judge_info_block(pfn_namespace(), &block);
    ASSERT_EQ(judgement.verdict, TARN_PMEM_SERVE);
    EXPECT_EQ(judgement.geometry.data_bytes, 250 * kMiB);
    EXPECT_TRUE(judgement.geometry.memory_map_inside);
}

TEST(PmemNamespace, PaddingIsLeftOutOfMapAndData)
{
    Namespace ns = pfn_namespace();
    ns.start += kMiB;
    ns.bytes -= 3 * kMiB / 2;
    InfoBlock block = info_block();
    block.start_pad = kMiB;
    block.end_trunc = 3 * kMiB / 2;
    seal(block);
    const Judgement judgement = judge_info_block(ns, &block);
    ASSERT_EQ(judgement.verdict, TARN_PMEM_SERVE) << judgement.reason;
    EXPECT_EQ(judgement.geometry.map_start, kStart + 2 * kMiB);
    EXPECT_EQ(judgement.geometry.map_bytes, 252 * kMiB);
    EXPECT_EQ(judgement.geometry.data_start, kStart + 4 * kMiB);
    EXPECT_EQ(judgement.geometry.data_bytes, 250 * kMiB);
}

TEST(PmemNamespace, OldVersionsHaveDefaults)
{
    InfoBlock block = info_block();
    block.version_minor = 0;
    block.start_pad = block.end_trunc = block.align = 0xffffffff;
    block.page_bytes = 0;
    seal(block);
    EXPECT_EQ(judge_info_block(pfn_namespace(), &block).verdict, TARN_PMEM_SERVE);
}

TEST(PmemNamespace, NewPfnDeviceWaitsForItsBlock)
{
    const InfoBlock empty = {};
    EXPECT_EQ(judge_info_block(pfn_namespace(), &empty).verdict, TARN_PMEM_FORMAT);
    InfoBlock stale = info_block();
    stale.parent_uuid[3] ^= 1;
    seal(stale);
    EXPECT_EQ(judge_info_block(pfn_namespace(), &stale).verdict, TARN_PMEM_FORMAT);
    EXPECT_EQ(judge_info_block(raw_namespace(), &stale).verdict, TARN_PMEM_SERVE);
}

TEST(PmemNamespace, OthersAreLeftAlone)
{
    for (const char* signature : {"NVDIMM_DAX_INFO", "BTT_ARENA_INFO"}) {
        const InfoBlock block = info_block(signature);
        for (const Namespace& ns : {raw_namespace(), pfn_namespace()}) {
            const Judgement judgement = judge_info_block(ns, &block);
            EXPECT_EQ(judgement.verdict, TARN_PMEM_LEAVE);
            EXPECT_EQ(judgement.error, -19);
        }
    }
    InfoBlock orphan = info_block("BTT_ARENA_INFO");
    std::memset(orphan.parent_uuid, 0, 16);
    seal(orphan);
    EXPECT_EQ(judge_info_block(raw_namespace(), &orphan).verdict, TARN_PMEM_LEAVE);
    for (auto claim : {TARN_PMEM_CLAIM_BTT, TARN_PMEM_CLAIM_DAX, TARN_PMEM_CLAIM_UNKNOWN}) {
        Namespace ns = raw_namespace();
        ns.claim = claim;
        EXPECT_EQ(judge(ns).verdict, TARN_PMEM_LEAVE);
        EXPECT_EQ(judge(ns).error, -19);
    }
    for (auto personality : {TARN_PMEM_BTT_DEVICE, TARN_PMEM_DAX_DEVICE}) {
        Namespace ns = raw_namespace();
        ns.personality = personality;
        EXPECT_EQ(judge(ns).verdict, TARN_PMEM_LEAVE);
    }
}

TEST(PmemNamespace, ForceRawOverrulesBlocks)
{
    Namespace ns = raw_namespace();
    ns.force_raw = 1;
    EXPECT_EQ(judge(ns).verdict, TARN_PMEM_SERVE);
    ns.personality = TARN_PMEM_PFN_DEVICE;
    EXPECT_EQ(judge(ns).verdict, TARN_PMEM_INSPECT);
}

struct Refusal {
    const char* name;
    int error;
    std::function<void(Namespace&)> spoil;
};

TEST(PmemNamespace, UnusableFactsAreRefused)
{
    const InfoBlock empty = {};
    const Refusal refusals[] = {
        {"too small", -22, [](Namespace& ns) { ns.bytes = kMiB; }},
        {"start misaligned", -22, [](Namespace& ns) { ns.start += 4096; }},
        {"size misaligned", -22, [](Namespace& ns) { ns.bytes -= 4096; }},
    };
    for (const Refusal& refusal : refusals) {
        Namespace ns = raw_namespace();
        refusal.spoil(ns);
        Judgement judgement = judge(ns);
        if (judgement.verdict == TARN_PMEM_INSPECT)
            judgement = judge_info_block(ns, &empty);
        EXPECT_EQ(judgement.verdict, TARN_PMEM_REFUSE) << refusal.name;
        EXPECT_EQ(judgement.error, refusal.error) << refusal.name;
        EXPECT_NE(judgement.reason, nullptr);
        ns.force_raw = 1;
        EXPECT_EQ(judge(ns).verdict, TARN_PMEM_REFUSE) << refusal.name;
    }
}

TEST(PmemNamespace, UnreadableBlockIsRefused)
{
    const Judgement judgement = judge_info_block(raw_namespace(), nullptr);
    EXPECT_EQ(judgement.verdict, TARN_PMEM_REFUSE);
    EXPECT_EQ(judgement.error, -5);
}

// A single wrong bit anywhere: damaged, or (in the signature) no block at all, never believed.
TEST(PmemNamespace, EveryFlippedBitIsNoticed)
{
    const Namespace ns = pfn_namespace();
    for (usize bit = 0; bit < sizeof(InfoBlock) * 8; bit += 7) {
        InfoBlock block = info_block();
        reinterpret_cast<u8*>(&block)[bit / 8] ^= static_cast<u8>(1 << bit % 8);
        const Judgement judgement = judge_info_block(ns, &block);
        if (bit < 128) {
            EXPECT_EQ(judgement.verdict, TARN_PMEM_FORMAT) << bit;
        } else {
            EXPECT_EQ(judgement.verdict, TARN_PMEM_REFUSE) << bit;
            EXPECT_EQ(judgement.error, -117) << bit;
        }
    }
}

struct Spoiled {
    const char* name;
    int error;
    std::function<void(InfoBlock&)> spoil;
};

TEST(PmemNamespace, ImpossibleNumbersAreRefused)
{
    const Spoiled all[] = {
        {"mode", -117, [](InfoBlock& b) { b.mode = 3; }},
        {"no mode", -117, [](InfoBlock& b) { b.mode = 0; }},
        {"data past the end", -117, [](InfoBlock& b) { b.data_offset = 256 * kMiB; }},
        {"data far past the end", -117, [](InfoBlock& b) { b.data_offset = ~u64{0} - 4095; }},
        {"no data left", -117, [](InfoBlock& b) { b.end_trunc = 254 * kMiB; }},
        {"padding larger than the namespace", -117,
         [](InfoBlock& b) { b.start_pad = b.end_trunc = 0xfff00000; }},
        {"data over the info block", -117,
         [](InfoBlock& b) {
             b.data_offset = 4096;
             b.align = 4096;
         }},
        {"data at zero", -117,
         [](InfoBlock& b) {
             b.data_offset = 0;
             b.align = 0;
         }},
        {"alignment no power of two", -117, [](InfoBlock& b) { b.align = 3 * kMiB; }},
        {"alignment larger than the namespace", -117, [](InfoBlock& b) { b.align = 512 * kMiB; }},
        {"data not aligned as promised", -95, [](InfoBlock& b) { b.data_offset = 2 * kMiB + 4096; }},
        {"data not on a page", -95,
         [](InfoBlock& b) {
             b.data_offset = 2 * kMiB + 512;
             b.align = 512;
         }},
        {"start misaligned", -95,
         [](InfoBlock& b) {
             b.start_pad = 4096;
             b.align = 4096;
         }},
        {"end misaligned", -95, [](InfoBlock& b) { b.end_trunc = 4096; }},
        {"larger pages", -95,
         [](InfoBlock& b) {
             b.mode = 2;
             b.data_offset = 6 * kMiB;
             b.page_bytes = 65536;
         }},
        {"smaller struct pages", -95,
         [](InfoBlock& b) {
             b.mode = 2;
             b.data_offset = 6 * kMiB;
             b.page_struct_bytes = 56;
         }},
        {"no room for the memory map", -117,
         [](InfoBlock& b) {
             b.mode = 2;
             b.data_offset = 4 * kMiB;
         }},
    };
    for (const Spoiled& spoiled : all) {
        InfoBlock block = info_block();
        spoiled.spoil(block);
        seal(block);
        for (const Namespace& ns : {raw_namespace(), pfn_namespace()}) {
            const Judgement judgement = judge_info_block(ns, &block);
            EXPECT_EQ(judgement.verdict, TARN_PMEM_REFUSE) << spoiled.name;
            EXPECT_EQ(judgement.error, spoiled.error) << spoiled.name << ": " << judgement.reason;
        }
    }
}

// Whatever a sealed block says, what is served lies inside the namespace.
TEST(PmemNamespace, WhatIsServedIsInside)
{
    std::mt19937_64 random(7);
    unsigned served = 0;
    for (int round = 0; round < 200000; round++) {
        InfoBlock block = info_block();
        const auto pick = [&](u64 unit) { return (random() % 130) * unit * (random() % 8 ? 1 : random()); };
        block.mode = static_cast<u32>(random() % 4);
        block.data_offset = pick(2 * kMiB);
        block.start_pad = static_cast<u32>(pick(random() % 2 ? kMiB : 0));
        block.end_trunc = static_cast<u32>(pick(kMiB));
        block.align = static_cast<u32>(random() % 2 ? 4096 : pick(4096));
        seal(block);
        const Namespace ns = pfn_namespace();
        const Judgement judgement = judge_info_block(ns, &block);
        if (judgement.verdict != TARN_PMEM_SERVE)
            continue;
        served++;
        const auto& g = judgement.geometry;
        ASSERT_GE(g.map_start, ns.start);
        ASSERT_LE(g.map_bytes, ns.bytes);
        ASSERT_LE(g.map_start + g.map_bytes, ns.start + ns.bytes);
        ASSERT_GE(g.data_start, g.map_start + TARN_PMEM_INFO_RESERVE);
        ASSERT_EQ(g.data_start + g.data_bytes, g.map_start + g.map_bytes);
        ASSERT_GT(g.data_bytes, 0u);
        ASSERT_EQ(g.data_bytes % 4096, 0u);
    }
    EXPECT_GT(served, 1000u);
}

struct Platform {
    int has_flush, synchronous, has_cache;
    tarn_device_class class_;
    bool remark;
};

TEST(PmemDurability, FollowsFromWhatThePlatformSays)
{
    const Platform platforms[] = {
        {0, 1, 1, TARN_DEVICE_SYNC, false},   // NVDIMM on a platform with ADR
        {1, 1, 1, TARN_DEVICE_FLUSH, false},  // NVDIMM with flush hints
        {-6, 1, 1, TARN_DEVICE_SYNC, true},   // legacy: unknown
        {-6, 0, 1, TARN_DEVICE_FLUSH, true},  // virtio-pmem, as libnvdimm reports it
        {1, 0, 1, TARN_DEVICE_FLUSH, true},
        {0, 1, 0, TARN_DEVICE_SYNC, false},  // caches in the persistence domain
    };
    for (const Platform& platform : platforms) {
        tarn_pmem_durability d = {};
        d.has_flush = platform.has_flush;
        d.synchronous = platform.synchronous;
        d.has_cache = platform.has_cache;
        decide_durability(d);
        EXPECT_EQ(d.class_, platform.class_);
        EXPECT_EQ(d.write_back, platform.has_cache);
        EXPECT_EQ(d.remark != nullptr, platform.remark);
        EXPECT_EQ(d.doubtful, platform.synchronous && platform.has_flush < 0);
    }
}

}  // namespace
}  // namespace tarn::pmem
