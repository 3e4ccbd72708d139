// SPDX-License-Identifier: GPL-2.0
//
// powercut's operations and models on a real file system.
#pragma once

#include "model.hpp"

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

// Compares a directory with a model. `partial` is a data operation of which any part may have happened.
class Comparison {
  public:
    Comparison(const Model& model, std::string root, const Operation* partial)
        : model_(model), root_(std::move(root)), partial_(partial)
    {
    }

    // The first difference, or nothing.
    std::string difference()
    {
        std::vector<std::pair<NodeId, std::string>> directories = {{0, ""}};
        while (!directories.empty() && problem_.empty()) {
            auto [id, path] = directories.back();
            directories.pop_back();
            compare_directory(id, path);
            for (const Entry* entry : model_.children(id)) {
                std::string child = path + "/" + entry->name;
                compare_node(entry->node, child);
                if (model_.node(entry->node).kind == Kind::Directory)
                    directories.emplace_back(entry->node, child);
            }
        }
        return problem_;
    }

  private:
    void differ(const std::string& path, const std::string& what)
    {
        if (problem_.empty())
            problem_ = root_ + path + ": " + what;
    }
    void compare_directory(NodeId id, const std::string& path);
    void compare_node(NodeId id, const std::string& path);
    void compare_data(NodeId id, const std::string& path, uint64_t size);
    void compare_symlink(const Node& node, const std::string& path);
    bool is_partial(NodeId id) const { return partial_ && partial_->node == id; }

    const Model& model_;
    std::string root_;
    const Operation* partial_;
    std::string problem_;
};

}  // namespace powercut
