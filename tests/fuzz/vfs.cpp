// SPDX-License-Identifier: GPL-2.0
#include "tests/fuzz/vfs.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tarn::test {

namespace {

constexpr usize kMostLogged = 16384;

std::string logged;
bool named_a_block = false;

void keep_line(void*, tarn_log_level level, const char* line)
{
    if (level == TARN_LOG_ERROR && std::strstr(line, "block "))
        named_a_block = true;
    if (logged.size() < kMostLogged)
        logged.append(line).append("\n");
}

tarn_name spelled(const std::string& name) { return {name.data(), static_cast<unsigned>(name.size())}; }

tarn_user memory_of(std::vector<std::byte>& bytes)
{
    tarn_user user;
    user.data = bytes.data();
    user.length = bytes.size();
    return user;
}

}  // namespace

LogWatch::LogWatch()
{
    logged.clear();
    named_a_block = false;
    host::set_log_sink(keep_line, nullptr);
}
LogWatch::~LogWatch() { host::set_log_sink(nullptr, nullptr); }
const std::string& LogWatch::text() { return logged; }
bool LogWatch::has_named_a_block() { return named_a_block; }

void die(const std::string& what)
{
    std::fprintf(stderr, "fuzz: %s\n%s", what.c_str(), logged.c_str());
    std::abort();
}

void begin_input()
{
    const tarn_time now{1700000000, 0};
    host::pretend_time(&now);
    host::pretend_cpu(0);
    host::seed_random(1);
}

// ---- mount --------------------------------------------------------------------------------------

Vfs::Vfs(FakeMm& mm) : mm_(mm) {}
Vfs::~Vfs() { unmount(); }

int Vfs::mount(const tarn_device& device, tarn_access access)
{
    const char* why = "";
    has_met_damage_ = false;
    if (const int error = tarn_fs_open(&device, access, &fs_, &why)) {
        fs_ = nullptr;
        if (!*why)
            die("a mount refused without a reason");
        keep_line(nullptr, TARN_LOG_INFO, why);
        return seen(error);
    }
    const int error = get(TARN_ROOT_INODE, &root_);
    if (error == 0 && root_->type() == 0040000)
        return 0;
    unmount();
    return error ? error : -EUCLEAN;
}

void Vfs::unmount()
{
    if (!fs_)
        return;
    nodes_.clear();
    open_orphans_ = 0;
    root_ = nullptr;
    tarn_fs_close(fs_);
    fs_ = nullptr;
    seen(0);
}

void Vfs::unmount_leaving_orphans()
{
    for (auto& [number, node] : nodes_)
        node->file.keep();
    unmount();
}

void Vfs::abandon()
{
    tarn_fs_abandon(fs_);
    unmount();
}

int Vfs::remount(tarn_access access) { return seen(tarn_fs_set_access(fs_, access)); }

long long Vfs::seen(long long result)
{
    if (host::held_locks() || host::nofs_depth())
        die("a call has left a lock or a NOFS scope behind");
    if (result != -EUCLEAN)
        return result;
    has_met_damage_ = true;
    if (!named_a_block)
        die("damage reported without a block number");
    if (fs_ && !tarn_fs_is_read_only(fs_))
        die("damage has not made the file system read-only");
    return result;
}

// ---- inodes -------------------------------------------------------------------------------------

int Vfs::get(u64 number, Node** found)
{
    auto there = nodes_.find(number);
    if (there != nodes_.end()) {
        *found = there->second.get();
        return 0;
    }
    auto node = std::make_unique<Node>();
    if (const int error = seen(node->file.open(fs_, number, &node->attributes)))
        return error;
    *found = node.get();
    nodes_[number] = std::move(node);
    return 0;
}

bool Vfs::is_above(const Node& node, const Node& below) const
{
    for (const Node* at = &below; at; at = at->parent)
        if (at == &node)
            return true;
    return false;
}

// A directory's children may still point at it: it stays to the end.
void Vfs::drop_if_unused(Node& node, Evict when)
{
    refresh(node);
    if (node.attributes.links > 0 && !node.is_dead)
        return;
    if (node.attributes.links == 0 && !is_read_only())
        node.file.discard();
    if (when == Evict::kNow && node.type() != 0040000)
        nodes_.erase(node.number());
    else
        open_orphans_++;
}

int Vfs::refresh(Node& node)
{
    tarn_inode_attributes(node.file.inode(), &node.attributes);
    return seen(0);
}

tarn_time Vfs::tick() { return {++seconds_, 7}; }

int Vfs::resolve(const std::string& path, Node** found)
{
    *found = root_;
    for (usize at = 0; at < path.size();) {
        const usize end = min(path.find('/', at), path.size());
        if (end > at)
            if (const int error = lookup(**found, path.substr(at, end - at), found))
                return error;
        at = end + 1;
    }
    return 0;
}

