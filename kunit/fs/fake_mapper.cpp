// SPDX-License-Identifier: GPL-2.0
// FakeMapper, behind the C functions that the core calls; and user memory, which no case here uses.
#include "kunit/fs/fake_mapper.hpp"

#include "fs/file_core.h"
#include "fs/trace.h"

using tarn::kunit::FakeMapper;

extern "C" {

int tarn_mapper_install(tarn_fault*, unsigned long long block, unsigned long long count,
                        unsigned long long pfn, tarn_protection protection)
{
    for (unsigned long long i = 0; i < count; i++) {
        FakeMapper::Pte& pte = FakeMapper::current->pte(block + i);
        if (pte.present && pte.pfn != pfn + i)
            return -117;  // EUCLEAN
        pte = {pfn + i, true, pte.writable || protection == TARN_MAP_WRITE, false};
    }
    return 0;
}

int tarn_mapper_install_zero(tarn_fault*, unsigned long long block, unsigned long long count)
{
    for (unsigned long long i = 0; i < count; i++) {
        FakeMapper::Pte& pte = FakeMapper::current->pte(block + i);
        if (!pte.present)
            pte = {0, true, false, true};
    }
    return 0;
}

void tarn_mapper_zap(tarn_inode*, unsigned long long block, unsigned long long count)
{
    for (unsigned long long i = 0; i < count && block + i < FakeMapper::kBlocks; i++)
        FakeMapper::current->pte(block + i) = {};
}

// No case has faults of 2 MiB.
int tarn_mapper_install_huge(tarn_fault*, unsigned long long, tarn_protection) { return -117; }
int tarn_mapper_install_huge_zero(tarn_fault*) { return -117; }

// Nor has any a private mapping.
void tarn_mapper_lend(tarn_fault*, unsigned long long) {}
void tarn_mapper_lend_zero(tarn_fault*) {}

int tarn_mapper_is_pinned(unsigned long long pfn, unsigned long long count)
{
    return FakeMapper::current->pinned - pfn < count;
}
void tarn_mapper_attach(tarn_inode*, unsigned long long, unsigned long long, unsigned long long) {}
void tarn_mapper_detach(tarn_inode*, unsigned long long, unsigned long long) {}
void tarn_mapper_mark_dirty(tarn_inode*) { FakeMapper::current->marked_dirty = true; }
void tarn_mapper_mark_clean(tarn_inode*) { FakeMapper::current->marked_dirty = false; }
// Nobody traces.
void tarn_trace_write_back(tarn_inode*, unsigned long long, unsigned long long, unsigned long long, int) {}
void tarn_trace_split(tarn_inode*, unsigned long long, unsigned long long) {}

tarn_size_t tarn_user_copy_in(const tarn_device*, tarn_user*, void*, tarn_size_t) { return 0; }
tarn_size_t tarn_user_copy_out(tarn_user*, const void*, tarn_size_t) { return 0; }
tarn_size_t tarn_user_zero_out(tarn_user*, tarn_size_t) { return 0; }

}  // extern "C"
