// SPDX-License-Identifier: GPL-2.0
// Pmem: persistent memory as a power cut sees it.
//
// A line is in one of three states. Dirty: stored by a processor, in its cache; it may reach the media at any
// time, or never. In flight: written back or stored non-temporally; it arrives with the next fence of the
// processor that sent it, with what it held when it was sent, and a fence of another processor does nothing
// for it. Durable. The media tears between aligned words of 8 bytes, never inside one.
//
// Three mappings: what the processors see (the device under test), what is durable, and a scratch device on
// which states are recovered: it equals the durable one but for the state being tried, so trying one costs
// the lines it changes.
//
// For one thread at a time, which plays several processors by host::pretend_cpu.
#pragma once
#include <array>
#include <functional>
#include <unordered_map>
#include <vector>

#include "cxxrt/host/host.hpp"
#include "cxxrt/types.hpp"

namespace tarn::crash {

using LineBytes = std::array<u64, kLineSize / kWordSize>;

// A line, and what it holds in some state.
struct Line {
    u64 number;
    LineBytes bytes;
};

// A line that a power cut may find otherwise than durable.
struct Pending {
    u64 number;
    LineBytes durable;
    std::vector<LineBytes> newer;  // at least one, oldest first
};

// A mapping and the blocks of it in which something may differ from what it was compared with last.
class Image {
  public:
    explicit Image(u64 blocks);
    ~Image();
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;

    std::byte* bytes() const { return bytes_; }
    u64 blocks() const { return blocks_; }
    LineBytes& line(u64 number) const { return *reinterpret_cast<LineBytes*>(bytes_ + number * kLineSize); }

    void touch(u64 block)
    {
        if (!is_touched_[block]) {
            is_touched_[block] = true;
            touched_.push_back(block);
        }
    }
    void touch_range(u64 offset, u64 length);
    const std::vector<u64>& touched() const { return touched_; }
    // Makes the touched blocks what they are in `other`, and forgets them.
    void restore(const Image& other);

  private:
    std::byte* bytes_;
    u64 blocks_;
    std::vector<u64> touched_;
    std::vector<bool> is_touched_;
};

class Pmem {
  public:
    // Everything is durable and as in `base`, which outlives this.
    explicit Pmem(const Image& base);
    Pmem(const Pmem&) = delete;
    Pmem& operator=(const Pmem&) = delete;

    // Back to the base, or to a state of another Pmem with the same base: everything is durable.
    void reset();
    void load(const Pmem& other, const std::vector<Line>& lines);
    // What is not durable is gone.
    void cut_power();

    const tarn_device& device() const { return device_; }
    // Stores that the core knows nothing of, as through a mapping: the line is dirty.
    void store(u64 offset, const void* bytes, u64 length);

    std::vector<Pending> pending() const;
    // Of the whole durable contents; equal for equal contents.
    u64 hash() const { return hash_; }
    static u64 hash_of(u64 number, const LineBytes& line);

    // The scratch device in the state in which `lines` hold what they say and everything else is durable.
    const tarn_device& enter(const std::vector<Line>& lines);
    // Undoes it, and all that was done to the device.
    void leave() { scratch_.restore(durable_); }
    // True when everything but pending() is durable, and the scratch device is as it should be: nothing has
    // been stored behind our back. Slow.
    bool is_exact() const;

    // Called before a fence completes, and at every persist call.
    std::function<void()> at_fence;
    std::function<void()> at_call;
    // For mutants: true when this persist call is to have no effect on what is durable.
    std::function<bool(const host::Event&)> is_dropped;
    // True when this fence is to fail: nothing arrives.
    std::function<bool()> is_failing;

  private:
    struct Sent {
        LineBytes bytes;
        u64 order;  // over all processors
    };
    static int on_event(void* context, const host::Event& event);
    static int on_scratch_event(void* context, const host::Event& event);
    void send(u64 offset, u64 length);
    void arrive();
    void set_durable(u64 number, const LineBytes& bytes);

    const Image& base_;
    Image cache_, durable_, scratch_;
    u64 base_hash_;
    u64 hash_;
    std::unordered_map<unsigned, std::unordered_map<u64, Sent>> in_flight_;  // by processor and line
    std::unordered_map<u64, u64> arrived_;  // by line: order of what is durable
    u64 order_ = 0;
    host::Backing backing_, scratch_backing_;
    tarn_device device_, scratch_device_;
};

}  // namespace tarn::crash
