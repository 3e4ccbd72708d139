// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/volume.hpp"

#include <stdexcept>

namespace tarn::test {

namespace {

[[noreturn]] void fail(const char* what, Error error)
{
    throw std::runtime_error(std::string(what) + ": " + describe(error));
}

}  // namespace

FormatOptions test_format_options()
{
    FormatOptions options;
    for (u8 i = 0; i < 16; i++)
        options.uuid[i] = static_cast<u8>(0xa0 + i);
    options.label = "test";
    options.journals = 2;
    options.hash_seed[0] = 0x0706050403020100;
    options.hash_seed[1] = 0x0f0e0d0c0b0a0908;
    options.created = 1700000000;
    return options;
}

Layout format_device(TestDevice& device, const FormatOptions& options)
{
    Media media(device.device());
    auto layout = format(media, options, FormatProgress{});
    if (!layout)
        fail("format", layout.error());
    return layout.take();
}

LogCapture::LogCapture() { host::set_log_sink(sink, this); }
LogCapture::~LogCapture() { host::set_log_sink(nullptr, nullptr); }

std::string LogCapture::text() const
{
    std::lock_guard guard(lock_);
    return text_;
}

void LogCapture::sink(void* context, tarn_log_level, const char* line)
{
    auto* self = static_cast<LogCapture*>(context);
    std::lock_guard guard(self->lock_);
    self->text_.append(line).append("\n");
}

TestVolume::TestVolume(u64 blocks, const FormatOptions& options) : device_(blocks)
{
    format_device(device_, options);
    open();
}

TestVolume::TestVolume(const std::vector<std::byte>& image) : device_(image) { open(); }

TestVolume::~TestVolume()
{
    if (volume_)
        close();
}

bool TestVolume::close()
{
    bool closed = volume_->close().is_ok();
    volume_.reset();
    return closed;
}

void TestVolume::open(Volume::Access access)
{
    Layout layout;
    {
        Media media(device_.device());
        auto read = read_layout(media);
        if (!read)
            fail("read_layout", read.error());
        layout = read.take();
    }
    auto volume = std::make_unique<Volume>(device_.device(), layout);
    Status opened = volume->open(access);
    if (!opened)
        fail("open", opened.error());
    volume_ = std::move(volume);
}

}  // namespace tarn::test
