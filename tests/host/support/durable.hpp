// SPDX-License-Identifier: GPL-2.0
// DurableImage: what of a TestDevice would survive a power cut that loses everything not fenced.
//
// It follows the persist calls of one thread: a non-temporal store or a write-back puts the lines on their way with
// the contents they have at that moment, a fence completes them. A line never written back keeps its old contents.
#pragma once
#include <map>
#include <vector>

#include "tests/host/support/device.hpp"

namespace tarn::test {

class DurableImage {
  public:
    // Begins with the device as it is now and watches it until destroyed.
    explicit DurableImage(TestDevice& device) : device_(device), durable_(device.image())
    {
        inner_ = device.backing().observer;
        device.backing().observer = {this, on_event};
    }
    ~DurableImage() { device_.backing().observer = inner_; }
    DurableImage(const DurableImage&) = delete;
    DurableImage& operator=(const DurableImage&) = delete;

    const std::vector<std::byte>& bytes() const { return durable_; }
    u64 fences() const { return fences_; }
    // Remembers the image as it is just before the `nth` fence from now completes (1 is the next).
    void remember_before_fence(u64 nth) { remember_at_ = fences_ + nth; }
    const std::vector<std::byte>& remembered() const { return remembered_; }

  private:
    using Line = std::vector<std::byte>;

    static int on_event(void* context, const host::Event& event)
    {
        auto& self = *static_cast<DurableImage*>(context);
        self.note(event);
        return self.inner_.event ? self.inner_.event(self.inner_.context, event) : 0;
    }

    void note(const host::Event& event)
    {
        using Kind = host::Event::Kind;
        if (event.kind == Kind::kFence) {
            if (++fences_ == remember_at_)
                remembered_ = durable_;
            for (auto& [offset, line] : in_flight_)
                std::copy(line.begin(), line.end(), durable_.begin() + static_cast<long>(offset));
            in_flight_.clear();
        } else {
            const u64 end = event.offset + event.length;
            for (u64 at = round_down(event.offset, kLineSize); at < end; at += kLineSize)
                in_flight_[at] = Line(device_.bytes() + at, device_.bytes() + at + kLineSize);
        }
    }

    TestDevice& device_;
    host::Observer inner_;
    std::vector<std::byte> durable_;
    std::vector<std::byte> remembered_;
    std::map<u64, Line> in_flight_;
    u64 fences_ = 0;
    u64 remember_at_ = 0;
};

}  // namespace tarn::test
