/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks that a program leaves in the trace: an instruction that does nothing and carries a number. Costs
 * nothing where nobody traces.
 */
#ifndef TARN_MARK_H
#define TARN_MARK_H

#define MARK_MAGIC   0x7a52 /* the upper half of the displacement of nopl DISPLACEMENT(%rax,%rax,1) */
#define MARK_BEGIN   0x100  /* work begins */
#define MARK_WORKERS 4	    /* a lower number: that worker has seen one more operation return */

#if defined(__x86_64__)
#define LEAVE_MARK(number)                                                                                   \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .short %c0; .short %c1" ::"i"(number),               \
			 "i"(MARK_MAGIC)                                                                     \
			 : "memory")
#else
#define LEAVE_MARK(number) ((void)(number))
#endif

#endif
