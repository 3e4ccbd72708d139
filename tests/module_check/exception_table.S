// SPDX-License-Identifier: GPL-2.0
// Tables for exceptions.
// expect: constructors
#include "good.inc"
	.section .gcc_except_table, "a"
	.long 0
