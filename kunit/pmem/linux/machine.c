// SPDX-License-Identifier: GPL-2.0
/* The machine below the pmem core in KUnit: see kunit/pmem/machine.h. */
#include <linux/badblocks.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "kunit/pmem/machine.h"

struct tarn_kunit_machine *tarn_kunit_machine_create(unsigned long pages, unsigned long long claimed)
{
	struct tarn_kunit_machine *machine = kzalloc(sizeof(*machine), GFP_KERNEL);
	struct badblocks *list = kzalloc(sizeof(*list), GFP_KERNEL);
	void *memory = vzalloc(pages * PAGE_SIZE);

	if (!machine || !list || !memory || badblocks_init(list, 1)) {
		kfree(machine);
		kfree(list);
		vfree(memory);
		return NULL;
	}
	machine->list = list;
	machine->clear_limit = ~0ull;
	machine->blocked_page = -1;
	machine->disk.memory.base = memory;
	machine->disk.memory.blocks = claimed;
	machine->disk.memory.first_pfn = 0x100000;
	machine->disk.media = machine;
	machine->disk.poison_errno = -EHWPOISON;
	return machine;
}

void tarn_kunit_machine_destroy(struct tarn_kunit_machine *machine)
{
	badblocks_exit(machine->list);
	kfree(machine->list);
	vfree(machine->disk.memory.base);
	kfree(machine);
}

int tarn_media_first_bad(void *media, unsigned long long sector, unsigned long long sectors,
			 unsigned long long *first, unsigned long long *count)
{
	struct tarn_kunit_machine *machine = media;
	sector_t bad_first;
	int bad_count;

	if (!badblocks_check(machine->list, sector, min(sectors, 1ull << 30), &bad_first, &bad_count))
		return 0;
	*first = bad_first;
	*count = bad_count;
	return 1;
}

void tarn_media_add_bad(void *media, unsigned long long sector, unsigned long long sectors)
{
	badblocks_set(((struct tarn_kunit_machine *)media)->list, sector, sectors, 1);
}

void tarn_media_forget_bad(void *media, unsigned long long sector, unsigned long long sectors)
{
	badblocks_clear(((struct tarn_kunit_machine *)media)->list, sector, sectors);
}

long long tarn_media_clear_poison(void *media, unsigned long long offset, unsigned long long length)
{
	struct tarn_kunit_machine *machine = media;

	machine->clears++;
	return machine->clear_error ? machine->clear_error : min(length, machine->clear_limit);
}

int tarn_media_is_blocked(void *media, unsigned long long page, unsigned long long pages)
{
	long long blocked = ((struct tarn_kunit_machine *)media)->blocked_page;

	return blocked >= 0 && blocked >= page && blocked - page < pages;
}

void tarn_media_unblock(void *media, unsigned long long page, unsigned long long pages)
{
	struct tarn_kunit_machine *machine = media;

	if (!tarn_media_is_blocked(media, page, pages))
		return;
	machine->unblocks++;
	machine->blocked_page = -1;
}

tarn_size_t tarn_media_load(void *media, void *target, const void *source, tarn_size_t length)
{
	memcpy(target, source, length);
	return 0;
}

int tarn_media_flush(void *media)
{
	return 0;
}

void tarn_media_pause(void *media)
{
	((struct tarn_kunit_machine *)media)->pauses++;
	cond_resched();
}
