/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tracer.so uses of the emulator, declared here because Debian packages no header for it.
 *
 * The first part is QEMU's plugin interface, version 1. It has no way to read a register, and without one
 * nobody knows which line a clwb writes back. So the second part takes two functions of QEMU's own, which its
 * binary exports for its modules; where they are not, the plugin does not load. Registers are right at the
 * first instruction of a translation block and may be older at others: see tracer.c.
 */
#ifndef TARN_QEMU_H
#define TARN_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT	 __attribute__((visibility("default")))
#define PLUGIN_INTERFACE 1

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

typedef struct {
	const char *target_name;
	struct {
		int min, cur;
	} version;
	bool system_emulation;
	union {
		struct {
			int smp_vcpus, max_vcpus;
		} system;
	};
} qemu_info_t;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };

typedef void (*tb_callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*end_callback)(qemu_plugin_id_t id, void *context);
typedef void (*insn_callback)(unsigned int vcpu, void *context);
typedef void (*mem_callback)(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *context);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_callback callback);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, end_callback callback, void *context);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, insn_callback callback,
					    enum qemu_plugin_cb_flags flags, void *context);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_callback callback,
				      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw which,
				      void *context);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

/* QEMU's own. The register is appended to the array: eight bytes. */
struct byte_array {
	uint8_t *data;
	unsigned int length;
};
struct CPUState;
struct CPUState *qemu_get_cpu(int index);
int x86_cpu_gdb_read_register(struct CPUState *cpu, struct byte_array *into, int number);
/* GLib's, which QEMU is linked with. */
struct byte_array *g_byte_array_new(void);
struct byte_array *g_byte_array_set_size(struct byte_array *array, unsigned int length);

#endif
