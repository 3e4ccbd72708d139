// SPDX-License-Identifier: GPL-2.0
// Exports a symbol that is not tarn_*.
// expect: namespace
#include "good.inc"
	.section ___ksymtab_gpl+read_super, "a"
__ksymtab_read_super:
	.long 0
