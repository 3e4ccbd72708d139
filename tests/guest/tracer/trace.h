/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace of what a guest did to its NVDIMM: tracer.so writes it, replay reads it. C and C++.
 *
 * A file of struct trace_event, in the order in which things happened. Beside it lies TRACE.sites with a line
 * for each site: its number, its address, then those of the calls in modules that led there, innermost first.
 */
#ifndef TARN_TRACE_H
#define TARN_TRACE_H

#include <stdint.h>

/*
 * The guest shows where its NVDIMM is by storing this word at this offset of it: the second block, which
 * tarnfs leaves alone. That store is the trace's first event.
 */
#define TRACE_BEACON	    0x45434152544e5241ull /* "ARNTRACE" */
#define TRACE_BEACON_OFFSET 4096

enum trace_kind {
	TRACE_STORE = 1,  /* `size` bytes at `offset`; `data` is what is there now */
	TRACE_STREAM,	  /* the same, past the cache: on its way, but not there before a fence */
	TRACE_WRITE_BACK, /* clwb, clflushopt or clflush of the line at `offset` */
	TRACE_FENCE,	  /* sfence or mfence */
	TRACE_MARK,	  /* a program's mark, `data`: see mark.h */
};

struct trace_event {
	uint8_t kind;
	uint8_t vcpu;
	uint8_t size;
	uint8_t unused;
	uint32_t site; /* stores past the cache, write-backs and fences have one */
	uint64_t offset;
	uint64_t data;
};

#endif
