// SPDX-License-Identifier: GPL-2.0
/* cxxrt on Linux: memory. Allocations never re-enter the file system through reclaim. */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "cxxrt/runtime.h"

void *tarn_memory_alloc(tarn_size_t size)
{
	return kzalloc(size, GFP_NOFS);
}

void *tarn_memory_alloc_large(tarn_size_t size)
{
	unsigned int state = memalloc_nofs_save();
	void *memory = kvzalloc(size, GFP_KERNEL);

	memalloc_nofs_restore(state);
	return memory;
}

void *tarn_memory_alloc_atomic(tarn_size_t size)
{
	return kzalloc(size, GFP_ATOMIC | __GFP_NOWARN);
}

void tarn_memory_free(void *memory)
{
	kvfree(memory);
}

unsigned int tarn_nofs_begin(void)
{
	return memalloc_nofs_save();
}

void tarn_nofs_end(unsigned int state)
{
	memalloc_nofs_restore(state);
}
