// SPDX-License-Identifier: GPL-2.0
// A plain indirect call.
// expect: returns
#include "good.inc"
FUNCTION tarn_call
	call *%rax
	RETURN
END tarn_call
