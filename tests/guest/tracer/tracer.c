// SPDX-License-Identifier: GPL-2.0
/*
 * tracer.so, a plugin for QEMU's emulation of x86-64: writes down every store to an NVDIMM, every write-back
 * of a line of it, and every fence (trace.h). For scripts/guest --plugin tracer.so,memory=FILE,trace=FILE,
 * where `memory` is the file behind the NVDIMM.
 *
 * What was stored is read from that file right after the store. So with one processor the trace is exact.
 * With several, each one's events are in order and its fences are its own; but a store may be recorded with
 * what another processor has stored over it since, and two that race may be recorded in either order.
 *
 * The kernel uses an NVDIMM at one run of virtual addresses (its direct map); the beacon says which. User
 * programs have other addresses: for those the emulator is asked. Write-backs by user programs are not seen.
 *
 * The address of a write-back is in a register. The emulator has that at hand only where a translation block
 * begins; the kernel's loop over lines (clean_cache_range) begins one at each line. A write-back elsewhere
 * ends the emulator with a message, once there is a trace to spoil.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "decode.h"
#include "qemu.h"
#include "trace.h"

#define LINE		  64
#define STACK_POINTER	  4
#define KNOWN_WRITE_BACKS 256

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_INTERFACE;

struct write_back {
	uint64_t address;
	struct instruction instruction;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const uint8_t *memory; /* what the NVDIMM holds */
static uint64_t memory_size;
static bool located;
static uint64_t kernel_base, physical_base; /* of the NVDIMM, once located */
static FILE *trace;
static const char *trace_path;

static void die(const char *what, uint64_t address)
{
	fprintf(stderr, "tracer: %s (%" PRIx64 ")\n", what, address);
	abort();
}

static uint64_t register_of(unsigned int vcpu, int number)
{
	/* The debugger's order of rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi; the others are where one expects
	 * them. */
	static const int debugger[8] = { 0, 2, 3, 1, 7, 6, 4, 5 };
	static struct byte_array *bytes;
	uint64_t value = 0;

	if (!bytes)
		bytes = g_byte_array_new();
	g_byte_array_set_size(bytes, 0);
	if (x86_cpu_gdb_read_register(qemu_get_cpu((int)vcpu), bytes,
				      number < 8 ? debugger[number] : number) == 8)
		memcpy(&value, bytes->data, sizeof value);
	return value;
}

static void record(enum trace_kind kind, unsigned int vcpu, uint32_t site, uint64_t offset, uint64_t size,
		   uint64_t data)
{
	struct trace_event event = { .kind = (uint8_t)kind,
				     .vcpu = (uint8_t)vcpu,
				     .size = (uint8_t)size,
				     .site = site,
				     .offset = offset,
				     .data = data };

	if (fwrite(&event, sizeof event, 1, trace) != 1)
		die("cannot write the trace", offset);
}

static uint64_t physical(qemu_plugin_meminfo_t info, uint64_t address)
{
	struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, address);

	return where && !qemu_plugin_hwaddr_is_io(where) ? qemu_plugin_hwaddr_phys_addr(where) : ~0ull;
}

/* Whether this store was the beacon's, and so says where the NVDIMM is. */
static bool locate(qemu_plugin_meminfo_t info, uint64_t address)
{
	uint64_t word = __atomic_load_n((const uint64_t *)(memory + TRACE_BEACON_OFFSET), __ATOMIC_ACQUIRE);

	if (word != TRACE_BEACON)
		return false;
	if (address >> 63 == 0 || address % LINE != 0)
		die("the beacon was not stored as one word by the kernel", address);
	kernel_base = address - TRACE_BEACON_OFFSET;
	physical_base = physical(info, address) - TRACE_BEACON_OFFSET;
	located = true;
	return true;
}

/* Of a store, from the NVDIMM's start; at least its size when it is elsewhere. */
static uint64_t offset_of(qemu_plugin_meminfo_t info, uint64_t address)
{
	if (address >> 63)
		return address - kernel_base;
	return physical(info, address) - physical_base;
}

