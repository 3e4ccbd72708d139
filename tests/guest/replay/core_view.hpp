// SPDX-License-Identifier: GPL-2.0
//
// A worker's directory as the core sees it in a mounted file system.
#pragma once

#include <memory>

#include "../powercut/compare.hpp"
#include "fs/dir/namespace.hpp"
#include "fs/filesystem.hpp"

namespace replay {

class CoreView : public powercut::View {
  public:
    // `root` is a name in the file system's root directory.
    CoreView(tarn::FileSystem& fs, std::string root) : fs_(fs), root_(std::move(root)) {}

    std::string root() const override { return root_; }
    std::vector<std::string> list(const std::string& path) override;
    Status status(const std::string& path) override;
    powercut::Bytes contents(const std::string& path) override;
    powercut::Bytes target(const std::string& path) override;
    std::optional<powercut::Bytes> xattr(const std::string& path, const std::string& name) override;

  private:
    std::unique_ptr<tarn::Inode> open(const std::string& path);
    std::unique_ptr<tarn::Inode> open(tarn::InodeNumber number);
    tarn::Namespace names() { return tarn::Namespace(fs_); }

    tarn::FileSystem& fs_;
    std::string root_;
};

}  // namespace replay
