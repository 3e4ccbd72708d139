// SPDX-License-Identifier: GPL-2.0
// Divides 128-bit numbers with a function of libgcc.
// expect: runtime
#include "good.inc"
FUNCTION tarn_divide
	call __udivti3
	RETURN
END tarn_divide
