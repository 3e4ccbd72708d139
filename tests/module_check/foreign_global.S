// SPDX-License-Identifier: GPL-2.0
// A global function with a name that anyone could have chosen.
// expect: namespace
#include "good.inc"
	.globl read_super
FUNCTION read_super
	RETURN
END read_super
