// SPDX-License-Identifier: GPL-2.0
// What is asked of a mounted file system, by ioctl (include/tarnfs/ioctl.h).
#pragma once
#include <string>

namespace tarn::tools {

// Prints the label of what is mounted there, or changes it.
void label(const std::string& mount_point, const std::string* wanted);

// Makes it as large as its device is, or as wanted (parse_size).
void grow(const std::string& mount_point, const std::string* wanted);

}  // namespace tarn::tools
