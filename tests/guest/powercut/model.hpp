// SPDX-License-Identifier: GPL-2.0
//
// What a worker of powercut does (main.cpp) and what its directory must hold: a model in memory, and a
// chooser of the next operation. Both are pure functions of a seed.
#pragma once

#include <sys/stat.h>
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace powercut {

constexpr uint64_t kMaxFileBytes = 256 * 1024;
constexpr uint64_t kLargeBytes = 2 << 20;
constexpr size_t kMaxEntries = 60;
constexpr size_t kMaxDepth = 6;
constexpr uint64_t kBlockBytes = 4096;
// Of a user's name space; the last one's value may be long.
constexpr const char* kXattrs[] = {"user.a", "user.b", "user.c", "user.long"};

using Bytes = std::vector<uint8_t>;
using NodeId = size_t;

// splitmix64: small, and the same everywhere.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next()
    {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t limit) { return next() % limit; }

  private:
    uint64_t state_;
};

enum class Kind { File, Directory, Symlink };

struct Node {
    Kind kind;
    mode_t mode = 0;
    Bytes data = {};     // a file's contents, a symlink's target
    unsigned links = 1;  // names a file has; a directory's link count is counted from its children
    std::map<std::string, Bytes> xattrs = {};
};

struct Entry {
    NodeId parent;
    std::string name;
    NodeId node;
};

enum class Action {
    Create,
    Mkdir,
    Symlink,
    Link,
    Unlink,
    UnlinkOpen,
    Rmdir,
    Rename,
    Exchange,
    Nameless,  // made and written without a name, which it is given then
    Write,
    Append,
    Map,
    Truncate,
    Allocate,
    Keep,  // allocate, and keep the size
    Punch,
    Zero,
    Collapse,
    Insert,
    Open,
    Chmod,
    SetXattr,
    RemoveXattr,
    Sync
};

struct Operation {
    Action action;
    std::string path = {};
    std::string other = {};  // the new name of a link or rename, a symlink's target, an extended attribute
    NodeId node = 0;         // the file whose data changes
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t pattern = 0;
    mode_t mode = 0;

    std::string text() const
    {
        return "kind " + std::to_string(static_cast<int>(action)) + " of " + path + " " + other + " at " +
               std::to_string(offset) + ", " + std::to_string(length) + " bytes";
    }
};

inline uint64_t worker_seed(uint64_t seed, size_t worker) { return seed * 1000 + worker; }

inline bool changes_data(Action action)
{
    return action == Action::Write || action == Action::Append || action == Action::Map ||
           action == Action::Punch || action == Action::Zero;
}

// What the writes of a pattern put at a file's byte: no two words of a file are alike.
inline uint8_t pattern_byte(uint64_t pattern, uint64_t at)
{
    uint64_t word = (pattern + at / 8) * 0x9e3779b97f4a7c15;
    word ^= word >> 29;
    return static_cast<uint8_t>(word >> (at % 8 * 8));
}

// What a data operation puts at a file's byte.
inline uint8_t new_byte(const Operation& op, uint64_t at)
{
    bool zeroes = op.action == Action::Punch || op.action == Action::Zero;
    return zeroes ? 0 : pattern_byte(op.pattern, at);
}

inline Bytes new_bytes(const Operation& op)
{
    Bytes bytes(op.length);
    for (uint64_t i = 0; i < op.length; i++)
        bytes[i] = new_byte(op, op.offset + i);
    return bytes;
}

// What the worker's directory holds. Node 0 is the directory itself.
class Model {
  public:
    Model() { nodes_[0] = Node{Kind::Directory, 0755}; }

    const std::vector<Entry>& entries() const { return entries_; }
    const Node& node(NodeId id) const { return nodes_.at(id); }

    std::string path(NodeId directory) const
    {
        std::string result;
        while (directory != 0) {
            const Entry& entry = entries_[*entry_of(directory)];
            result = "/" + entry.name + result;
            directory = entry.parent;
        }
        return result;
    }
    std::string path(const Entry& entry) const { return path(entry.parent) + "/" + entry.name; }

    std::vector<const Entry*> children(NodeId directory) const
    {
        std::vector<const Entry*> result;
        for (const Entry& entry : entries_) {
            if (entry.parent == directory)
                result.push_back(&entry);
        }
        return result;
    }

    unsigned link_count(NodeId id) const
    {
        if (node(id).kind != Kind::Directory)
            return node(id).links;
        auto subdirectories = std::ranges::count_if(
            entries_, [&](const Entry& e) { return e.parent == id && node(e.node).kind == Kind::Directory; });
        return 2 + static_cast<unsigned>(subdirectories);
    }

