/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libstdc++'s <bits/os_defines.h> asks the C library's <features.h> which glibc it has. In the kernel there is none:
 * this file answers so. Only the kernel build and scripts/thread-safety have this folder on their include path.
 */
#ifndef TARN_FREESTANDING_FEATURES_H
#define TARN_FREESTANDING_FEATURES_H

#define __GLIBC_PREREQ(major, minor) 0

#endif
