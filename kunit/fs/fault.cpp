// SPDX-License-Identifier: GPL-2.0
// KUnit: the fault path on a small file system in memory, through the C interface that the glue uses.
#include <cstring>

#include "fs/file_core.h"
#include "kunit/fs/fake_mapper.hpp"
#include "kunit/fs/image.hpp"

using namespace tarn;
using tarn::kunit::FakeMapper;

namespace {

// A file system with one empty file. Everything on the heap: kernel stacks are small.
struct World {
    tarn::kunit::Image image;
    FakeMapper mapper;
    tarn_inode root = {};
    tarn_inode file = {};
    tarn_attributes attributes = {};
    tarn_times times = {};
    bool has_root = false;
    bool has_file = false;

    bool start(u64 size)
    {
        if (!image.start())
            return false;
        auto* fs = reinterpret_cast<tarn_fs*>(&image.fs());
        has_root = tarn_inode_open(fs, TARN_ROOT_INODE, &root, &attributes) == 0;
        tarn_new_inode what = {};
        what.mode = 0100644;
        has_file = has_root && tarn_dir_create(&root, tarn_name{"file", 4}, &what, &file, &attributes) == 0;
        return has_file && tarn_file_resize(&file, size, &times) == 0;
    }
    ~World()
    {
        if (has_file) {
            tarn_file_evict(&file, TARN_EVICT_KEEP);
            tarn_inode_close(&file);
        }
        if (has_root)
            tarn_inode_close(&root);
    }
    int fault(u64 block, tarn_fault_kind kind)
    {
        tarn_fault at;
        const tarn_fault_request request{block, block, block + 1, kind};
        return tarn_file_fault(&file, &at, &request);
    }
    u64 blocks()
    {
        tarn_inode_attributes(&file, &attributes);
        return attributes.blocks;
    }
    byte* page(u64 block) { return image.block(DeviceBlock(mapper.pte(block).pfn)); }
};

}  // namespace

TARN_KUNIT_CASE(fault_hole_read_maps_zero)
{
    auto world = Box<World>::create();
    TARN_REQUIRE(world.is_ok() && world.value()->start(10 * kBlockSize));
    World& w = *world.value();
    TARN_EXPECT(w.fault(3, TARN_FAULT_READ) == 0);
    TARN_EXPECT(w.mapper.pte(3).zero && !w.mapper.pte(3).writable);
    TARN_EXPECT(w.blocks() == 0);
}

TARN_KUNIT_CASE(fault_hole_write_allocates)
{
    auto world = Box<World>::create();
    TARN_REQUIRE(world.is_ok() && world.value()->start(10 * kBlockSize));
    World& w = *world.value();
    TARN_EXPECT(w.fault(3, TARN_FAULT_READ) == 0);
    TARN_EXPECT(w.fault(3, TARN_FAULT_WRITE) == 0);
    TARN_REQUIRE(w.mapper.pte(3).present);
    TARN_EXPECT(w.mapper.pte(3).writable && !w.mapper.pte(3).zero);
    TARN_EXPECT(w.mapper.marked_dirty);
    TARN_EXPECT(w.blocks() == 1);
    for (u64 at = 0; at < kBlockSize; at++)
        TARN_EXPECT(w.page(3)[at] == byte{0});
}

TARN_KUNIT_CASE(fault_second_write_shares)
{
    auto world = Box<World>::create();
    TARN_REQUIRE(world.is_ok() && world.value()->start(10 * kBlockSize));
    World& w = *world.value();
    TARN_EXPECT(w.fault(3, TARN_FAULT_WRITE) == 0);
    const u64 pfn = w.mapper.pte(3).pfn;
    memset(w.page(3), 0x77, kBlockSize);
    w.mapper.pte(3) = {};  // another process
    TARN_EXPECT(w.fault(3, TARN_FAULT_WRITE) == 0);
    TARN_EXPECT(w.mapper.pte(3).pfn == pfn);
    TARN_EXPECT(w.page(3)[0] == byte{0x77});
    TARN_EXPECT(w.blocks() == 1);
}

TARN_KUNIT_CASE(fault_beyond_end)
{
    auto world = Box<World>::create();
    TARN_REQUIRE(world.is_ok() && world.value()->start(10 * kBlockSize));
    World& w = *world.value();
    TARN_EXPECT(w.fault(10, TARN_FAULT_READ) == -6);  // ENXIO
    TARN_EXPECT(w.fault(10, TARN_FAULT_WRITE) == -6);
    TARN_EXPECT(!w.mapper.pte(10).present);
    TARN_EXPECT(w.fault(9, TARN_FAULT_WRITE) == 0);
}

TARN_KUNIT_CASE(fault_truncate_drops)
{
    auto world = Box<World>::create();
    TARN_REQUIRE(world.is_ok() && world.value()->start(10 * kBlockSize));
    World& w = *world.value();
    TARN_EXPECT(w.fault(1, TARN_FAULT_WRITE) == 0);
    TARN_EXPECT(w.fault(3, TARN_FAULT_WRITE) == 0);
    const u64 pfn = w.mapper.pte(3).pfn;
    w.mapper.pinned = pfn;
    tarn_mapper_zap(&w.file, 2, 8);
    TARN_EXPECT(tarn_file_resize(&w.file, 2 * kBlockSize, &w.times) == -16);  // EBUSY: pinned
    w.mapper.pinned = ~u64{0};
    TARN_EXPECT(tarn_file_resize(&w.file, 2 * kBlockSize, &w.times) == 0);
    TARN_EXPECT(w.blocks() == 1);
    TARN_EXPECT(w.mapper.pte(1).writable);
    TARN_EXPECT(w.fault(3, TARN_FAULT_READ) == -6);
}

TARN_KUNIT_CASE(fault_sync_then_write_again)
{
    auto world = Box<World>::create();
    TARN_REQUIRE(world.is_ok() && world.value()->start(10 * kBlockSize));
    World& w = *world.value();
    TARN_EXPECT(w.fault(3, TARN_FAULT_WRITE) == 0);
    TARN_EXPECT(tarn_file_sync(&w.file, 0, ~0ULL) == 0);
    TARN_EXPECT(!w.mapper.pte(3).writable);
    TARN_EXPECT(!w.mapper.marked_dirty);
    TARN_EXPECT(w.fault(3, TARN_FAULT_WRITE) == 0);
    TARN_EXPECT(w.mapper.pte(3).writable);
    TARN_EXPECT(w.mapper.marked_dirty);
}
