// SPDX-License-Identifier: GPL-2.0
// Faults, stores through mappings, and what a sync makes durable.
#include <atomic>
#include <random>
#include <thread>

#include "tests/host/file_fixture.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

class FileMapping : public FileTest {
  protected:
    InodeObject& object() { return InodeObject::of(file->inode()); }
    DirtyTracker& tracker() { return object().tracker; }
    u64 page_of(u64 block)
    {
        LockedRange range = tracker().lock_range(FileBlock(block), 1).take();
        return range.pfn(FileBlock(block))->value;
    }
    u64 dirty() { return tracker().numbers().dirty; }
    int store(FakeMapping& mapping, u64 offset, const std::string& bytes)
    {
        return mapping.store(offset, bytes.data(), bytes.size());
    }
};

}  // namespace

TEST_F(FileMapping, AStoreIsSeenByReadAndBySecondMapping)
{
    file->write(0, pattern(8192));
    FakeMapping one(mm, *file), two(mm, *file);
    EXPECT_EQ(store(one, 5000, "stored"), 0);
    EXPECT_EQ(file->read(5000, 6), "stored");
    EXPECT_EQ(two.at(5005), 'd');
    file->write(5000, std::string("S"));
    EXPECT_EQ(one.at(5000), 'S');
}

TEST_F(FileMapping, AFirstStoreIntoAHoleReplacesTheZeroPageEverywhere)
{
    file->truncate(40960);
    FakeMapping one(mm, *file), two(mm, *file);
    EXPECT_EQ(one.at(8192), '\0');
    EXPECT_EQ(two.at(8192), '\0');
    EXPECT_TRUE(one.is_zero_page(2));
    EXPECT_TRUE(two.is_zero_page(2));
    EXPECT_EQ(file->blocks(), 0u);
    EXPECT_TRUE(tracker().empty());
    EXPECT_EQ(one.store(8192, 'x'), 0);
    EXPECT_FALSE(two.is_mapped(2));
    EXPECT_EQ(two.at(8192), 'x');
    EXPECT_EQ(file->blocks(), 1u);
    EXPECT_EQ(file->read(8192, 2), std::string("x\0", 2));
}

TEST_F(FileMapping, AWriteIntoAHoleReplacesTheZeroPageEverywhere)
{
    file->truncate(40960);
    FakeMapping one(mm, *file), two(mm, *file);
    EXPECT_EQ(one.at(8192), '\0');
    EXPECT_EQ(two.at(12288), '\0');
    file->write(8000, std::string(5000, 'x'));
    EXPECT_EQ(one.at(8192), 'x');
    EXPECT_EQ(two.at(12288), 'x');
}

TEST_F(FileMapping, BehindTheEndIsAnError)
{
    file->write(0, pattern(5000));
    FakeMapping mapping(mm, *file);
    EXPECT_EQ(mapping.store(4999, 'x'), 0);
    EXPECT_EQ(mapping.store(6000, 'x'), 0) << "the rest of the last block can be stored to, in vain";
    EXPECT_EQ(mapping.store(8192, 'x'), -ENXIO);
    EXPECT_EQ(mapping.fault(2, TARN_FAULT_READ), -ENXIO);
    EXPECT_EQ(mapping.fault(~0ull >> 12, TARN_FAULT_READ), -ENXIO);
    EXPECT_EQ(file->size(), 5000u);
}

TEST_F(FileMapping, StoresAreDurableAfterSyncAndNotBefore)
{
    file->write(0, zeroes(20480));
    FakeMapping mapping(mm, *file);
    DurableImage durable(device);
    for (u64 at = 0; at < 20480; at += 1000)
        ASSERT_EQ(mapping.store(at, 'x'), 0);
    EXPECT_EQ(contents_after_crash(durable), zeroes(20480));
    EXPECT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable), file->contents());
    EXPECT_EQ(file->read(1000, 1), "x");
    EXPECT_FALSE(mapping.is_writable(0));
    EXPECT_TRUE(tracker().empty());
}

