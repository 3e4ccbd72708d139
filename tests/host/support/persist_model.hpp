// SPDX-License-Identifier: GPL-2.0
// PersistModel: what of a test device would survive a power cut now.
//
// A line is durable as it was when it was last written back (or stored non-temporally) by a processor that
// has fenced since. A fence says nothing about the lines of other processors. Everything stored since may be
// there or not, word by word: a cache may write a line back at any time, and the device tears between words
// of 8 bytes, never inside one.
//
// For one thread, which plays processor 0, and others by host::pretend_cpu: were it told which one it really runs on, it
// would lose what it had sent whenever it is moved to another.
#pragma once
#include <map>
#include <random>
#include <vector>

#include "tests/host/support/device.hpp"

namespace tarn::test {

class PersistModel {
  public:
    // Everything on the device counts as durable now. Called at every fence, before it completes, is
    // `at_fence`.
    PersistModel(TestDevice& device, void (*at_fence)(void* context), void* context);
    ~PersistModel();
    PersistModel(const PersistModel&) = delete;
    PersistModel& operator=(const PersistModel&) = delete;

    // What the device would hold if every line since its last fence were lost ...
    const std::vector<std::byte>& least() const { return durable_; }
    // ... if none were ...
    std::vector<std::byte> most() const { return device_.image(); }
    // ... or some words of them.
    std::vector<std::byte> some(std::mt19937_64& random) const;

    // Back to `base`, which was all of the device once, durable, and nothing under way. Costs what has
    // changed: stores that were never written back must have been told by touch().
    void reset(const std::vector<std::byte>& base);
    void touch(u64 block);

  private:
    struct Sent {
        u64 offset;                    // whole lines of one block
        u64 order;                     // of sending, over all processors
        std::vector<std::byte> bytes;  // when they were sent
    };
    static int on_event(void* context, const host::Event& event);
    void send(u64 offset, u64 length);
    void send_lines(u64 offset, u64 length);
    void arrive();

    TestDevice& device_;
    void (*at_fence_)(void* context);
    void* context_;
    std::vector<std::byte> durable_;
    std::map<unsigned, std::vector<Sent>> in_flight_;  // by processor
    std::vector<u32> flying_;                          // by block: how many of them
    std::vector<u64> arrived_;                         // by line: the order of what is durable
    std::vector<u64> touched_;                         // blocks that may differ from what they were at first
    std::vector<bool> is_touched_;
    u64 order_ = 0;
};

}  // namespace tarn::test
