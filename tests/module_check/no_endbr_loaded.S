// SPDX-License-Identifier: GPL-2.0
// A function whose address is loaded by code, without ENDBR.
// expect: endbr
#include "good.inc"
	.type tarn_operation, @function
tarn_operation:
	ORC
	nop
	RETURN
END tarn_operation
FUNCTION tarn_register
	mov $tarn_operation, %rdi
	RETURN
END tarn_register
