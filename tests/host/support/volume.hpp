// SPDX-License-Identifier: GPL-2.0
// A formatted device with an open Volume on it, and the log lines that come up.
#pragma once
#include <memory>
#include <mutex>
#include <string>

#include "fs/media/format.hpp"
#include "fs/txn/volume.hpp"
#include "tests/host/support/device.hpp"

namespace tarn::test {

// Format options that give the same image each time: fixed UUID, seed and time, two journals.
FormatOptions test_format_options();

// Formats the device; throws when that fails.
Layout format_device(TestDevice& device, const FormatOptions& options = test_format_options());

// Collects what tarn_log says while it lives (it would go to standard error otherwise).
class LogCapture {
  public:
    LogCapture();
    ~LogCapture();
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;

    std::string text() const;
    bool contains(const std::string& words) const { return text().find(words) != std::string::npos; }

  private:
    static void sink(void* context, tarn_log_level level, const char* line);
    mutable std::mutex lock_;
    std::string text_;
};

inline constexpr u64 kTestBlocks = 4096;  // 16 MiB

// A device with an open, writable Volume. Closed (if open) by the destructor.
class TestVolume {
  public:
    // Formats a device of its own.
    explicit TestVolume(u64 blocks = kTestBlocks, const FormatOptions& options = test_format_options());
    // Opens a copy of an image.
    explicit TestVolume(const std::vector<std::byte>& image);
    ~TestVolume();

    TestDevice& device() { return device_; }
    Volume& volume() { return *volume_; }
    Volume* operator->() { return volume_.get(); }
    const Layout& layout() const { return volume_->layout(); }

    // Drops the Volume as a power cut would, nothing retired.
    void abandon() { volume_.reset(); }
    // Closes the Volume in order; true if that went well.
    bool close();
    // Opens it again (recovers); throws when that fails. The Volume must be closed or abandoned.
    void open(Volume::Access access = Volume::Access::kReadWrite);
    void reopen()
    {
        close();
        open();
    }

  private:
    TestDevice device_;
    std::unique_ptr<Volume> volume_;
};

}  // namespace tarn::test
