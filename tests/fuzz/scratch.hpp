// SPDX-License-Identifier: GPL-2.0
// Scratch: a test device that is an image again after each use, at the cost of the pages that were touched.
#pragma once
#include <vector>

#include "tests/host/support/device.hpp"

namespace tarn::test {

class Scratch {
  public:
    explicit Scratch(const std::vector<std::byte>& image);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    TestDevice& device() { return device_; }
    // The image, writable.
    void reset();
    // Whoever stores from now on dies of it.
    void forbid_stores();
    void allow_stores();

  private:
    TestDevice device_;
    int image_;  // a memory file, mapped privately over the device's memory
};

}  // namespace tarn::test
