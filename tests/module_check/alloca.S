// SPDX-License-Identifier: GPL-2.0
// A frame whose size is an argument.
// expect: frames
#include "good.inc"
FUNCTION tarn_dynamic
	push %rbp
	mov %rsp, %rbp
	sub %rdi, %rsp
	leave
	RETURN
END tarn_dynamic
