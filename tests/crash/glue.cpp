// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/glue.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fs/file_core.h"
#include "fs/trace.h"

using namespace tarn;
using namespace tarn::crash;

// A page leaves a mapping by truncation (Mount zaps) or write-back, behind which a store faults again: Mount
// faults before each store, so that zapping need not find the mapping.
extern "C" {

int tarn_mapper_install(tarn_fault* fault, unsigned long long block, unsigned long long count,
                        unsigned long long pfn, tarn_protection protection)
{
    for (u64 i = 0; protection == TARN_MAP_WRITE && i < count; i++)
        fault->pages->install(block + i, pfn + i);
    return 0;
}
int tarn_mapper_install_zero(tarn_fault*, unsigned long long, unsigned long long) { return 0; }
void tarn_mapper_zap(tarn_inode*, unsigned long long, unsigned long long) {}
// No workload has faults of 2 MiB.
int tarn_mapper_install_huge(tarn_fault*, unsigned long long, tarn_protection) { return -EUCLEAN; }
int tarn_mapper_install_huge_zero(tarn_fault*) { return -EUCLEAN; }
void tarn_mapper_lend(tarn_fault*, unsigned long long) {}
void tarn_mapper_lend_zero(tarn_fault*) {}
int tarn_mapper_is_pinned(unsigned long long, unsigned long long) { return 0; }
void tarn_mapper_attach(tarn_inode*, unsigned long long, unsigned long long, unsigned long long) {}
void tarn_mapper_detach(tarn_inode*, unsigned long long, unsigned long long) {}
void tarn_mapper_mark_dirty(tarn_inode*) {}
void tarn_mapper_mark_clean(tarn_inode*) {}
// Nobody traces.
void tarn_trace_write_back(tarn_inode*, unsigned long long, unsigned long long, unsigned long long, int) {}
void tarn_trace_split(tarn_inode*, unsigned long long, unsigned long long) {}

tarn_size_t tarn_user_copy_in(const tarn_device* device, tarn_user* from, void* media, tarn_size_t length)
{
    const u64 copied = std::min<u64>({length, from->length - from->position, from->piece});
    const char* source = from->data + from->position;
    // As in the kernel: a copy that stops early has stored its last bytes through the cache.
    const u64 streamed = copied == length ? copied : round_down(copied, kLineSize);
    if (streamed)
        tarn_persist_copy(device, media, source, streamed);
    std::memcpy(static_cast<char*>(media) + streamed, source + streamed, copied - streamed);
    from->position += copied;
    return copied;
}

tarn_size_t tarn_user_copy_out(tarn_user* to, const void* media, tarn_size_t length)
{
    const u64 copied = std::min<u64>(length, to->length - to->position);
    std::memcpy(to->data + to->position, media, copied);
    to->position += copied;
    return copied;
}

tarn_size_t tarn_user_zero_out(tarn_user* to, tarn_size_t length)
{
    const u64 copied = std::min<u64>(length, to->length - to->position);
    std::memset(to->data + to->position, 0, copied);
    to->position += copied;
    return copied;
}

}  // extern "C"
