// SPDX-License-Identifier: GPL-2.0
// A plain return.
// expect: returns
#include "good.inc"
FUNCTION tarn_return
	ret
END tarn_return