/* Looking for it again for each word of a long copy would take most of the time. */
static uint32_t streaming_site(unsigned int vcpu, uint64_t at)
{
	static uint64_t known_count, known_at;
	static uint32_t known;

	if (known_count != calls_count() || known_at != at) {
		known_count = calls_count();
		known_at = at;
		known = calls_site(at, register_of(vcpu, STACK_POINTER));
	}
	return known;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* `caller` is the address of an instruction that stores past the cache, and null for others. */
static void on_store(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *caller)
{
	uint64_t size = 1ull << qemu_plugin_mem_size_shift(info), part;

	if (!located && (!memory || !locate(info, address)))
		return;
	if (address >> 63 && address - kernel_base >= memory_size)
		return;
	pthread_mutex_lock(&lock);
	/* No part crosses a line; the next page may be elsewhere. */
	for (uint64_t done = 0; done < size; done += part) {
		uint64_t at = offset_of(info, address + done), data = 0;

		part = least(size - done, least(sizeof data, LINE - (address + done) % LINE));
		if (at >= memory_size)
			continue;
		memcpy(&data, memory + at, part);
		record(caller ? TRACE_STREAM : TRACE_STORE, vcpu,
		       caller ? streaming_site(vcpu, (uint64_t)(uintptr_t)caller) : 0, at, part, data);
	}
	pthread_mutex_unlock(&lock);
}

/* The return address that a call in a module has stored. */
static void on_call(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *caller)
{
	(void)vcpu, (void)info;
	pthread_mutex_lock(&lock);
	calls_enter(address, (uint64_t)(uintptr_t)caller);
	pthread_mutex_unlock(&lock);
}

static void on_write_back(unsigned int vcpu, void *context)
{
	const struct write_back *it = context;
	uint64_t offset;

	if (!located)
		return;
	pthread_mutex_lock(&lock);
	offset = register_of(vcpu, it->instruction.base) + (uint64_t)it->instruction.displacement -
		 kernel_base;
	if (offset < memory_size)
		record(TRACE_WRITE_BACK, vcpu, calls_site(it->address, register_of(vcpu, STACK_POINTER)),
		       offset / LINE * LINE, LINE, 0);
	pthread_mutex_unlock(&lock);
}

static void on_unknown_write_back(unsigned int vcpu, void *address)
{
	(void)vcpu;
	if (located)
		die("a write-back whose line is not known", (uint64_t)(uintptr_t)address);
}

static void on_fence(unsigned int vcpu, void *address)
{
	if (!located)
		return;
	pthread_mutex_lock(&lock);
	record(TRACE_FENCE, vcpu, calls_site((uint64_t)(uintptr_t)address, register_of(vcpu, STACK_POINTER)),
	       0, 0, 0);
	pthread_mutex_unlock(&lock);
}

static void on_mark(unsigned int vcpu, void *number)
{
	if (!located)
		return;
	pthread_mutex_lock(&lock);
	record(TRACE_MARK, vcpu, 0, 0, 0, (uint64_t)(uintptr_t)number);
	pthread_mutex_unlock(&lock);
}

/* One that lives for ever: blocks are translated again and again, but few instructions write back. */
static struct write_back *keep(struct instruction instruction, uint64_t address)
{
	static struct write_back kept[KNOWN_WRITE_BACKS];
	static size_t count;
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < count; i++)
		if (kept[i].address == address)
			break;
	if (i == KNOWN_WRITE_BACKS)
		die("too many instructions that write back", address);
	kept[i] = (struct write_back){ address, instruction };
	count = i == count ? i + 1 : count;
	pthread_mutex_unlock(&lock);
	return &kept[i];
}

static void watch(struct qemu_plugin_insn *insn, size_t index)
{
	struct instruction instruction = decode(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
	uint64_t address = qemu_plugin_insn_vaddr(insn);
	void *at = (void *)(uintptr_t)address;

	switch (instruction.kind) {
	case INSTRUCTION_WRITE_BACK:
		if (address >> 63 == 0)
			break;
		if (index == 0 && instruction.base >= 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_write_back, QEMU_PLUGIN_CB_NO_REGS,
							       keep(instruction, address));
		else
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_unknown_write_back,
							       QEMU_PLUGIN_CB_NO_REGS, at);
		break;
	case INSTRUCTION_FENCE:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_fence, QEMU_PLUGIN_CB_NO_REGS, at);
		break;
	case INSTRUCTION_MARK:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS,
						       (void *)(uintptr_t)instruction.mark);
		break;
	case INSTRUCTION_CALL:
		if (address >= MODULES_BEGIN)
			qemu_plugin_register_vcpu_mem_cb(insn, on_call, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_W, at);
		break;
	case INSTRUCTION_PUSH:
		break;
	case INSTRUCTION_STREAM:
	case INSTRUCTION_OTHER:
		qemu_plugin_register_vcpu_mem_cb(insn, on_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
						 instruction.kind == INSTRUCTION_STREAM ? at : NULL);
		break;
	}
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		watch(qemu_plugin_tb_get_insn(tb, i), i);
}

static void on_end(qemu_plugin_id_t id, void *context)
{
	char path[4096];

	(void)id, (void)context;
	pthread_mutex_lock(&lock);
	if (fclose(trace) != 0)
		die("cannot write the trace", 0);
	snprintf(path, sizeof path, "%s.sites", trace_path);
	calls_save(path);
	located = false;
	memory = NULL;
	pthread_mutex_unlock(&lock);
}

static bool map_memory(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *at;

	if (fd < 0 || fstat(fd, &status) != 0)
		return false;
	at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return false;
	memory = at;
	memory_size = (uint64_t)status.st_size;
	return memory_size > TRACE_BEACON_OFFSET;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	const char *memory_path = NULL;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "memory=", 7) == 0)
			memory_path = strdup(argv[i] + 7);
		else if (strncmp(argv[i], "trace=", 6) == 0)
			trace_path = strdup(argv[i] + 6);
	}
	if (!memory_path || !trace_path || strcmp(info->target_name, "x86_64") != 0) {
		fprintf(stderr, "tracer: wants memory=FILE and trace=FILE, and an x86-64 guest\n");
		return -1;
	}
	trace = fopen(trace_path, "w");
	if (!trace || !map_memory(memory_path)) {
		fprintf(stderr, "tracer: cannot use %s or %s\n", memory_path, trace_path);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
