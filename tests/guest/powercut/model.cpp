// SPDX-License-Identifier: GPL-2.0
//
// The model's operations and their choice: see model.hpp.

#include "model.hpp"

#include <iterator>

namespace powercut {

void Model::remove(const std::string& path)
{
    size_t index = *find(path);
    NodeId id = entries_[index].node;
    entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(index));
    if (--nodes_[id].links == 0)
        nodes_.erase(id);
}

void Model::rename(const Operation& op)
{
    NodeId id = entries_[*find(op.path)].node;
    if (std::optional<size_t> target = find(op.other)) {
        if (entries_[*target].node == id)
            return;  // two names of one file: rename(2) does nothing
        remove(op.other);
    }
    NodeId parent = parent_of(op.other);
    Entry& entry = entries_[*find(op.path)];
    entry.parent = parent;
    entry.name = op.other.substr(op.other.rfind('/') + 1);
}

void Model::exchange(const Operation& op)
{
    std::swap(entries_[*find(op.path)].node, entries_[*find(op.other)].node);
}

void Model::store(const Operation& op)
{
    Bytes& data = nodes_[op.node].data;
    data.resize(std::max<size_t>(data.size(), op.offset + op.length));
    std::ranges::copy(new_bytes(op), data.begin() + static_cast<ptrdiff_t>(op.offset));
}

void Model::shift(const Operation& op)
{
    Bytes& data = nodes_[op.node].data;
    const auto at = data.begin() + static_cast<ptrdiff_t>(op.offset);
    if (op.action == Action::Insert)
        data.insert(at, op.length, 0);
    else
        data.erase(at, at + static_cast<ptrdiff_t>(op.length));
}

// The size stays.
void Model::punch(const Operation& op)
{
    size_t size = nodes_[op.node].data.size();
    store(op);
    nodes_[op.node].data.resize(size);
}

void Model::apply(const Operation& op)
{
    switch (op.action) {
        case Action::Create: return add_new(op, Kind::File, 0644);
        case Action::Mkdir: return add_new(op, Kind::Directory, 0755);
        case Action::Symlink: return add_new(op, Kind::Symlink, 0777);
        case Action::Link: nodes_[op.node].links++; return add(op.other, op.node);
        case Action::Unlink:
        case Action::UnlinkOpen:
        case Action::Rmdir: return remove(op.path);
        case Action::Rename: return rename(op);
        case Action::Exchange: return exchange(op);
        case Action::Nameless: {
            add_new(op, Kind::File, 0644);
            nodes_[next_id_ - 1].data = new_bytes(op);
            return;
        }
        case Action::Write:
        case Action::Append:
        case Action::Zero:
        case Action::Map: return store(op);
        case Action::Punch: return punch(op);
        case Action::Collapse:
        case Action::Insert: return shift(op);
        case Action::Allocate: {
            Bytes& data = nodes_[op.node].data;
            return data.resize(std::max<size_t>(data.size(), op.offset + op.length));
        }
        case Action::Truncate:
        case Action::Open: nodes_[op.node].data.resize(op.length); return;
        case Action::Chmod: nodes_[op.node].mode = op.mode; return;
        case Action::SetXattr: nodes_[op.node].xattrs[op.other] = new_bytes(op); return;
        case Action::RemoveXattr: nodes_[op.node].xattrs.erase(op.other); return;
        case Action::Keep:
        case Action::Sync: return;
    }
}

