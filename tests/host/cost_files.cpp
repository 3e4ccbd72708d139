// SPDX-License-Identifier: GPL-2.0
// What operations on the contents of a file cost: one fence for bytes that are overwritten, two where blocks
// are added (their contents first), and nothing is stored twice.
#include "tests/host/cost_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u64 kBlock = kBlockSize;
constexpr int kSamples = 200;

class CostFiles : public CostTest {
  protected:
    CostFiles() : it(open_file("file")) {}

    // Operation i, with something before it that is not priced.
    template <class Before, class Operation>
    void measure(const std::string& what, Before before, Operation operation)
    {
        CostRow row(what);
        for (u64 i = 0; i < kSamples; i++) {
            before(i);
            it->now = tick();
            add(row, [&] { operation(i); });
        }
    }
    template <class Operation>
    void measure(const std::string& what, Operation operation)
    {
        measure(
            what, [](u64) {}, operation);
    }

    void begin_anew(u64 size = 0)
    {
        truncate(*it, 0);
        truncate(*it, size);
    }
    int punch(u64 offset, u64 length) { return it->punch(offset, length); }

    std::unique_ptr<FakeFile> it;
};

}  // namespace

TEST_F(CostFiles, Appending)
{
    measure("append of 4 KiB", [&](u64 i) { write(*it, i * kBlock, kBlock); });
    begin_anew();
    measure("append of 16 KiB", [&](u64 i) { write(*it, i * 4 * kBlock, 4 * kBlock); });
    begin_anew();
    measure("append of 128 bytes", [&](u64 i) { write(*it, i * 128, 128); });
    begin_anew(100);
    measure(
        "append of 100 bytes over the end of a block",
        [&](u64 i) { truncate(*it, i * kBlock + kBlock - 50); },
        [&](u64 i) { write(*it, i * kBlock + kBlock - 50, 100); });
}

TEST_F(CostFiles, Overwriting)
{
    write(*it, 0, 256 * kBlock);
    measure("overwrite of 64 bytes", [&](u64 i) { write(*it, i * kBlock + 128, 64); });
    measure("overwrite of 4 KiB", [&](u64 i) { write(*it, i * kBlock, kBlock); });
}

TEST_F(CostFiles, WritingIntoHoles)
{
    begin_anew(1024 * kBlock);
    measure("write of 64 bytes into a hole", [&](u64 i) { write(*it, i * 2 * kBlock + 64, 64); });
    begin_anew(1024 * kBlock);
    measure("write of 4 KiB into a hole", [&](u64 i) { write(*it, i * 2 * kBlock, kBlock); });
    begin_anew(1024 * kBlock);
    must(it->allocate(0, 1024 * kBlock));
    measure("write of 4 KiB into an unwritten block", [&](u64 i) { write(*it, i * 2 * kBlock, kBlock); });
}

TEST_F(CostFiles, Truncating)
{
    measure("truncate up", [&](u64 i) { truncate(*it, (i + 1) * kBlock); });
    write(*it, 0, kSamples * kBlock + 5);
    measure(
        "truncate up over a tail", [&](u64) { truncate(*it, kSamples * kBlock + 5); },
        [&](u64) { truncate(*it, (kSamples + 1) * kBlock); });
    truncate(*it, kSamples * kBlock);
    measure("truncate down by a block", [&](u64 i) { truncate(*it, (kSamples - 1 - i) * kBlock); });
    write(*it, 0, 4 * kBlock);
    measure(
        "truncate down in a block", [&](u64) { truncate(*it, 4 * kBlock); },
        [&](u64) { truncate(*it, 3 * kBlock + 2048); });
}

TEST_F(CostFiles, Fallocate)
{
    measure(
        "fallocate of 1 MiB", [&](u64) { begin_anew(); }, [&](u64) { must(it->allocate(0, 256 * kBlock)); });
    measure(
        "fallocate of 1 MiB behind the end", [&](u64) { begin_anew(); },
        [&](u64) { must(it->allocate_keeping_size(0, 256 * kBlock)); });
    begin_anew();
    write(*it, 0, 2 * kSamples * kBlock);
    measure("punch a hole of a block", [&](u64 i) { must(punch(i * 2 * kBlock, kBlock)); });
    begin_anew();
    write(*it, 0, 2 * kSamples * kBlock);
    measure("punch 100 bytes", [&](u64 i) { must(punch(i * 2 * kBlock + 5, 100)); });
    measure("zero a block", [&](u64 i) { must(it->zero(i * 2 * kBlock, kBlock)); });
}

TEST_F(CostFiles, Faulting)
{
    begin_anew(1024 * kBlock);
    FakeMapping mapping(mm, *it);
    auto fault = [&](u64 block, tarn_fault_kind kind) { must(mapping.fault(block, kind)); };
    measure("read fault on a hole", [&](u64 i) { fault(i * 2, TARN_FAULT_READ); });
    measure("write fault on a hole", [&](u64 i) { fault(i * 2, TARN_FAULT_WRITE); });
    must(it->allocate(0, 1024 * kBlock));
    measure("write fault on an unwritten block", [&](u64 i) { fault(i * 2 + 1, TARN_FAULT_WRITE); });
    measure(
        "read fault on a written block", [&](u64) { must(it->sync()); },
        [&](u64 i) { fault(i * 2, TARN_FAULT_READ); });
    measure("write fault on a written block (mkwrite)", [&](u64 i) { fault(i * 2, TARN_FAULT_WRITE); });
}

TEST_F(CostFiles, Syncing)
{
    write(*it, 0, 512 * kBlock);
    FakeMapping mapping(mm, *it);
    auto dirty = [&](u64 pages) {
        return [&, pages](u64) {
            for (u64 page = 0; page < pages; page++)
                must(mapping.store(page * kBlock, 'x'));
        };
    };
    fsync(*it);
    measure(
        "fsync, nothing dirty", [&](u64) { fsync(*it); }, [&](u64) { must(it->sync()); });
    measure("fsync, times only", [&](u64) { fsync(*it); });
    measure("fsync, 1 dirty page", dirty(1), [&](u64) { fsync(*it); });
    measure("fsync, 256 dirty pages", dirty(256), [&](u64) { fsync(*it); });
}

TEST_F(CostFiles, Freeing)
{
    CostRow unlinked("last close of a removed file of 64 KiB");
    for (int i = 0; i < kSamples; i++) {
        const std::string text = "removed" + std::to_string(i);
        auto file = open_file(text);
        write(*file, 0, 16 * kBlock);
        fs->unlink(text, *file);
        add(unlinked, [&] { file.reset(); });
    }
}

}  // namespace tarn::test
