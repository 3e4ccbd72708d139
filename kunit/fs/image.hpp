// SPDX-License-Identifier: GPL-2.0
// Image: a small file system in the kernel's own memory, for KUnit. "Power cut" here means reopening without closing.
#pragma once
#include "fs/filesystem.hpp"
#include "fs/media/format.hpp"
#include "kunit/kunit.hpp"

namespace tarn::kunit {

class Image {
  public:
    static constexpr u64 kBlocks = 4096;  // 16 MiB

    // Formats and opens; false: no memory, or format or open failed.
    bool start()
    {
        auto memory = Array<byte>::create(kBlocks * kBlockSize);
        if (!memory.is_ok())
            return false;
        memory_ = memory.take();
        device_.base = reinterpret_cast<unsigned char*>(memory_.data());
        device_.blocks = kBlocks;
        device_.class_ = TARN_DEVICE_SYNC;
        device_.write_back = 1;
        __builtin_strcpy(device_.name, "kunit");
        Media media(device_);
        FormatOptions options;
        options.journals = 2;
        options.uuid[0] = 0x7a;
        auto layout = format(media, options, FormatProgress{});
        return layout.is_ok() && open();
    }
    // As after a power cut: the old object closes nothing, because it believes the device to be gone.
    bool reopen()
    {
        fs_->volume().shut_down(Error::kShutDown);
        fs_.reset();
        return open();
    }

    FileSystem& fs() { return *fs_; }
    Volume& volume() { return fs_->volume(); }
    byte* block(DeviceBlock at) { return memory_.data() + at.value * kBlockSize; }
    u64 word(DeviceBlock at, u32 index) { return reinterpret_cast<u64*>(block(at))[index]; }

  private:
    bool open()
    {
        auto fs = FileSystem::open(device_, Volume::Access::kReadWrite);
        if (!fs.is_ok())
            return false;
        fs_ = fs.take();
        return true;
    }

    Array<byte> memory_;
    tarn_device device_ = {};
    Box<FileSystem> fs_;
};

}  // namespace tarn::kunit
