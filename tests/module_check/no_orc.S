// SPDX-License-Identifier: GPL-2.0
// A function that the unwinder knows nothing about.
// expect: orc
#include "good.inc"
	.type tarn_lost, @function
tarn_lost:
	endbr64
	nop
	RETURN
END tarn_lost