TEST_F(FileMapping, DirtiedAgainIsSyncedAgain)
{
    file->write(0, zeroes(4096));
    FakeMapping mapping(mm, *file);
    DurableImage durable(device);
    for (char value : {'a', 'b', 'c'}) {
        ASSERT_EQ(mapping.store(100, value), 0);
        ASSERT_EQ(file->sync(), 0);
        ASSERT_EQ(contents_after_crash(durable)[100], value);
    }
}

// The store comes between the zap and the fence, through a fault: it may miss this sync, not the next one.
TEST_F(FileMapping, AStoreDuringASyncIsNotForgotten)
{
    file->write(0, zeroes(3 * 4096));
    FakeMapping mapping(mm, *file);
    DurableImage durable(device);
    ASSERT_EQ(mapping.store(0, 'a'), 0);
    ASSERT_EQ(mapping.store(8192, 'a'), 0);  // another run: its zap comes later
    int zaps = 0;
    mm.hook = [&](const char* what) {
        if (what == std::string("zap") && ++zaps == 2) {
            EXPECT_EQ(mapping.store(0, 'b'), 0);
        }
    };
    ASSERT_EQ(file->sync(), 0);
    mm.hook = nullptr;
    EXPECT_EQ(zaps, 2);
    EXPECT_EQ(dirty(), 1u);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable)[0], 'b');
}

TEST_F(FileMapping, SyncOfARangeCostsWhatIsDirtyThere)
{
    file->write(0, zeroes(400 * 4096));
    FakeMapping mapping(mm, *file);
    for (u64 block = 0; block < 400; block++)
        ASSERT_EQ(mapping.store(block * 4096, 'x'), 0);
    auto& counters = device.counters();
    u64 lines = counters.written_back_lines.load_relaxed(), fences = counters.fences.load_relaxed();
    ASSERT_EQ(file->sync(10 * 4096 + 5, 12 * 4096), 0);
    EXPECT_EQ(counters.written_back_lines.load_relaxed() - lines, 3u * 64);
    EXPECT_EQ(counters.fences.load_relaxed() - fences, 1u);
    EXPECT_EQ(dirty(), 397u);
    ASSERT_EQ(file->sync(10 * 4096, 12 * 4096), 0);
    EXPECT_EQ(counters.fences.load_relaxed() - fences, 1u) << "nothing dirty there: nothing to do";
}

TEST_F(FileMapping, AFailedFenceKeepsPagesDirty)
{
    file->write(0, zeroes(4096));
    FakeMapping mapping(mm, *file);
    ASSERT_EQ(mapping.store(0, 'x'), 0);
    LogCapture log;
    device.fail_fences_from(1);
    EXPECT_EQ(file->sync(), -EIO);
    EXPECT_EQ(dirty(), 1u);
    device.fail_fences_from(0);
    EXPECT_EQ(mapping.store(0, 'y'), -EIO) << "un-mapped by the sync, and nothing may be changed any more";
    fs->abandon();
}

TEST_F(FileMapping, OnlyDirtyOrMappedPagesHaveEntries)
{
    file->write(0, zeroes(300 * 4096));
    {
        FakeMapping mapping(mm, *file);
        for (u64 block = 0; block < 300; block++)
            mapping.at(block * 4096);
        ASSERT_EQ(mapping.store(7 * 4096, 'x'), 0);
        EXPECT_EQ(tracker().numbers().entries, 300u);
    }
    EXPECT_EQ(tarn_file_trim(file->inode()), 1);
    EXPECT_EQ(tracker().numbers().entries, 1u);
    EXPECT_EQ(file->sync(), 0);
    EXPECT_TRUE(tracker().empty());
    EXPECT_EQ(tarn_file_trim(file->inode()), 0);
}

TEST_F(FileMapping, TheKernelIsToldWhileSomethingIsDirty)
{
    file->write(0, zeroes(8192));
    FakeMapping mapping(mm, *file);
    mapping.at(0);
    EXPECT_FALSE(mm.is_marked_dirty(file->inode()));
    mapping.store(0, 'x');
    mapping.store(4096, 'x');
    EXPECT_TRUE(mm.is_marked_dirty(file->inode()));
    file->sync(0, 4095);
    EXPECT_TRUE(mm.is_marked_dirty(file->inode()));
    file->sync();
    EXPECT_FALSE(mm.is_marked_dirty(file->inode()));
}

