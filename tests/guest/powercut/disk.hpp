// SPDX-License-Identifier: GPL-2.0
//
// powercut's operations and models on a real file system.
#pragma once

#include "compare.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace powercut {

// A file descriptor that is closed in the end.
class Fd {
  public:
    Fd(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
    ~Fd()
    {
        if (fd_ >= 0)
            close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

// Does operations below a directory. Each returns whether it worked; errno says why not.
class Hands {
  public:
    explicit Hands(std::string root) : root_(std::move(root)) {}
    ~Hands() { keep_open(-1); }
    Hands(const Hands&) = delete;
    Hands& operator=(const Hands&) = delete;

    bool execute(const Operation& op);

  private:
    bool write(const Operation& op);
    bool map(const Operation& op);
    bool allocate(const Operation& op, int mode);
    bool unlink_open(const Operation& op);
    bool make_nameless(const Operation& op);
    bool set_xattr(const Operation& op);
    bool sync();

    // An unlinked file stays open until the next one: it must not survive a power cut.
    void keep_open(int fd)
    {
        if (kept_ >= 0)
            close(kept_);
        kept_ = fd;
    }

    std::string root_;
    int kept_ = -1;
};

class DiskView : public View {
  public:
    explicit DiskView(std::string root) : root_(std::move(root)) {}

    std::string root() const override { return root_; }
    std::vector<std::string> list(const std::string& path) override;
    Status status(const std::string& path) override;
    Bytes contents(const std::string& path) override;
    Bytes target(const std::string& path) override;
    std::optional<Bytes> xattr(const std::string& path, const std::string& name) override;

  private:
    [[noreturn]] void cannot(const std::string& path, const std::string& what) const;

    std::string root_;
};

}  // namespace powercut
