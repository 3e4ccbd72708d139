// SPDX-License-Identifier: GPL-2.0
// A function in a table of pointers without ENDBR.
// expect: endbr
#include "good.inc"
	.type tarn_operation, @function
tarn_operation:
	ORC
	nop
	RETURN
END tarn_operation
	.section .rodata
	.quad tarn_operation
