// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/model.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tarn::crash {

constexpr u32 kDirectory = 0040000;

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Model::Model() { paths_[""] = std::make_shared<Node>(Node{.mode = kDirectory | 0755, .links = 2}); }

Model::Model(const Model& other) { *this = other; }

Model& Model::operator=(const Model& other)
{
    std::map<const Node*, Shared> copies;
    std::map<std::string, Shared> paths;
    for (const auto& [path, node] : other.paths_) {
        Shared& copy = copies[node.get()];
        if (!copy)
            copy = std::make_shared<Node>(*node);
        paths[path] = copy;
    }
    std::map<const Node*, std::map<u64, std::set<u64>>> unsynced;
    for (const auto& [node, words] : other.unsynced_)
        if (copies.count(node))
            unsynced[copies[node].get()] = words;
    label_ = other.label_;
    blocks_ = other.blocks_;
    paths_ = std::move(paths);
    unsynced_ = std::move(unsynced);
    return *this;
}

const Node* Model::find(const std::string& path) const
{
    auto found = paths_.find(path);
    return found == paths_.end() ? nullptr : found->second.get();
}

bool Model::is_directory(const std::string& path) const
{
    const Node* node = find(path);
    return node && (node->mode & 0170000) == kDirectory;
}

bool Model::is_empty(const std::string& directory) const
{
    auto next = paths_.upper_bound(directory + "/");
    return next == paths_.end() || next->first.compare(0, directory.size() + 1, directory + "/") != 0;
}

int Model::check_parent(const std::string& path) const
{
    if (!find(parent_of(path)))
        return -ENOENT;
    return is_directory(parent_of(path)) ? 0 : -ENOTDIR;
}

Node* Model::file(const std::string& path, int* error)
{
    auto found = paths_.find(path);
    *error = found == paths_.end() ? -ENOENT : !found->second->is_file() ? -EINVAL : 0;
    return *error ? nullptr : found->second.get();
}

void Model::count_subdirectory(const std::string& path, int by)
{
    paths_[parent_of(path)]->links += static_cast<u32>(by);
}

int Model::create(const std::string& path, u32 mode, const std::string& target, const Values& xattrs)
{
    if (int error = check_parent(path))
        return error;
    if (find(path))
        return -EEXIST;
    const bool directory = (mode & 0170000) == kDirectory;
    paths_[path] = std::make_shared<Node>(
        Node{.mode = mode, .links = directory ? 2u : 1u, .bytes = target, .xattrs = xattrs});
    if (directory)
        count_subdirectory(path, 1);
    return 0;
}

int Model::link(const std::string& from, const std::string& to)
{
    auto found = paths_.find(from);
    if (found == paths_.end())
        return -ENOENT;
    if (int error = check_parent(to))
        return error;
    if (find(to))
        return -EEXIST;
    if (is_directory(from))
        return -EPERM;
    found->second->links++;
    paths_[to] = found->second;
    return 0;
}

void Model::drop(const std::string& path)
{
    if (is_directory(path))
        count_subdirectory(path, -1);
    Node& node = *paths_[path];
    if (--node.links == 0)
        unsynced_.erase(&node);
    paths_.erase(path);
}

int Model::unlink(const std::string& path)
{
    if (!find(path))
        return -ENOENT;
    if (is_directory(path))
        return -EISDIR;
    drop(path);
    return 0;
}

int Model::rmdir(const std::string& path)
{
    if (!find(path))
        return -ENOENT;
    if (!is_directory(path))
        return -ENOTDIR;
    if (!is_empty(path))
        return -ENOTEMPTY;
    drop(path);
    return 0;
}

int Model::rename(const std::string& from, const std::string& to)
{
    if (!find(from))
        return -ENOENT;
    if (int error = check_parent(to))
        return error;
    if (is_directory(from) && to.compare(0, from.size() + 1, from + "/") == 0)
        return -EINVAL;
    if (from.compare(0, to.size() + 1, to + "/") == 0)
        return -ENOTEMPTY;
    if (find(to)) {
        if (find(from) == find(to))
            return 0;
        if (is_directory(from) != is_directory(to))
            return is_directory(from) ? -ENOTDIR : -EISDIR;
        if (is_directory(to) && !is_empty(to))
            return -ENOTEMPTY;
        drop(to);
    }
    if (is_directory(from)) {
        count_subdirectory(from, -1);
        count_subdirectory(to, 1);
    }
    paths_.merge(cut(from, to));
    return 0;
}

// Takes a path and what is below it out; how it is called elsewhere.
std::map<std::string, Model::Shared> Model::cut(const std::string& path, const std::string& renamed)
{
    std::map<std::string, Shared> taken;
    for (auto at = paths_.lower_bound(path); at != paths_.end();) {
        const bool below = at->first == path || at->first.compare(0, path.size() + 1, path + "/") == 0;
        if (below)
            taken[renamed + at->first.substr(path.size())] = at->second;
        at = below ? paths_.erase(at) : std::next(at);
    }
    return taken;
}

int Model::rename_leaving(const std::string& from, const std::string& to, u32 left)
{
    const bool same = find(from) && find(from) == find(to);
    const int error = rename(from, to);
    return error || same ? error : create(from, left);
}

