// SPDX-License-Identifier: GPL-2.0
// Computes with x87.
// expect: fpu
#include "good.inc"
FUNCTION tarn_compute
	fld1
	fstpl (%rdi)
	RETURN
END tarn_compute