std::optional<Operation> Chooser::try_one()
{
    if (files_ == Files::kOneLarge && random_.below(4) == 0) {
        if (std::optional<Operation> op = make_large())
            return op;
    }
    uint64_t dice = random_.below(118);
    if (dice < 12)
        return make_name(Action::Create);
    if (dice < 17)
        return make_name(Action::Mkdir);
    if (dice < 20)
        return make_name(Action::Symlink);
    if (dice < 25)
        return make_link();
    if (dice < 33)
        return remove_name(Action::Unlink);
    if (dice < 36)
        return remove_name(Action::UnlinkOpen);
    if (dice < 39)
        return remove_name(Action::Rmdir);
    if (dice < 50)
        return rename();
    if (dice < 62)
        return write(Action::Write);
    if (dice < 71)
        return write(Action::Append);
    if (dice < 80)
        return map();
    if (dice < 83)
        return fallocate(random_.below(3) ? Action::Allocate : Action::Keep);
    if (dice < 86)
        return fallocate(Action::Punch);
    if (dice < 88)
        return fallocate(Action::Zero);
    if (dice < 94)
        return resize(Action::Truncate);
    if (dice < 96)
        return resize(Action::Open);
    if (dice < 98)
        return chmod();
    if (dice < 101)
        return exchange();
    if (dice < 104)
        return make_nameless();
    if (dice < 106)
        return shift(Action::Collapse);
    if (dice < 108)
        return shift(Action::Insert);
    if (dice < 114)
        return set_xattr();
    if (dice < 116)
        return remove_xattr();
    return Operation{Action::Sync};
}

std::optional<Operation> Chooser::make_name(Action action)
{
    NodeId directory = any_directory();
    Operation op{action, any_name(directory)};
    if (model_.entries().size() >= kMaxEntries || model_.depth(directory) >= kMaxDepth ||
        model_.find(op.path))
        return std::nullopt;
    if (action == Action::Symlink)
        op.other = std::string(1 + random_.below(200), 't');
    return op;
}

std::optional<Operation> Chooser::make_link()
{
    const Entry* file = any(Kind::File);
    std::string name = any_name(any_directory());
    if (!file || model_.entries().size() >= kMaxEntries || model_.find(name))
        return std::nullopt;
    return Operation{Action::Link, model_.path(*file), name, file->node};
}

std::optional<Operation> Chooser::remove_name(Action action)
{
    Kind kind = action == Action::Rmdir ? Kind::Directory : random_.below(5) ? Kind::File : Kind::Symlink;
    const Entry* entry = any(action == Action::UnlinkOpen ? Kind::File : kind);
    if (!entry || (action == Action::Rmdir && !model_.children(entry->node).empty()))
        return std::nullopt;
    return Operation{action, model_.path(*entry), {}, entry->node};
}

// Over an existing name of the same kind every second time.
std::optional<Operation> Chooser::rename()
{
    const Entry* entry = any(random_.below(3) ? Kind::File : Kind::Directory);
    if (!entry)
        return std::nullopt;
    bool moves_directory = model_.node(entry->node).kind == Kind::Directory;
    const Entry* over = random_.below(2) ? any(moves_directory ? Kind::Directory : Kind::File) : nullptr;
    if (over && moves_directory && !model_.children(over->node).empty())
        over = nullptr;
    NodeId into = over ? over->parent : any_directory();
    std::string target = over ? model_.path(*over) : any_name(into);
    bool cycle = moves_directory && model_.is_inside(into, entry->node);
    bool too_deep = moves_directory && model_.depth(into) + 2 >= kMaxDepth;
    if (cycle || too_deep || over == entry || (!over && model_.find(target)))
        return std::nullopt;
    return Operation{Action::Rename, model_.path(*entry), target, entry->node};
}

// Of two that can be told from each other, so that what is left of a power cut says whether it has happened.
std::optional<Operation> Chooser::exchange()
{
    const Entry* one = any(Kind::File);
    const bool with_directory = random_.below(3) == 0;
    const Entry* other = any(with_directory ? Kind::Directory : Kind::File);
    if (!one || !other)
        return std::nullopt;
    const bool same = model_.node(one->node).data.size() == model_.node(other->node).data.size();
    const bool too_deep = model_.depth(one->parent) + 2 >= kMaxDepth;
    if (with_directory ? model_.is_inside(one->parent, other->node) || too_deep : same)
        return std::nullopt;
    return Operation{Action::Exchange, model_.path(*one), model_.path(*other), one->node};
}

std::optional<Operation> Chooser::make_nameless()
{
    std::optional<Operation> op = make_name(Action::Nameless);
    if (op) {
        op->length = any_length();
        op->pattern = random_.next();
    }
    return op;
}

