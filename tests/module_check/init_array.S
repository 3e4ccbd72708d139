// SPDX-License-Identifier: GPL-2.0
// A static object with a constructor that would have to run at load time.
// expect: constructors
#include "good.inc"
FUNCTION tarn_construct
	RETURN
END tarn_construct
	.section .init_array, "aw"
	.quad tarn_construct