int Vfs::lookup(Node& dir, const std::string& name, Node** found)
{
    if (dir.type() != 0040000)
        return -ENOTDIR;
    unsigned long long number = 0;
    if (const int error = seen(tarn_dir_find(dir.file.inode(), spelled(name), &number)))
        return error;
    if (const int error = get(number, found))
        return error;
    if ((*found)->type() != 0040000)
        return 0;
    if (is_above(**found, dir))
        return -ELOOP;
    (*found)->parent = &dir;
    return 0;
}

int Vfs::list(Node& dir, std::vector<Entry>& entries, usize limit)
{
    alignas(8) char buffer[4096];
    for (u64 cookie = TARN_COOKIE_FIRST; entries.size() < limit;) {
        const int used = seen(tarn_dir_read(dir.file.inode(), cookie, buffer, sizeof buffer));
        if (used <= 0)
            return used;
        for (int at = 0; at < used;) {
            const auto& entry = *reinterpret_cast<const tarn_dir_entry*>(buffer + at);
            if (entry.cookie < cookie || entry.length == 0)
                die("readdir goes back, or an entry has no name");
            cookie = entry.cookie + 1;
            entries.push_back({std::string(entry.name, entry.length), entry.number});
            at += static_cast<int>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
        }
    }
    return 0;
}

int Vfs::read_link(Node& link, std::string& target)
{
    target.resize(4095);
    const int length = seen(tarn_inode_read_link(link.file.inode(), target.data(), 4095));
    target.resize(length > 0 ? static_cast<usize>(length) : 0);
    return min(length, 0);
}

// ---- names --------------------------------------------------------------------------------------

int Vfs::create(Node& dir, const std::string& name, u32 mode, const std::string& target, Node** made)
{
    Node* there = nullptr;
    if (const int error = lookup(dir, name, &there); error != -ENOENT)
        return error ? error : -EEXIST;
    if (dir.is_dead)
        return -ENOENT;
    auto node = std::make_unique<Node>();
    const tarn_new_inode what = new_inode(mode, target);
    if (const int error = seen(node->file.create(dir.file.inode(), name, what, &node->attributes)))
        return error;
    add(dir, std::move(node), made);
    return refresh(dir);
}

int Vfs::create_nameless(Node& dir, u32 mode, Node** made)
{
    auto node = std::make_unique<Node>();
    const tarn_new_inode what = new_inode(mode, {});
    if (const int error = seen(node->file.create_nameless(dir.file.inode(), what, &node->attributes)))
        return error;
    add(dir, std::move(node), made);
    (*made)->is_nameless = true;
    return 0;
}

tarn_new_inode Vfs::new_inode(u32 mode, const std::string& target)
{
    tarn_new_inode what = {};
    what.mode = mode;
    what.uid = 1000;
    what.gid = 100;
    what.device = 0x0801;
    what.target = spelled(target);
    what.now = tick();
    return what;
}

void Vfs::add(Node& dir, std::unique_ptr<Node> node, Node** made)
{
    *made = node.get();
    node->parent = node->type() == 0040000 ? &dir : nullptr;
    if (!nodes_.emplace(node->number(), std::move(node)).second)
        die("an inode number given out that is in use");
}

int Vfs::link(Node& dir, const std::string& name, Node& inode)
{
    Node* there = nullptr;
    if (const int error = lookup(dir, name, &there); error != -ENOENT)
        return error ? error : -EEXIST;
    if (dir.is_dead || (inode.attributes.links == 0 && !inode.is_nameless))
        return -ENOENT;
    if (inode.type() == 0040000)
        return -EPERM;
    const int error = seen(tarn_dir_link(dir.file.inode(), spelled(name), inode.file.inode(), tick()));
    inode.is_nameless = inode.is_nameless && error;
    refresh(dir);
    refresh(inode);
    return error;
}

int Vfs::unlink(Node& dir, const std::string& name, Evict when)
{
    Node* node = nullptr;
    if (const int error = lookup(dir, name, &node))
        return error;
    if (const int error = seen(tarn_dir_unlink(dir.file.inode(), spelled(name), node->file.inode(), tick())))
        return error;
    node->is_dead = node->type() == 0040000;
    refresh(dir);
    drop_if_unused(*node, when);
    return 0;
}

