// SPDX-License-Identifier: GPL-2.0
// A function whose unwind information ends before a call in it.
// expect: orc
#include "good.inc"
FUNCTION tarn_gap
	nop
	ORC 0
	call memcpy
	RETURN
END tarn_gap