    std::optional<size_t> find(const std::string& wanted) const
    {
        for (size_t i = 0; i < entries_.size(); i++) {
            if (wanted.ends_with(entries_[i].name) && path(entries_[i]) == wanted)
                return i;
        }
        return std::nullopt;
    }

    bool is_inside(NodeId directory, NodeId ancestor) const
    {
        while (directory != 0 && directory != ancestor)
            directory = entries_[*entry_of(directory)].parent;
        return directory == ancestor;
    }

    size_t depth(NodeId directory) const
    {
        size_t result = 0;
        for (; directory != 0; result++)
            directory = entries_[*entry_of(directory)].parent;
        return result;
    }

    void apply(const Operation& op);

  private:
    std::optional<size_t> entry_of(NodeId id) const
    {
        for (size_t i = 0; i < entries_.size(); i++) {
            if (entries_[i].node == id)
                return i;
        }
        return std::nullopt;
    }
    NodeId parent_of(const std::string& path) const
    {
        std::string directory = path.substr(0, path.rfind('/'));
        return directory.empty() ? 0 : entries_[*find(directory)].node;
    }
    void add(const std::string& path, NodeId id)
    {
        entries_.push_back({parent_of(path), path.substr(path.rfind('/') + 1), id});
    }
    void add_new(const Operation& op, Kind kind, mode_t mode)
    {
        NodeId id = next_id_++;
        nodes_[id] = Node{kind, mode, Bytes(op.other.begin(), op.other.end())};
        add(op.path, id);
    }
    void remove(const std::string& path);
    void rename(const Operation& op);
    void exchange(const Operation& op);
    void store(const Operation& op);
    void shift(const Operation& op);
    void punch(const Operation& op);

    std::map<NodeId, Node> nodes_;
    std::vector<Entry> entries_;
    NodeId next_id_ = 1;
};

// Whether a file of a worker may be large, so that pages of 2 MiB map it: that takes a device with room.
enum class Files { kSmall, kOneLarge };

// Chooses the next operation. Tries actions until one is possible; creating a file or syncing always is.
class Chooser {
  public:
    Chooser(const Model& model, Random& random, Files files = Files::kOneLarge)
        : model_(model), random_(random), files_(files)
    {
    }

    Operation choose()
    {
        for (;;) {
            if (std::optional<Operation> op = try_one())
                return *op;
        }
    }

  private:
    std::optional<Operation> try_one();
    std::optional<Operation> make_name(Action action);
    std::optional<Operation> make_link();
    std::optional<Operation> remove_name(Action action);
    std::optional<Operation> rename();
    std::optional<Operation> exchange();
    std::optional<Operation> make_nameless();
    std::optional<Operation> write(Action action);
    std::optional<Operation> map();
    std::optional<Operation> resize(Action action);
    std::optional<Operation> make_large();
    std::optional<Operation> fallocate(Action action);
    std::optional<Operation> shift(Action action);
    std::optional<Operation> chmod();
    std::optional<Operation> set_xattr();
    std::optional<Operation> remove_xattr();

    const Entry* any(Kind kind)
    {
        std::vector<const Entry*> found;
        for (const Entry& entry : model_.entries()) {
            if (model_.node(entry.node).kind == kind)
                found.push_back(&entry);
        }
        return found.empty() ? nullptr : found[random_.below(found.size())];
    }
    // The first file of so many bytes.
    const Entry* file_of(uint64_t bytes) const
    {
        for (const Entry& entry : model_.entries()) {
            const Node& node = model_.node(entry.node);
            if (node.kind == Kind::File && node.data.size() == bytes)
                return &entry;
        }
        return nullptr;
    }
    NodeId any_directory()
    {
        const Entry* entry = random_.below(3) ? any(Kind::Directory) : nullptr;
        return entry ? entry->node : 0;
    }
    std::string any_name(NodeId directory)
    {
        std::string name = "/n" + std::to_string(random_.below(90));
        if (random_.below(8) == 0)
            name += std::string(40 + random_.below(180), 'x');
        return model_.path(directory) + name;
    }
    // Small ones mostly: a few bytes, some blocks now and then.
    uint64_t any_length()
    {
        constexpr uint64_t limits[] = {16, 300, 4096, 4096, 9000, 70000};
        return 1 + random_.below(limits[random_.below(6)]);
    }

    const Model& model_;
    Random& random_;
    const Files files_;
};

}  // namespace powercut
