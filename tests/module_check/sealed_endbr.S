// SPDX-License-Identifier: GPL-2.0
// A function in a table of pointers whose ENDBR the kernel would remove.
// expect: endbr
#include "good.inc"
FUNCTION tarn_operation
	RETURN
END tarn_operation
	.section .rodata
	.quad tarn_operation
	.section .ibt_endbr_seal, "a"
	.long tarn_operation - .