TEST_F(FileMapping, DmaIntoAPinnedPageIsSyncedLater)
{
    file->write(0, zeroes(4096));
    FakeMapping mapping(mm, *file);
    u64 pfn = 0;
    ASSERT_EQ(mapping.pin(0, TARN_FAULT_WRITE, &pfn), 0);
    DurableImage durable(device);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(dirty(), 1u);
    mm.page(pfn)[10] = std::byte('d');  // without any PTE
    mm.unpin(pfn);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(dirty(), 0u);
    EXPECT_EQ(contents_after_crash(durable)[10], 'd');
}

// The page is released while its lines are being written back: what DMA stored last must not be taken for clean.
TEST_F(FileMapping, APinThatEndsDuringTheSyncIsNotForgotten)
{
    file->write(0, zeroes(4096));
    FakeMapping mapping(mm, *file);
    u64 pfn = 0;
    ASSERT_EQ(mapping.pin(0, TARN_FAULT_WRITE, &pfn), 0);
    DurableImage durable(device);
    host::Observer inner = device.backing().observer;
    struct Context {
        FakeMm* mm;
        host::Observer inner;
        u64 pfn;
        bool done;
    } context{&mm, inner, pfn, false};
    device.backing().observer = {&context, [](void* opaque, const host::Event& event) {
        auto& self = *static_cast<Context*>(opaque);
        int result = self.inner.event(self.inner.context, event);
        if (event.kind == host::Event::Kind::kWriteBack && !self.done) {
            self.done = true;
            self.mm->page(self.pfn)[10] = std::byte('d');
            self.mm->unpin(self.pfn);
        }
        return result;
    }};
    ASSERT_EQ(file->sync(), 0);
    device.backing().observer = inner;
    ASSERT_TRUE(context.done);
    ASSERT_EQ(file->sync(), 0);
    EXPECT_EQ(contents_after_crash(durable)[10], 'd');
}

TEST_F(FileMapping, NoSpaceForAStoreIsAnError)
{
    file->truncate(4096 * 10);
    auto hog = fs->create(mm, "hog");
    while (hog->write(hog->size(), pattern(1 << 20)) > 0)
        ;
    FakeMapping mapping(mm, *file);
    int error = 0;
    for (u64 block = 0; block < 10 && !error; block++)
        error = mapping.store(block * 4096, 'x');
    EXPECT_EQ(error, -ENOSPC);
    EXPECT_EQ(mapping.at(9 * 4096), '\0') << "a load still works";
    fs->unlink("hog", *hog);
    hog.reset();
    EXPECT_EQ(mapping.store(9 * 4096, 'x'), 0);
}

TEST_F(FileMapping, ABlockAllocatedByAFaultIsDurableWhenTheFaultReturns)
{
    file->truncate(8 * 4096);
    FakeMapping mapping(mm, *file);
    DurableImage durable(device);
    u64 fences = device.counters().fences.load_relaxed();
    ASSERT_EQ(mapping.fault(3, TARN_FAULT_WRITE), 0);
    EXPECT_EQ(device.counters().fences.load_relaxed() - fences, 2u);
    // MAP_SYNC: the process writes its own lines back, and that is all it takes.
    ASSERT_TRUE(tarn_file_supports_map_sync(file->inode()));
    ASSERT_TRUE(mapping.try_store(3 * 4096, "mine", 4));
    std::byte* page = mm.page(page_of(3));
    tarn_persist_write_back(&device.device(), page, 4);
    tarn_persist_fence(&device.device());
    EXPECT_EQ(contents_after_crash(durable).substr(3 * 4096, 5), std::string("mine\0", 5));
}

