// SPDX-License-Identifier: GPL-2.0
// What is on a device before mkfs: other file systems, partition tables, RAID members (libblkid), and tarnfs
// itself.
#pragma once
#include <string>

#include "tools/target.hpp"

namespace tarn::tools {

// "an ext4 file system labelled 'data'", or empty when nothing is recognised.
std::string recognise(const Target& target);
// Erases what libblkid recognises, wherever on the device it is: a RAID or ZFS label at the end would outlive
// mkfs and confuse everybody who looks for file systems.
void erase_signatures(Target& target);

}  // namespace tarn::tools
