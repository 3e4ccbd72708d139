// SPDX-License-Identifier: GPL-2.0
// The older form of the same.
// expect: constructors
#include "good.inc"
FUNCTION tarn_construct
	RETURN
END tarn_construct
	.section .ctors, "aw"
	.quad tarn_construct
