// SPDX-License-Identifier: GPL-2.0
// What `tarnfs inspect` and `tarnfs stats` print, each to standard output.
#pragma once
#include "tools/image.hpp"

namespace tarn::tools {

// As it is, even when nothing else of the file system can be looked at.
void show_superblock(const std::string& path);
void show_journals(Image& image);
void show_inode(Image& image, u64 number);
void show_tree(Image& image, u64 number);
void show_directory(Image& image, const std::string& path);
void show_bitmaps(Image& image);
void show_statistics(Image& image);

}  // namespace tarn::tools
