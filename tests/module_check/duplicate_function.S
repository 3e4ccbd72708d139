// SPDX-License-Identifier: GPL-2.0
// One inline function from two translation units: this object is linked with a copy of itself.
// link: twice
// expect: duplicates
#include "good.inc"
FUNCTION _ZN4tarn6inlineEv
	RETURN
END _ZN4tarn6inlineEv
