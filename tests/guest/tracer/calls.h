/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which calls in the modules led to where a processor is: a shadow of the return addresses on the kernel's
 * stacks.
 *
 * Returns are not followed. Instead each call says where on the stack it put its return address, and what
 * lies below the stack pointer has returned. A call that has returned, and whose place nothing has taken, can
 * only show at the outer end of a chain.
 */
#ifndef TARN_CALLS_H
#define TARN_CALLS_H

#include <stdint.h>

/* Kernel modules live above this address. */
#define MODULES_BEGIN 0xffffffffc0000000ull

/* The call at `caller` has put its return address at `slot`. */
void calls_enter(uint64_t slot, uint64_t caller);
/* The number of a place: this instruction, in this chain of calls, which the stack pointer tells. 0: no more
 * numbers. */
uint32_t calls_site(uint64_t instruction, uint64_t stack_pointer);
/* Changes with each calls_enter. */
uint64_t calls_count(void);
/* Writes a line for each number given out. */
void calls_save(const char *path);

#endif
