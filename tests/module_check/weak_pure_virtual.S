// SPDX-License-Identifier: GPL-2.0
// Refers weakly to the handler of pure virtual calls: links, and jumps to zero when called.
// expect: runtime
#include "good.inc"
	.weak __cxa_pure_virtual
	.section .rodata
	.quad __cxa_pure_virtual
