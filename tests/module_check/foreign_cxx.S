// SPDX-License-Identifier: GPL-2.0
// A global C++ function outside the namespace.
// expect: namespace
#include "good.inc"
	.globl _ZN3foo4readEv
FUNCTION _ZN3foo4readEv
	RETURN
END _ZN3foo4readEv
