// SPDX-License-Identifier: GPL-2.0
/*
 * Decoding just enough: prefixes, opcode, and the address of a write-back.
 *
 * A locked instruction also makes earlier clwb and clflushopt wait, and clflush alone is ordered with stores.
 * Neither counts here as a fence: the modules promise sfence, and what relies on less should be seen.
 */
#include <string.h>

#include "decode.h"
#include "mark.h"

struct cursor {
	const uint8_t *at, *end;
	uint8_t rex;
	int operand_size, repeat; /* prefixes 66, f2/f3 */
};

static void skip_prefixes(struct cursor *c)
{
	for (; c->at < c->end; c->at++) {
		switch (*c->at) {
		case 0x66:
			c->operand_size = 1;
			break;
		case 0xf2:
		case 0xf3:
			c->repeat = 1;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0x67:
		case 0xf0:
			break;
		default:
			if ((*c->at & 0xf0) != 0x40)
				return;
			c->rex = *c->at;
		}
	}
}

/* Memory operands of the form displacement(%register) only. */
static void decode_address(const struct cursor *c, uint8_t modrm, struct instruction *result)
{
	unsigned int mode = modrm >> 6, base = modrm & 7;
	int32_t wide;

	result->base = -1;
	if (base == 4 || (mode == 0 && base == 5))
		return;
	if (mode == 1)
		result->displacement = (int8_t)c->at[0];
	if (mode == 2) {
		memcpy(&wide, c->at, sizeof wide);
		result->displacement = wide;
	}
	result->base = (int)(base | (c->rex & 1) << 3);
}

/* 0f ae: fences, and write-backs of a line. */
static void decode_0fae(struct cursor *c, struct instruction *result)
{
	uint8_t modrm = *c->at++;
	unsigned int reg = modrm >> 3 & 7;

	if (modrm >> 6 == 3) {
		if (reg >= 6 && !c->operand_size && !c->repeat)
			result->kind = INSTRUCTION_FENCE;
	} else if ((reg == 7 || (reg == 6 && c->operand_size)) && !c->repeat) {
		result->kind = INSTRUCTION_WRITE_BACK;
		decode_address(c, modrm, result);
	}
}

static void decode_0f(struct cursor *c, struct instruction *result)
{
	switch (*c->at++) {
	case 0x2b: /* movntps, movntpd */
	case 0xc3: /* movnti */
	case 0xe7: /* movntq, movntdq */
		result->kind = INSTRUCTION_STREAM;
		break;
	case 0xae:
		if (c->at < c->end)
			decode_0fae(c, result);
		break;
	}
}

/* Two- and three-byte VEX forms: vmovntps, vmovntpd and vmovntdq. */
static int is_vex_stream(const struct cursor *c)
{
	size_t left = (size_t)(c->end - c->at);
	uint8_t opcode = 0;

	if (left >= 4 && c->at[0] == 0xc5)
		opcode = c->at[2];
	else if (left >= 5 && c->at[0] == 0xc4 && (c->at[1] & 0x1f) == 1)
		opcode = c->at[3];
	return opcode == 0x2b || opcode == 0xe7;
}

static int is_call(const struct cursor *c)
{
	if (c->end - c->at < 2)
		return 0;
	return c->at[0] == 0xe8 || (c->at[0] == 0xff && (c->at[1] >> 3 & 7) == 2);
}

static int is_mark(const uint8_t *bytes, size_t size)
{
	return size == 8 && bytes[0] == 0x0f && bytes[1] == 0x1f && bytes[2] == 0x84 && bytes[3] == 0 &&
	       (bytes[6] | bytes[7] << 8) == MARK_MAGIC;
}

struct instruction decode(const uint8_t *bytes, size_t size)
{
	struct instruction result = { .kind = INSTRUCTION_OTHER, .base = -1 };
	struct cursor c = { .at = bytes, .end = bytes + size };

	if (is_mark(bytes, size)) {
		result.kind = INSTRUCTION_MARK;
		result.mark = (uint32_t)(bytes[4] | bytes[5] << 8);
		return result;
	}
	skip_prefixes(&c);
	if (c.end - c.at >= 2 && *c.at == 0x0f) {
		c.at++;
		decode_0f(&c, &result);
	} else if (is_vex_stream(&c)) {
		result.kind = INSTRUCTION_STREAM;
	} else if (is_call(&c)) {
		result.kind = INSTRUCTION_CALL;
	} else if (c.at < c.end && (*c.at & 0xf8) == 0x50) {
		result.kind = INSTRUCTION_PUSH;
	}
	return result;
}
