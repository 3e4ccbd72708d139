// SPDX-License-Identifier: GPL-2.0
// A frame of 2064 bytes, 16 of them pushed.
// expect: frames
#include "good.inc"
FUNCTION tarn_large
	push %rbx
	push %rbp
	sub $0x800, %rsp
	add $0x800, %rsp
	pop %rbp
	pop %rbx
	RETURN
END tarn_large
