// SPDX-License-Identifier: GPL-2.0
// A mounted file system whose operations are called as the glue calls them, with times that change as time
// does, and a meter for what each costs.
#pragma once
#include <gtest/gtest.h>

#include <memory>

#include "tests/host/support/cost.hpp"
#include "tests/host/support/fake_mm.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

// An inode that is no regular file, or of which only the attributes matter.
struct Node {
    tarn_inode inode;
    tarn_attributes attributes;
};

class CostTest : public testing::Test {
  protected:
    static void SetUpTestSuite() { CostRow::print_heading(); }

    CostTest()
        : device(kBlocks), mm(device), fs(std::make_unique<FakeFs>(device)), meter(device, layout_of(device))
    {
        host::pretend_cpu(0);
    }
    ~CostTest() override { host::pretend_cpu(-1); }

    static Layout layout_of(TestDevice& device)
    {
        const Media media(device.device());
        return read_layout(media).take();
    }

    // One operation, nothing else.
    template <class Operation>
    Cost price_of(Operation operation)
    {
        meter.take();
        operation();
        return meter.take();
    }
    template <class Operation>
    void add(CostRow& row, Operation operation)
    {
        row.add(price_of(operation));
    }

    tarn_time tick()
    {
        now.seconds++;
        now.nanoseconds = (now.nanoseconds + 123456789) % 1000000000;
        return now;
    }
    static void must(int result)
    {
        if (result)
            throw std::runtime_error("an operation failed: " + std::to_string(result));
    }
    static tarn_name name(const std::string& text)
    {
        return {text.data(), static_cast<unsigned>(text.size())};
    }

    std::unique_ptr<Node> create(tarn_inode* dir, const std::string& text, unsigned mode,
                                 const std::string& target = {})
    {
        auto made = std::make_unique<Node>();
        tarn_new_inode what = {};
        what.mode = mode;
        what.uid = what.gid = 1000;
        what.target = name(target);
        what.now = tick();
        must(tarn_dir_create(dir, name(text), &what, &made->inode, &made->attributes));
        return made;
    }
    std::unique_ptr<Node> file(tarn_inode* dir, const std::string& text)
    {
        return create(dir, text, 0100644);
    }
    std::unique_ptr<Node> mkdir(tarn_inode* dir, const std::string& text)
    {
        return create(dir, text, 040755);
    }
    void link(tarn_inode* dir, const std::string& text, Node& node)
    {
        must(tarn_dir_link(dir, name(text), &node.inode, tick()));
    }
    void unlink(tarn_inode* dir, const std::string& text, Node& node)
    {
        must(tarn_dir_unlink(dir, name(text), &node.inode, tick()));
    }
    void rename(tarn_inode* from, const std::string& old_name, tarn_inode* to, const std::string& new_name,
                Node& moved, Node* target = nullptr)
    {
        const tarn_rename what = {from,           name(old_name), to,
                                  name(new_name), &moved.inode,   target ? &target->inode : nullptr,
                                  tick(),         nullptr};
        must(tarn_dir_rename(&what));
    }
    // Nobody has it open any more; without links it is freed.
    static void close(std::unique_ptr<Node> node) { tarn_inode_close(&node->inode); }
    static void free(std::unique_ptr<Node> node) { tarn_inode_free(&node->inode); }

    std::unique_ptr<FakeFile> open_file(const std::string& text) { return fs->create(mm, text); }
    void write(FakeFile& to, u64 offset, u64 length)
    {
        to.now = tick();
        const std::string bytes(length, 'x');
        if (to.write(offset, bytes) != static_cast<long long>(length))
            throw std::runtime_error("a write is short");
    }
    void truncate(FakeFile& of, u64 size)
    {
        of.now = tick();
        must(of.truncate(size));
    }
    // As fsync(2): what is dirty, then the times.
    void fsync(FakeFile& of)
    {
        must(of.sync());
        tarn_attributes attributes;
        tarn_inode_attributes(of.inode(), &attributes);
        attributes.times.modify = attributes.times.change = now;
        must(tarn_inode_write_times(of.inode(), &attributes.times));
    }

    static constexpr u64 kBlocks = 65536;  // 256 MiB

    TestDevice device;
    FakeMm mm;
    std::unique_ptr<FakeFs> fs;
    CostMeter meter;
    tarn_time now{1700000000, 0};
};

}  // namespace tarn::test
