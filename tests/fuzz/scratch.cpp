// SPDX-License-Identifier: GPL-2.0
#include "tests/fuzz/scratch.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

namespace tarn::test {

Scratch::Scratch(const std::vector<std::byte>& image)
    : device_(image.size() / kBlockSize), image_(memfd_create("image", MFD_CLOEXEC))
{
    const auto size = static_cast<ssize_t>(image.size());
    if (image_ < 0 || write(image_, image.data(), image.size()) != size)
        throw std::runtime_error("no memory for an image");
    reset();
}

Scratch::~Scratch() { close(image_); }

void Scratch::reset()
{
    if (mmap(device_.bytes(), device_.blocks() * kBlockSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
             image_, 0) == MAP_FAILED)
        throw std::runtime_error("cannot map an image");
    device_.set_read_only(0);
}

void Scratch::forbid_stores() { mprotect(device_.bytes(), device_.blocks() * kBlockSize, PROT_READ); }
void Scratch::allow_stores()
{
    mprotect(device_.bytes(), device_.blocks() * kBlockSize, PROT_READ | PROT_WRITE);
}

}  // namespace tarn::test
