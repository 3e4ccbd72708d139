// SPDX-License-Identifier: GPL-2.0
// A call through the retpoline that is not in the table of places to patch.
// expect: returns
#include "good.inc"
FUNCTION tarn_call
	call __x86_indirect_thunk_rax
	RETURN
END tarn_call
