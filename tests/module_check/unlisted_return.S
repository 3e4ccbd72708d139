// SPDX-License-Identifier: GPL-2.0
// A return through the thunk that is not in the table of places to patch.
// expect: returns
#include "good.inc"
FUNCTION tarn_return
	jmp __x86_return_thunk
END tarn_return
