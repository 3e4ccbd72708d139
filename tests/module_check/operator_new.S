// SPDX-License-Identifier: GPL-2.0
// Calls operator new.
// expect: runtime
#include "good.inc"
FUNCTION tarn_allocate
	call _Znwm
	RETURN
END tarn_allocate
