// SPDX-License-Identifier: GPL-2.0
// Clears AVX registers.
// expect: fpu
#include "good.inc"
FUNCTION tarn_clear
	vpxor %ymm1, %ymm1, %ymm1
	RETURN
END tarn_clear
