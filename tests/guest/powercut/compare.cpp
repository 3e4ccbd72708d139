// SPDX-License-Identifier: GPL-2.0
//
// The comparison of a directory with a model: see compare.hpp.

#include "compare.hpp"

#include <set>
#include <stdexcept>

namespace powercut {

namespace {

[[noreturn]] void differ(const std::string& path, const std::string& what)
{
    throw std::runtime_error(path + ": " + what);
}

}  // namespace

std::string Comparison::difference()
{
    std::vector<std::pair<NodeId, std::string>> directories = {{0, ""}};
    try {
        while (!directories.empty()) {
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
    } catch (const std::runtime_error& problem) {
        return view_.root() + problem.what();
    }
    return "";
}

void Comparison::compare_directory(NodeId id, const std::string& path)
{
    std::set<std::string> wanted, found;
    for (const Entry* entry : model_.children(id))
        wanted.insert(entry->name);
    for (const std::string& name : view_.list(path)) {
        if (!found.insert(name).second)
            differ(path, "lists '" + name + "' twice");
    }
    for (const std::string& name : wanted) {
        if (!found.contains(name))
            differ(path, "lacks '" + name + "'");
    }
    for (const std::string& name : found) {
        if (!wanted.contains(name))
            differ(path, "has '" + name + "', which should not be there");
    }
}

void Comparison::compare_node(NodeId id, const std::string& path)
{
    const Node& node = model_.node(id);
    const View::Status status = view_.status(path);
    mode_t type = node.kind == Kind::File ? S_IFREG : node.kind == Kind::Directory ? S_IFDIR : S_IFLNK;
    if ((status.mode & S_IFMT) != type)
        differ(path, "is of another type");
    if ((status.mode & 07777) != node.mode)
        differ(path,
               "has mode " + std::to_string(status.mode & 07777) + ", not " + std::to_string(node.mode));
    if (status.links != model_.link_count(id))
        differ(path, "has " + std::to_string(status.links) + " links, not " +
                         std::to_string(model_.link_count(id)));
    if (node.kind != Kind::Symlink)
        compare_xattrs(id, path);
    if (node.kind == Kind::File)
        compare_data(id, path, status.size);
    else if (node.kind == Kind::Symlink && view_.target(path) != node.data)
        differ(path, "points elsewhere");
}

void Comparison::compare_xattrs(NodeId id, const std::string& path)
{
    const auto& wanted = model_.node(id).xattrs;
    for (const char* name : kXattrs) {
        const std::optional<Bytes> found = view_.xattr(path, name);
        const auto it = wanted.find(name);
        if (found.has_value() != (it != wanted.end()))
            differ(path, std::string(found ? "has " : "lacks ") + name);
        if (found && *found != it->second)
            differ(path, std::string("has another value of ") + name);
    }
}

void Comparison::compare_data(NodeId id, const std::string& path, uint64_t size)
{
    const Bytes& old = model_.node(id).data;
    uint64_t most =
        is_partial(id) ? std::max<uint64_t>(old.size(), partial_->offset + partial_->length) : old.size();
    if (size < old.size() || size > most)
        differ(path, "has " + std::to_string(size) + " bytes, not " + std::to_string(old.size()));
    const Bytes bytes = view_.contents(path);
    if (bytes.size() != size)
        differ(path, "reads short");
    if (bytes == old)
        return;
    // A size is believed only when all that was written below it is there.
    const bool all_new = is_partial(id) && size > old.size() &&
                         (partial_->action == Action::Write || partial_->action == Action::Append);
    for (uint64_t i = 0; i < size; i++) {
        const uint8_t before = i < old.size() ? old[i] : 0;
        const bool is_changed =
            is_partial(id) && i >= partial_->offset && i < partial_->offset + partial_->length;
        const bool is_new = is_changed && bytes[i] == new_byte(*partial_, i);
        if (!is_new && (bytes[i] != before || (is_changed && all_new)))
            differ(path, "byte " + std::to_string(i) + " of " + std::to_string(size) + " is " +
                             std::to_string(bytes[i]) + ", not " + std::to_string(before));
    }
}

Verdict judge(const Model& model, const Operation& pending, const std::string& description, View& view)
{
    std::string before = Comparison(model, view, nullptr).difference();
    if (before.empty())
        return {};
    Model after_model = model;
    after_model.apply(pending);
    std::string after = Comparison(after_model, view, nullptr).difference();
    if (after.empty())
        return {"", true};
    if (changes_data(pending.action) && Comparison(model, view, &pending).difference().empty())
        return {};
    return {"with " + description + " under way:\n  if it had not happened: " + before +
                "\n  if it had: " + after,
            false};
}

}  // namespace powercut
