// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/tree.hpp"

#include <algorithm>
#include <cstring>

namespace tarn::crash {

namespace {

u64 mix(u64 hash, u64 word)
{
    hash = (hash ^ word) * 0xff51afd7ed558ccd;
    return hash ^ hash >> 32;
}

u64 mix(u64 hash, const std::string& bytes)
{
    hash = mix(hash, bytes.size());
    for (usize at = 0; at < bytes.size(); at += 8) {
        u64 word = 0;
        std::memcpy(&word, bytes.data() + at, std::min<usize>(8, bytes.size() - at));
        hash = mix(hash, word);
    }
    return hash;
}

// The word at `at`, with zeroes for what is behind the end.
u64 word_at(const std::string& bytes, u64 at, u64 end)
{
    u64 word = 0;
    if (at < bytes.size())
        std::memcpy(&word, bytes.data() + at, std::min<usize>({8, bytes.size() - at, end - at}));
    return word;
}

bool is_hexadecimal_junk(u64 word) { return word == 0xeeeeeeeeeeeeeeee; }

// One file of a tree, its contents found to be between two others.
std::string judge_contents(const Node& found, const Node& before, const Node& after, const Change& change,
                           const std::map<u64, std::set<u64>>* unsynced)
{
    const u64 size = found.bytes.size(), old_size = before.bytes.size(), new_size = after.bytes.size();
    const bool has_grown = size > old_size;
    if (size != old_size && size != new_size && !(has_grown && size < new_size))
        return "size " + std::to_string(size);
    for (u64 at = 0; at < size; at += kWordSize) {
        const u64 word = word_at(found.bytes, at, size);
        if (at < new_size && word == word_at(after.bytes, at, size))
            continue;
        const bool has_to_be_new = has_grown && at + kWordSize > change.first && at < change.end;
        if (!has_to_be_new && at < old_size && word == word_at(before.bytes, at, size))
            continue;
        if (unsynced && !(has_grown && at >= old_size)) {
            auto older = unsynced->find(at);
            if (older != unsynced->end() && older->second.count(word))
                continue;
        }
        return "bytes " + std::to_string(at) + ".. of " + std::to_string(size) +
               (is_hexadecimal_junk(word) ? " are somebody else's" : " are neither old nor new");
    }
    return {};
}

bool is_either(s64 found, s64 before, s64 after) { return found == before || found == after; }

// Everything of a node but its bytes; times of a file whose contents change may be either.
bool same_attributes(const Node& found, const Node& other)
{
    return found.mode == other.mode && found.uid == other.uid && found.flags == other.flags &&
           found.project == other.project && found.links == other.links && found.xattrs == other.xattrs &&
           found.first == other.first;
}

std::string first_difference(const Tree& found, const Tree& before, const Tree& after)
{
    return "found:\n" + found.text() + "before:\n" + before.text() + "after:\n" + after.text();
}

// Operations that change bytes leave all names alone.
std::string judge_bytes(const Tree& found, const Step& step)
{
    const Tree& before = *step.before;
    const Tree& after = *step.after;
    if (found.paths.size() != before.paths.size() || found.paths.size() != after.paths.size())
        return first_difference(found, before, after);
    for (usize i = 0; i < found.paths.size(); i++) {
        const auto& [path, node] = found.paths[i];
        const Node &old = before.paths[i].second, &now = after.paths[i].second;
        if (path != before.paths[i].first || path != after.paths[i].first ||
            (!same_attributes(node, old) && !same_attributes(node, now)) ||
            !is_either(node.modified, old.modified, now.modified) ||
            !is_either(node.changed, old.changed, now.changed))
            return first_difference(found, before, after);
        if (!node.is_file()) {
            if (node.bytes != old.bytes)
                return path + ": another target";
            continue;
        }
        Change change;
        for (const Change& candidate : step.changes)
            if (const Node* its = found.find(candidate.path); its && its->first == node.first)
                change = candidate;
        const std::map<u64, std::set<u64>>* unsynced = nullptr;
        if (step.unsynced)
            if (auto its = step.unsynced->find(found.paths[node.first].first); its != step.unsynced->end())
                unsynced = &its->second;
        if (std::string wrong = judge_contents(node, old, now, change, unsynced); !wrong.empty())
            return path + ": " + wrong;
    }
    return {};
}

// A version that was told of what is in `other` is found with nothing else.
std::string judge_versions(const Tree& found, const Tree& other)
{
    for (const auto& [path, node] : found.paths) {
        const Node* its = node.told.version ? other.find(path) : nullptr;
        if (!its || its->told.inode != node.told.inode || its->told.version != node.told.version)
            continue;
        if (its->bytes != node.bytes || its->xattrs != node.xattrs || its->mode != node.mode ||
            its->uid != node.uid || its->flags != node.flags || its->project != node.project ||
            its->links != node.links)
            return path + ": its version was told of something else";
    }
    return {};
}

// As `other` but for words that may be older.
bool is_like(const Tree& found, const std::shared_ptr<const Tree>& other,
             const std::shared_ptr<const Unsynced>& unsynced)
{
    return unsynced && judge_bytes(found, Step{other, other, unsynced}).empty();
}

}  // namespace

const Node* Tree::find(const std::string& path) const
{
    auto at =
        std::lower_bound(paths.begin(), paths.end(), path,
                         [](const auto& entry, const std::string& wanted) { return entry.first < wanted; });
    return at != paths.end() && at->first == path ? &at->second : nullptr;
}

u64 Tree::digest() const
{
    u64 hash = paths.size();
    for (const auto& [path, node] : paths) {
        hash = mix(hash, path);
        hash = mix(hash, u64{node.mode} << 32 | node.uid);
        hash = mix(mix(hash, u64{node.flags} << 32 | node.project), node.told.version);
        hash = mix(hash, u64{node.links} << 32 | node.first);
        hash = mix(mix(hash, static_cast<u64>(node.modified)), static_cast<u64>(node.changed));
        hash = mix(hash, node.bytes);
        for (const auto& [name, value] : node.xattrs)
            hash = mix(mix(hash, name), value);
    }
    return hash;
}

std::string Tree::text() const
{
    std::string text;
    char line[256];
    for (const auto& [path, node] : paths) {
        std::snprintf(
            line, sizeof line,
            "  %-12s mode %06o uid %u flags %x project %u links %u size %zu same as %llu m %lld c %lld\n",
            path.c_str(), node.mode, node.uid, node.flags, node.project, node.links, node.bytes.size(),
            node.first, node.modified, node.changed);
        text += line;
        for (const auto& [name, value] : node.xattrs)
            text += "    " + name + ", " + std::to_string(value.size()) + " bytes\n";
    }
    return text;
}

bool Tree::same_but_times(const Tree& other) const
{
    if (paths.size() != other.paths.size())
        return false;
    for (usize i = 0; i < paths.size(); i++)
        if (paths[i].first != other.paths[i].first ||
            !same_attributes(paths[i].second, other.paths[i].second) ||
            paths[i].second.bytes != other.paths[i].second.bytes)
            return false;
    return true;
}

std::string judge(const Tree& found, const Step& step)
{
    for (const Tree* other : {step.before.get(), step.after.get()})
        if (std::string wrong = judge_versions(found, *other); !wrong.empty())
            return wrong;
    if (found == *step.before || found == *step.after)
        return {};
    if (is_like(found, step.before, step.unsynced) || is_like(found, step.after, step.still_unsynced))
        return {};
    if (step.changes.empty())
        return "neither as before nor as after the operation\n" +
               first_difference(found, *step.before, *step.after);
    return judge_bytes(found, step);
}

}  // namespace tarn::crash
