// SPDX-License-Identifier: GPL-2.0
// Moves data through an SSE register.
// expect: fpu
#include "good.inc"
FUNCTION tarn_copy
	movdqu (%rsi), %xmm0
	movdqu %xmm0, (%rdi)
	RETURN
END tarn_copy
