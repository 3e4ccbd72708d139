// SPDX-License-Identifier: GPL-2.0
// A faultless object: no check may complain.
#include "good.inc"
FUNCTION _ZN4tarn5innerEv
	sub $0x100, %rsp
	movnti %rax, (%rsp)
	add $0x100, %rsp
	RETURN
END _ZN4tarn5innerEv

	.globl tarn_outer
FUNCTION tarn_outer
	push %rbx
	call _ZN4tarn5innerEv
	call memcpy
	call *pv_ops + 8(%rip)
1:	call __x86_indirect_thunk_rax
	.pushsection .retpoline_sites, "a"
	.long 1b - .
	.popsection
	mov $tarn_outer, %rdi
	lea tarn_outer(%rip), %rdi
	pop %rbx
	RETURN
END tarn_outer

	.section .rodata
	.quad tarn_outer
