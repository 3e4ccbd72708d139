// SPDX-License-Identifier: GPL-2.0
// Host backend: memory. calloc, so that AddressSanitizer watches every object on its own.
#include <cstdlib>
#include <cstring>

#include "cxxrt/host/debug.hpp"
#include "cxxrt/host/host.hpp"

namespace tarn::host {

namespace {

constinit Atomic<u64> live{0};

bool should_fail()
{
    long& left = this_thread().allocations_until_failure;
    return left >= 0 && left-- == 0;
}

void* allocate(tarn_size_t size)
{
    if (should_fail())
        return nullptr;
    void* memory = nullptr;
    if (size < kBlockSize) {
        memory = std::calloc(1, size ? size : 1);
    } else if (size <= SIZE_MAX / 2) {
        memory = std::aligned_alloc(kBlockSize, round_up(size, kBlockSize));
        if (memory)
            std::memset(memory, 0, size);
    }
    if (memory)
        live.fetch_add(1);
    return memory;
}

}  // namespace

void fail_allocation_after(long countdown) { this_thread().allocations_until_failure = countdown; }
u64 live_allocations() { return live.load_relaxed(); }
unsigned nofs_depth() { return this_thread().nofs; }

}  // namespace tarn::host

using namespace tarn::host;

extern "C" {

void* tarn_memory_alloc(tarn_size_t size)
{
    may_sleep("tarn_memory_alloc");
    return allocate(size);
}

void* tarn_memory_alloc_large(tarn_size_t size)
{
    may_sleep("tarn_memory_alloc_large");
    return allocate(size);
}

void* tarn_memory_alloc_atomic(tarn_size_t size) { return allocate(size); }

void tarn_memory_free(void* memory)
{
    if (!memory)
        return;
    live.fetch_sub(1);
    std::free(memory);
}

unsigned int tarn_nofs_begin(void) { return this_thread().nofs++; }

void tarn_nofs_end(unsigned int state)
{
    if (state + 1 != this_thread().nofs)
        tarn_bug(__FILE__, __LINE__, "NOFS scopes end in the order they began in");
    this_thread().nofs = state;
}

}  // extern "C"
