// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/device.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace tarn::test {

TestDevice::TestDevice(u64 blocks, tarn_device_class device_class)
{
    void* memory = mmap(nullptr, blocks * kBlockSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("no memory for a test device");
    backing_.observer = {this, on_event, [](void* self, u64 block) {
                             return static_cast<TestDevice*>(self)->is_pinned(block);
                         }};
    device_.base = static_cast<unsigned char*>(memory);
    device_.blocks = blocks;
    device_.class_ = device_class;
    device_.write_back = 1;
    device_.first_pfn = 0x100000;
    device_.handle = &backing_;
}

TestDevice::TestDevice(const std::vector<std::byte>& image) : TestDevice(image.size() / kBlockSize)
{
    restore(image);
}

TestDevice::~TestDevice() { munmap(device_.base, device_.blocks * kBlockSize); }

std::vector<std::byte> TestDevice::image() const
{
    auto* first = reinterpret_cast<const std::byte*>(device_.base);
    return std::vector<std::byte>(first, first + device_.blocks * kBlockSize);
}

void TestDevice::restore(const std::vector<std::byte>& image)
{
    if (image.size() != device_.blocks * kBlockSize)
        throw std::runtime_error("image of another size");
    std::memcpy(device_.base, image.data(), image.size());
}

void TestDevice::pin(u64 block)
{
    std::lock_guard guard(pins_lock_);
    pins_.insert(block);
}

void TestDevice::unpin(u64 block)
{
    std::lock_guard guard(pins_lock_);
    pins_.erase(pins_.find(block));
}

bool TestDevice::is_pinned(u64 block) const
{
    std::lock_guard guard(pins_lock_);
    return pins_.count(block) != 0;
}

int TestDevice::on_event(void* context, const host::Event& event)
{
    auto* self = static_cast<TestDevice*>(context);
    if (self->observer_.event)
        if (int error = self->observer_.event(self->observer_.context, event))
            return error;
    if (event.kind != host::Event::Kind::kFence)
        return 0;
    u64 left = self->fences_until_failure_.load_relaxed();
    if (left == 0)
        return 0;
    if (left == 1)
        return -EIO;
    self->fences_until_failure_.store_relaxed(left - 1);
    return 0;
}

}  // namespace tarn::test
