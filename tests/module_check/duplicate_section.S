// SPDX-License-Identifier: GPL-2.0
// Two sections for one inline function, as COMDAT copies that were not folded leave them.
// expect: duplicates
#include "good.inc"
	.section .text._ZN4tarn6inlineEv, "ax", @progbits, unique, 1
FUNCTION tarn_first
	RETURN
END tarn_first
	.section .text._ZN4tarn6inlineEv, "ax", @progbits, unique, 2
FUNCTION tarn_second
	RETURN
END tarn_second