int Vfs::rename(Node& from, const std::string& name, Node& to, const std::string& new_name)
{
    Node *moved = nullptr, *target = nullptr;
    if (const int error = lookup(from, name, &moved))
        return error;
    if (const int error = lookup(to, new_name, &target); error && error != -ENOENT)
        return error;
    if (moved == target)
        return 0;
    if (to.is_dead)
        return -ENOENT;
    if (moved->type() == 0040000 && is_above(*moved, to))
        return -EINVAL;
    if (target && target->type() == 0040000 && is_above(*target, from))
        return -ENOTEMPTY;
    const tarn_rename what = {from.file.inode(),
                              spelled(name),
                              to.file.inode(),
                              spelled(new_name),
                              moved->file.inode(),
                              target ? target->file.inode() : nullptr,
                              tick(),
                              nullptr};
    if (const int error = seen(tarn_dir_rename(&what)))
        return error;
    if (moved->type() == 0040000)
        moved->parent = &to;
    refresh(from);
    refresh(to);
    refresh(*moved);
    if (target) {
        target->is_dead = target->type() == 0040000;
        drop_if_unused(*target, Evict::kNow);
    }
    return 0;
}

int Vfs::exchange(Node& one_dir, const std::string& one_name, Node& other_dir, const std::string& other_name)
{
    Node *one = nullptr, *other = nullptr;
    if (const int error = lookup(one_dir, one_name, &one))
        return error;
    if (const int error = lookup(other_dir, other_name, &other))
        return error;
    const tarn_rename what = {one_dir.file.inode(),
                              spelled(one_name),
                              other_dir.file.inode(),
                              spelled(other_name),
                              one->file.inode(),
                              other->file.inode(),
                              tick(),
                              nullptr};
    if (const int error = seen(tarn_dir_exchange(&what)))
        return error;
    if (one->type() == 0040000)
        one->parent = &other_dir;
    if (other->type() == 0040000)
        other->parent = &one_dir;
    for (Node* node : {&one_dir, &other_dir, one, other})
        refresh(*node);
    return 0;
}

int Vfs::set_xattr(Node& node, const std::string& name, const std::optional<std::vector<u8>>& value)
{
    const std::string in_space = name.substr(name.find('.') + 1);
    tarn_xattr_change change = {};
    change.xattr.space = TARN_XATTR_USER;
    change.xattr.name = spelled(in_space);
    change.xattr.value = value ? value->data() : nullptr;
    change.xattr.size = value ? static_cast<unsigned>(value->size()) : 0;
    change.how = value ? TARN_XATTR_EITHER : TARN_XATTR_REMOVE;
    refresh(node);
    tarn_attributes wanted = node.attributes;
    wanted.times.change = tick();
    const int error = seen(tarn_inode_set_attributes(node.file.inode(), &wanted, &change));
    refresh(node);
    return error;
}

int Vfs::set_mode(Node& node, u32 mode)
{
    refresh(node);
    tarn_attributes wanted = node.attributes;
    wanted.mode = node.type() | mode;
    wanted.times.change = tick();
    const int error = seen(tarn_inode_set_attributes(node.file.inode(), &wanted, nullptr));
    refresh(node);
    return error;
}

// ---- contents -----------------------------------------------------------------------------------

int Vfs::read(Node& node, u64 offset, u64 length, std::vector<std::byte>& bytes)
{
    bytes.resize(length);
    tarn_user to = memory_of(bytes);
    const long long got = seen(node.file.read(offset, to, length));
    bytes.resize(got > 0 ? static_cast<usize>(got) : 0);
    return static_cast<int>(min<long long>(got, 0));
}

long long Vfs::write(Node& node, u64 offset, const std::vector<std::byte>& bytes)
{
    std::vector<std::byte> copy = bytes;
    tarn_user from = memory_of(copy);
    return seen(node.file.write(offset, from, bytes.size()));
}

int Vfs::fallocate(Node& node, tarn_fallocate_kind kind, FakeFile::KeepSize keep, u64 offset, u64 length,
                   u64 steps)
{
    return seen(node.file.fallocate(kind, keep, offset, length, steps));
}

long long Vfs::seek(Node& node, u64 offset, tarn_seek what) { return seen(node.file.seek(offset, what)); }

int Vfs::store(Node& node, u64 offset, const std::vector<std::byte>& bytes)
{
    FakeMapping mapping(mm_, node.file);
    int error = 0;
    for (u64 at = 0; at < bytes.size() && !error;) {
        const u64 piece = min<u64>(bytes.size() - at, kBlockSize - (offset + at) % kBlockSize);
        error = seen(mapping.store(offset + at, bytes.data() + at, piece));
        at += piece;
    }
    return error;
}

int Vfs::load(Node& node, u64 offset, std::vector<std::byte>& bytes)
{
    int error = 0;
    {
        FakeMapping mapping(mm_, node.file);
        for (u64 at = 0; at < bytes.size() && !error;) {
            const u64 piece = min<u64>(bytes.size() - at, kBlockSize - (offset + at) % kBlockSize);
            error = seen(mapping.load(offset + at, bytes.data() + at, piece));
            at += piece;
        }
    }
    tarn_file_trim(node.file.inode());
    return error;
}

int Vfs::fsync(Node& node) { return seen(node.file.sync()); }

}  // namespace tarn::test