std::optional<Operation> Chooser::write(Action action)
{
    const Entry* file = any(Kind::File);
    if (!file)
        return std::nullopt;
    uint64_t size = model_.node(file->node).data.size();
    uint64_t offset = action == Action::Append ? size : random_.below(size + 20000);
    Operation op{action, model_.path(*file), {}, file->node, offset, any_length(), random_.next()};
    return op.offset + op.length <= kMaxFileBytes ? std::optional(op) : std::nullopt;
}

std::optional<Operation> Chooser::fallocate(Action action)
{
    std::optional<Operation> op = write(Action::Write);
    if (!op)
        return std::nullopt;
    op->action = action;
    op->length = std::min(op->length * 3, kMaxFileBytes - op->offset);
    return op;
}

// Whole blocks, not up to the file's end or beyond it.
std::optional<Operation> Chooser::shift(Action action)
{
    const Entry* file = any(Kind::File);
    const uint64_t size = file ? model_.node(file->node).data.size() : 0;
    if (size <= kBlockBytes || size > kMaxFileBytes)
        return std::nullopt;
    const uint64_t blocks = (size - 1) / kBlockBytes;  // that lie before the last byte
    const uint64_t first = random_.below(blocks);
    const uint64_t most = action == Action::Insert ? (kMaxFileBytes - size) / kBlockBytes : blocks - first;
    if (most == 0)
        return std::nullopt;
    const uint64_t count = 1 + random_.below(std::min<uint64_t>(most, 8));
    return Operation{action, model_.path(*file), {}, file->node, first * kBlockBytes, count * kBlockBytes};
}

// An empty file, as a hole or allocated: its first stores through a mapping are to 2 MiB at once.
std::optional<Operation> Chooser::make_large()
{
    const Entry* file = file_of(0);
    if (!file || file_of(kLargeBytes))
        return std::nullopt;
    const Action action = random_.below(2) ? Action::Allocate : Action::Truncate;
    return Operation{action, model_.path(*file), {}, file->node, 0, kLargeBytes};
}

std::optional<Operation> Chooser::map()
{
    const Entry* large = files_ == Files::kOneLarge && random_.below(2) ? file_of(kLargeBytes) : nullptr;
    const Entry* file = large ? large : any(Kind::File);
    uint64_t size = file ? model_.node(file->node).data.size() : 0;
    if (size == 0)
        return std::nullopt;
    uint64_t offset = random_.below(size);
    uint64_t length = std::min(any_length(), size - offset);
    return Operation{Action::Map, model_.path(*file), {}, file->node, offset, length, random_.next()};
}

std::optional<Operation> Chooser::resize(Action action)
{
    const Entry* file = any(Kind::File);
    if (!file)
        return std::nullopt;
    uint64_t size =
        action == Action::Open ? 0 : random_.below(model_.node(file->node).data.size() * 2 + 5000);
    return Operation{action, model_.path(*file), {}, file->node, 0, std::min(size, kMaxFileBytes)};
}

std::optional<Operation> Chooser::chmod()
{
    const Entry* file = any(Kind::File);
    if (!file)
        return std::nullopt;
    mode_t mode = 0600 | static_cast<mode_t>(random_.below(0200));
    return Operation{Action::Chmod, model_.path(*file), {}, file->node, 0, 0, 0, mode};
}

std::optional<Operation> Chooser::set_xattr()
{
    const Entry* entry = any(random_.below(4) ? Kind::File : Kind::Directory);
    if (!entry)
        return std::nullopt;
    const uint64_t which = random_.below(std::size(kXattrs));
    const uint64_t length = which + 1 == std::size(kXattrs) ? random_.below(20000) : random_.below(400);
    return Operation{Action::SetXattr, model_.path(*entry), kXattrs[which], entry->node, 0, length,
                     random_.next()};
}

std::optional<Operation> Chooser::remove_xattr()
{
    const Entry* entry = any(random_.below(4) ? Kind::File : Kind::Directory);
    if (!entry || model_.node(entry->node).xattrs.empty())
        return std::nullopt;
    const auto& xattrs = model_.node(entry->node).xattrs;
    auto chosen = xattrs.begin();
    std::advance(chosen, static_cast<ptrdiff_t>(random_.below(xattrs.size())));
    return Operation{Action::RemoveXattr, model_.path(*entry), chosen->first, entry->node};
}

}  // namespace powercut