TEST_F(FileMapping, TwoThreadsFaultingOnOneHoleAllocateOnce)
{
    constexpr u64 kBlocks = 60;
    file->truncate(kBlocks * 4096);
    FakeMapping mapping(mm, *file);
    std::vector<std::thread> threads;
    for (u64 t = 0; t < 3; t++)
        threads.emplace_back([&, t] {
            for (u64 block = 0; block < kBlocks; block++)
                ASSERT_EQ(mapping.store(block * 4096 + t * 8, static_cast<char>('a' + t)), 0);
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(file->blocks(), kBlocks);
    for (u64 block = 0; block < kBlocks; block++)
        for (u64 t = 0; t < 3; t++)
            ASSERT_EQ(file->read(block * 4096 + t * 8, 1)[0], static_cast<char>('a' + t));
}

TEST_F(FileMapping, WriteFromAMappingOfTheSameFileEnds)
{
    std::string text = pattern(40960);
    file->write(0, text);
    FakeMapping mapping(mm, *file);
    // Into a hole, over itself, and from a hole: with no page of the source mapped at first.
    struct {
        u64 from, to, length;
    } cases[] = {{0, 100000, 40000}, {100, 4000, 30000}, {1000000, 50000, 9000}, {60000, 64000, 8192}};
    file->truncate(2000000);
    for (auto& c : cases) {
        std::string expected = c.from + c.length <= c.to || c.to + c.length <= c.from ? file->read(c.from, c.length) : "";
        tarn_user from;
        from.mapping = &mapping;
        from.mapping_offset = c.from;
        ASSERT_EQ(file->write(c.to, from, c.length), static_cast<long long>(c.length));
        if (!expected.empty()) {
            ASSERT_EQ(file->read(c.to, c.length), expected);
        }
        ASSERT_EQ(file->sync(), 0);  // un-maps everything again
    }
}

TEST_F(FileMapping, WriteBehindTheEndFromTheLastPageEnds)
{
    file->write(0, pattern(10000));
    FakeMapping mapping(mm, *file);
    tarn_user from;
    from.mapping = &mapping;
    from.mapping_offset = 8192;
    ASSERT_EQ(file->write(50000, from, 1000), 1000);
    EXPECT_EQ(file->read(50000, 1000), pattern(10000).substr(8192, 1000));
    from.position = 0;
    from.mapping_offset = 50000;
    ASSERT_EQ(file->write(51500, from, 900), 900) << "into the last page itself";
    EXPECT_EQ(file->read(51500, 900), pattern(10000).substr(8192, 900));
    EXPECT_EQ(file->read(51000, 500), zeroes(500));
}

TEST_F(FileMapping, AForkedMappingIsZappedToo)
{
    file->write(0, zeroes(4096));
    FakeMapping parent(mm, *file);
    parent.store(0, 'x');
    FakeMapping child(mm, *file);
    child.copy_from(parent);
    ASSERT_TRUE(child.is_writable(0));
    ASSERT_EQ(file->sync(), 0);
    EXPECT_FALSE(child.is_mapped(0));
    ASSERT_EQ(child.store(0, 'y'), 0);
    EXPECT_EQ(dirty(), 1u);
}

TEST_F(FileMapping, AReadOnlyVolumeRefusesStores)
{
    file->write(0, pattern(4096));
    FakeMapping mapping(mm, *file);
    object().inode.fs.volume().set_read_only();
    EXPECT_EQ(mapping.store(0, 'x'), -EROFS);
    EXPECT_EQ(mapping.at(0), pattern(1)[0]);
    ASSERT_TRUE(object().inode.fs.volume().set_read_write());
    EXPECT_EQ(mapping.store(0, 'x'), 0);
}

TEST_F(FileMapping, NoMemoryInAFaultIsReportedAndRetried)
{
    file->truncate(1 << 20);
    FakeMapping mapping(mm, *file);
    int failures = 0;
    for (long countdown = 0;; countdown++) {
        host::fail_allocation_after(countdown);
        int error = mapping.fault(100, TARN_FAULT_WRITE);
        host::fail_allocation_after(-1);
        if (!error)
            break;
        failures++;
        ASSERT_EQ(error, -ENOMEM);
        ASSERT_FALSE(mapping.is_writable(100));
    }
    EXPECT_GT(failures, 2);
    EXPECT_EQ(file->blocks(), 1u);
}

TEST_F(FileMapping, EvictingAFileMakesItsStoresDurable)
{
    file->write(0, zeroes(8192));
    DurableImage durable(device);
    {
        FakeMapping mapping(mm, *file);
        mapping.store(5000, 'x');
        mapping.at(0);
    }
    file.reset();
    EXPECT_EQ(contents_after_crash(durable)[5000], 'x');
    file = fs->open(mm, "file");
    EXPECT_EQ(file->read(5000, 1), "x");
}
