// SPDX-License-Identifier: GPL-2.0
// What operations cost: fences, lines written back and bytes, told from the persist calls they make; and a
// table of that, each row with its budget.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "fs/media/layout.hpp"
#include "tests/host/support/device.hpp"

namespace tarn::test {

struct Cost {
    u64 fences = 0;
    u64 lines = 0;    // written back
    u64 journal = 0;  // bytes stored past the cache into a journal
    u64 data = 0;     // bytes stored past the cache elsewhere
    // What reaches the media.
    u64 bytes() const { return journal + data + lines * kLineSize; }

    u64 twice = 0;      // lines written back once more before the next fence
    u64 rewritten = 0;  // bytes zeroed, and then written
    u64 slots = 0;      // journal slots written: the journals were retired meanwhile

    // The larger of each.
    void raise(const Cost& other);
};

// Watches a device and says what happened on it since it was last asked. The host's counters have to agree.
class CostMeter {
  public:
    CostMeter(TestDevice& device, const Layout& layout);
    ~CostMeter();
    CostMeter(const CostMeter&) = delete;
    CostMeter& operator=(const CostMeter&) = delete;

    Cost take();

  private:
    // What has happened to a line since the last fence (written back) or since the last take (zeroed),
    // sorted.
    struct Range {
        u64 from, to;
    };
    static int on_event(void* context, const host::Event& event);
    void note(const host::Event& event);
    void store(const host::Event& event);
    void write_back(u64 from, u64 to);
    void compare_with_counters();

    TestDevice& device_;
    const Layout layout_;
    Cost cost_;
    std::vector<u64> written_back_;  // lines, since the last fence
    std::vector<Range> zeroed_;
    u64 fences_ = 0, lines_ = 0, journal_ = 0, streamed_ = 0;  // of the counters when last compared
};

// Collects the samples of one operation.
class CostRow {
  public:
    // The operation has a budget of that name.
    explicit CostRow(std::string name) : name_(std::move(name)) {}
    ~CostRow();  // prints the row, and holds it against its budget
    CostRow(const CostRow&) = delete;
    CostRow& operator=(const CostRow&) = delete;

    // One operation. Those that had to retire the journals are left to a row of their own.
    void add(const Cost& cost);
    void add_retiring(const Cost& cost);
    static void print_heading();

  private:
    Cost median() const;
    void compare(const Cost& middle, u64 most_bytes) const;

    std::string name_;
    std::vector<Cost> samples_;
    Cost most_;
};

}  // namespace tarn::test
