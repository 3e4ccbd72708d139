// SPDX-License-Identifier: GPL-2.0
//
// What a power cut has left, compared with a model.
#pragma once

#include "model.hpp"

namespace powercut {

// A worker's directory as it is found, by whatever means: paths begin with a slash, "" is the directory
// itself. What cannot be had is a std::runtime_error that says why.
class View {
  public:
    virtual ~View() = default;

    struct Status {
        mode_t mode;  // with the type
        uint64_t links;
        uint64_t size;
    };
    virtual std::string root() const = 0;                                // for messages
    virtual std::vector<std::string> list(const std::string& path) = 0;  // without "." and ".."
    virtual Status status(const std::string& path) = 0;
    virtual Bytes contents(const std::string& path) = 0;
    virtual Bytes target(const std::string& path) = 0;
    // An extended attribute's value, or nothing.
    virtual std::optional<Bytes> xattr(const std::string& path, const std::string& name) = 0;
};

// `partial` is a data operation of which any part may have happened.
class Comparison {
  public:
    Comparison(const Model& model, View& view, const Operation* partial)
        : model_(model), view_(view), partial_(partial)
    {
    }

    // The first difference, or nothing.
    std::string difference();

  private:
    void compare_directory(NodeId id, const std::string& path);
    void compare_node(NodeId id, const std::string& path);
    void compare_xattrs(NodeId id, const std::string& path);
    void compare_data(NodeId id, const std::string& path, uint64_t size);
    bool is_partial(NodeId id) const { return partial_ && partial_->node == id; }

    const Model& model_;
    View& view_;
    const Operation* partial_;
};

struct Verdict {
    std::string problem;    // empty: nothing acknowledged is lost, nothing else is there
    bool happened = false;  // the operation under way did
};
// `pending` was under way, or about to be, when the power went.
Verdict judge(const Model& model, const Operation& pending, const std::string& description, View& view);

}  // namespace powercut
