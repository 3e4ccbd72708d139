/* SPDX-License-Identifier: GPL-2.0 */
/* Which x86-64 instructions matter to persistent memory. */
#ifndef TARN_DECODE_H
#define TARN_DECODE_H

#include <stddef.h>
#include <stdint.h>

enum instruction_kind {
	INSTRUCTION_OTHER,
	INSTRUCTION_STREAM, /* a store past the cache */
	INSTRUCTION_WRITE_BACK,
	INSTRUCTION_FENCE,
	INSTRUCTION_CALL,
	INSTRUCTION_PUSH,
	INSTRUCTION_MARK,
};

struct instruction {
	enum instruction_kind kind;
	/* Of a write-back: the address is that of this register (as the processor numbers them) plus
	 * displacement. Negative: it is formed in another way. */
	int base;
	int64_t displacement;
	uint32_t mark;
};

struct instruction decode(const uint8_t *bytes, size_t size);

#endif
