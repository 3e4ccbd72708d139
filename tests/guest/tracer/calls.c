// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "calls.h"

#define STACK_SHIFT 14 /* a kernel stack has 16 KiB, and is aligned so */
#define STACKS	    256
#define DEPTH	    64
#define CHAIN	    8
#define SITES	    8192

struct call {
	uint64_t slot, caller;
};

struct stack {
	uint64_t key;
	unsigned int depth;
	struct call calls[DEPTH];
};

struct site {
	uint64_t places[CHAIN]; /* the instruction, then the calls, innermost first; zeroes at the end */
};

static struct stack stacks[STACKS];
static struct site sites[SITES]; /* by hash; an empty one is free */
static uint64_t count;

static struct stack *stack_of(uint64_t address)
{
	return &stacks[(address >> STACK_SHIFT) % STACKS];
}

void calls_enter(uint64_t slot, uint64_t caller)
{
	struct stack *stack = stack_of(slot);

	count++;
	if (stack->key != slot >> STACK_SHIFT) {
		stack->key = slot >> STACK_SHIFT;
		stack->depth = 0;
	}
	while (stack->depth && stack->calls[stack->depth - 1].slot <= slot)
		stack->depth--;
	if (stack->depth < DEPTH)
		stack->calls[stack->depth++] = (struct call){ slot, caller };
}

static uint32_t number_of(const struct site *wanted)
{
	uint64_t hash = 0;
	uint32_t at, tried;

	for (int i = 0; i < CHAIN; i++)
		hash = (hash ^ wanted->places[i]) * 0x9e3779b97f4a7c15;
	at = (uint32_t)(hash >> 40) % SITES;
	for (tried = 0; tried < SITES; tried++, at = (at + 1) % SITES) {
		if (!sites[at].places[0])
			sites[at] = *wanted;
		if (memcmp(&sites[at], wanted, sizeof *wanted) == 0)
			return at + 1;
	}
	return 0;
}

uint32_t calls_site(uint64_t instruction, uint64_t stack_pointer)
{
	const struct stack *stack = stack_of(stack_pointer);
	struct site site = { { instruction } };
	int length = 1;

	if (stack->key != stack_pointer >> STACK_SHIFT)
		return number_of(&site);
	for (unsigned int i = stack->depth; i-- > 0 && length < CHAIN;)
		if (stack->calls[i].slot >= stack_pointer)
			site.places[length++] = stack->calls[i].caller;
	return number_of(&site);
}

uint64_t calls_count(void)
{
	return count;
}

void calls_save(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return;
	for (uint32_t i = 0; i < SITES; i++) {
		if (!sites[i].places[0])
			continue;
		fprintf(file, "%u", i + 1);
		for (int k = 0; k < CHAIN && sites[i].places[k]; k++)
			fprintf(file, " %" PRIx64, sites[i].places[k]);
		fputc('\n', file);
	}
	fclose(file);
}