int Model::exchange(const std::string& one, const std::string& other)
{
    if (!find(one) || !find(other))
        return -ENOENT;
    if (one.compare(0, other.size() + 1, other + "/") == 0 ||
        other.compare(0, one.size() + 1, one + "/") == 0)
        return -EINVAL;
    const int shift = is_directory(other) - is_directory(one);
    count_subdirectory(one, shift);
    count_subdirectory(other, -shift);
    auto first = cut(one, other), second = cut(other, one);
    paths_.merge(first);
    paths_.merge(second);
    return 0;
}

int Model::write(const std::string& path, u64 offset, const std::string& bytes)
{
    int error;
    Node* node = file(path, &error);
    if (!node)
        return error;
    if (node->bytes.size() < offset + bytes.size())
        node->bytes.resize(offset + bytes.size());
    node->bytes.replace(offset, bytes.size(), bytes);
    auto& unsynced = unsynced_[node];  // words written whole are new for good
    unsynced.erase(unsynced.lower_bound(round_up(offset, kWordSize)),
                   unsynced.lower_bound(round_down(offset + bytes.size(), kWordSize)));
    return 0;
}

int Model::truncate(const std::string& path, u64 size)
{
    int error;
    Node* node = file(path, &error);
    if (!node)
        return error;
    node->bytes.resize(size);
    auto& unsynced = unsynced_[node];
    unsynced.erase(unsynced.lower_bound(round_down(size, kWordSize)), unsynced.end());
    return 0;
}

// What clearing makes zero is durable, and so is the rest of a word it makes zero in part: that line is
// written back.
int Model::fallocate(const std::string& path, const Allocation& what)
{
    int error;
    Node* node = file(path, &error);
    if (!node)
        return error;
    if (!what.keeps_size && node->bytes.size() < what.end())
        node->bytes.resize(what.end());
    const u64 end = std::min<u64>(what.end(), node->bytes.size());
    if (!what.clears() || what.offset >= end)
        return 0;
    node->bytes.replace(what.offset, end - what.offset, end - what.offset, '\0');
    auto& unsynced = unsynced_[node];
    unsynced.erase(unsynced.lower_bound(round_down(what.offset, kWordSize)), unsynced.lower_bound(end));
    return 0;
}

// What was stored from there on is durable.
int Model::shift(const std::string& path, const Allocation& what)
{
    int error;
    Node* node = file(path, &error);
    if (!node)
        return error;
    if (what.kind == Allocation::Kind::kInsert ? what.offset >= node->bytes.size()
                                               : what.end() >= node->bytes.size())
        return -EINVAL;
    if (what.kind == Allocation::Kind::kInsert)
        node->bytes.insert(what.offset, what.length, '\0');
    else
        node->bytes.erase(what.offset, what.length);
    auto& unsynced = unsynced_[node];
    unsynced.erase(unsynced.lower_bound(what.offset), unsynced.end());
    return 0;
}

int Model::set_attributes(const std::string& path, u32 mode, u32 uid)
{
    auto found = paths_.find(path);
    if (found == paths_.end())
        return -ENOENT;
    found->second->mode = (found->second->mode & 0170000) | mode;
    found->second->uid = uid;
    return 0;
}

int Model::set_flags(const std::string& path, u32 flags, u32 project)
{
    auto found = paths_.find(path);
    if (found == paths_.end())
        return -ENOENT;
    found->second->flags = flags;
    found->second->project = project;
    return 0;
}

int Model::set_xattr(const std::string& path, const std::string& name, const std::string& value, u32 mode)
{
    auto found = paths_.find(path);
    if (found == paths_.end())
        return -ENOENT;
    found->second->xattrs[name] = value;
    if (mode)
        found->second->mode = (found->second->mode & 0170000) | mode;
    return 0;
}

int Model::remove_xattr(const std::string& path, const std::string& name)
{
    auto found = paths_.find(path);
    if (found == paths_.end())
        return -ENOENT;
    return found->second->xattrs.erase(name) ? 0 : -ENODATA;
}

int Model::store(const std::string& path, u64 offset, u64 word)
{
    int error;
    Node* node = file(path, &error);
    if (!node)
        return error;
    if (offset + kWordSize > node->bytes.size())
        return -ENXIO;
    u64 old;
    std::memcpy(&old, node->bytes.data() + offset, kWordSize);
    unsynced_[node][offset].insert(old);
    std::memcpy(node->bytes.data() + offset, &word, kWordSize);
    return 0;
}

int Model::sync(const std::string& path)
{
    int error;
    if (Node* node = file(path, &error))
        unsynced_.erase(node);
    return error;
}

int Model::set_label(const std::string& label)
{
    label_ = label;
    return 0;
}

int Model::grow()
{
    blocks_ = kBlocks;
    return 0;
}

Tree Model::tree() const
{
    Tree tree;
    tree.paths.emplace_back(kSuperblock, Node{.bytes = superblock_text(label_, blocks_)});
    std::map<const Node*, u64> first;
    for (const auto& [path, node] : paths_) {
        Node copy = *node;
        copy.first = first.emplace(node.get(), tree.paths.size()).first->second;
        tree.paths.emplace_back(path.empty() ? "/" : path, std::move(copy));
    }
    return tree;
}

std::shared_ptr<const Unsynced> Model::unsynced() const
{
    Unsynced all;
    std::set<const Node*> seen;
    for (const auto& [path, node] : paths_) {
        auto its = unsynced_.find(node.get());
        if (its != unsynced_.end() && !its->second.empty() && seen.insert(node.get()).second)
            all[path] = its->second;
    }
    return all.empty() ? nullptr : std::make_shared<const Unsynced>(std::move(all));
}

}  // namespace tarn::crash
