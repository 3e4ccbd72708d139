// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/mount.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <stdexcept>

#include "fs/check/check.hpp"
#include "fs/file/object.hpp"
#include "tests/crash/glue.hpp"
#include "tests/crash/schedule.hpp"

namespace tarn::crash {

namespace {

[[noreturn]] void fail(const std::string& what, long long error)
{
    throw std::runtime_error(what + ": " + std::strerror(static_cast<int>(-error)));
}

void must(const char* what, const std::string& path, long long result)
{
    if (result < 0)
        fail(std::string(what) + " " + path, result);
}

tarn_name spelled(const std::string& name) { return {name.data(), static_cast<unsigned>(name.size())}; }
tarn_time time_of(s64 now) { return {now, 7}; }

}  // namespace

// An inode in memory.
struct Mount::Held {
    explicit Held(Mount& in) : mount(in) {}
    ~Held()
    {
        if (!is_open)
            return;
        tarn_attributes attributes;
        tarn_inode_attributes(&inode, &attributes);
        const bool goes = attributes.links == 0 && !mount.is_gone_;
        if ((attributes.mode & 0170000) == 0100000)
            tarn_file_evict(&inode, goes ? TARN_EVICT_DISCARD : TARN_EVICT_KEEP);
        goes ? tarn_inode_free(&inode) : tarn_inode_close(&inode);
    }

    Mount& mount;
    tarn_inode inode;
    MappedPages mapping;
    bool is_open = false;
    bool is_locked = false;  // i_rwsem
};

// i_rwsem of some inodes, in the order given.
class Mount::Locked {
  public:
    explicit Locked(std::vector<Reference> inodes)
    {
        std::sort(inodes.begin(), inodes.end());
        inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
        for (Reference& inode : inodes) {
            wait_until([&] { return !inode->is_locked; });
            inode->is_locked = true;
            inodes_.push_back(inode);
        }
    }
    ~Locked()
    {
        for (Reference& inode : inodes_)
            inode->is_locked = false;
    }
    Locked(const Locked&) = delete;

  private:
    std::vector<Reference> inodes_;
};

Mount::Mount(const tarn_device& device, Access access) : device_(device)
{
    auto opened = FileSystem::open(device_, access);
    if (!opened.is_ok())
        throw std::runtime_error(std::string("mount: ") + describe(opened.error()));
    fs_ = opened.take();
    if (fs_->volume().is_damaged())
        throw std::runtime_error("mount: damage found");
}

Mount::~Mount()
{
    is_gone_ = true;
    if (fs_)
        fs_->volume().shut_down(Error::kDeviceGone);
    release_held();
}

void Mount::make_writable()
{
    if (Status done = fs_->set_access(Access::kReadWrite); !done.is_ok())
        throw std::runtime_error(std::string("remount: ") + describe(done.error()));
}

void Mount::close()
{
    release_held();
    fs_.reset();
}

Mount::Reference Mount::get(u64 number)
{
    if (Reference known = cache_[number].lock())
        return known;
    auto made = std::make_shared<Held>(*this);
    tarn_attributes attributes;
    if (int error = tarn_inode_open(reinterpret_cast<tarn_fs*>(fs_.get()), number, &made->inode, &attributes))
        fail("inode " + std::to_string(number), error);
    made->is_open = true;
    cache_[number] = made;
    return made;
}

Mount::Reference Mount::find(const std::string& path)
{
    Reference inode = get(TARN_ROOT_INODE);
    for (usize at = 0; at < path.size();) {
        const usize end = std::min(path.find('/', at + 1), path.size());
        const std::string name = path.substr(at + 1, end - at - 1);
        unsigned long long number = 0;
        must("look up", path, tarn_dir_find(&inode->inode, spelled(name), &number));
        inode = get(number);
        at = end;
    }
    return inode;
}

// ---- reading

std::string Mount::read_bytes(Held& inode, const tarn_attributes& attributes)
{
    std::string bytes;
    if ((attributes.mode & 0170000) == 0120000) {
        bytes.resize(4096);
        const int length = tarn_inode_read_link(&inode.inode, bytes.data(), 4096);
        must("readlink", "", length);
        bytes.resize(static_cast<usize>(length));
    } else if ((attributes.mode & 0170000) == 0100000) {
        if (attributes.size > 1 << 25)
            throw std::runtime_error("impossible size");
        bytes.resize(attributes.size);
        tarn_user to{bytes.data(), bytes.size()};
        const long long got = tarn_file_read(&inode.inode, 0, bytes.size(), &to);
        must("read", "", got);
        bytes.resize(static_cast<usize>(got));
    }
    return bytes;
}

Values Mount::read_xattrs(Held& inode)
{
    Values values;
    alignas(8) char buffer[512];
    for (unsigned long long cookie = 0;;) {
        const int used = tarn_xattr_list(&inode.inode, cookie, buffer, sizeof buffer);
        must("list attributes", "", used);
        if (used == 0)
            return values;
        for (int at = 0; at < used;) {
            const auto& found = *reinterpret_cast<const tarn_xattr_name*>(buffer + at);
            const tarn_name name{found.name, found.length};
            const int length = tarn_xattr_get(&inode.inode, found.space, name, nullptr, 0);
            must("attribute", "", length);
            std::string value(static_cast<usize>(length), '\0');
            must(
                "attribute", "",
                tarn_xattr_get(&inode.inode, found.space, name, value.data(), static_cast<unsigned>(length)));
            values[std::to_string(found.space) + "." + std::string(found.name, found.length)] = value;
            cookie = found.cookie + 1;
            at += static_cast<int>(round_up(offsetof(tarn_xattr_name, name) + found.length, 8));
        }
    }
}

std::string Mount::visit(Tree& tree, std::map<u64, u64>& first, const std::string& path, u64 number)
{
    if (tree.paths.size() > 1000)
        throw std::runtime_error("endless tree");
    Reference inode = get(number);
    tarn_attributes attributes;
    tarn_inode_attributes(&inode->inode, &attributes);
    const u64 version = InodeObject::of(&inode->inode).inode.read().version;
    Node node{.mode = attributes.mode,
              .uid = attributes.uid,
              .flags = attributes.flags & TARNFS_INODE_USER_FLAGS,
              .project = attributes.project,
              .links = attributes.links,
              .modified = attributes.times.modify.seconds,
              .changed = attributes.times.change.seconds,
              .bytes = read_bytes(*inode, attributes),
              .xattrs = read_xattrs(*inode),
              .first = number,
              .told = {number, version & TARNFS_VERSION_SEEN ? version : 0}};
    tree.paths.emplace_back(path.empty() ? "/" : path, std::move(node));
    if ((attributes.mode & 0170000) != 0040000)
        return {};
    alignas(8) char buffer[2048];
    for (unsigned long long cookie = TARN_COOKIE_FIRST;;) {
        const int used = tarn_dir_read(&inode->inode, cookie, buffer, sizeof buffer);
        must("readdir", path, used);
        if (used == 0)
            return {};
        for (int at = 0; at < used;) {
            const auto& entry = *reinterpret_cast<const tarn_dir_entry*>(buffer + at);
            visit(tree, first, path + "/" + std::string(entry.name, entry.length), entry.number);
            cookie = entry.cookie + 1;
            at += static_cast<int>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
        }
    }
}

Tree Mount::tree()
{
    Tree tree;
    std::map<u64, u64> first;
    visit(tree, first, "", TARN_ROOT_INODE);
    char label[TARN_LABEL_BYTES];
    auto* fs = reinterpret_cast<tarn_fs*>(fs_.get());
    tarn_fs_label(fs, label);
    const std::string superblock = superblock_text(label, tarn_fs_blocks(fs));
    tree.paths.emplace_back(kSuperblock, Node{.bytes = superblock, .first = ~u64{0}});
    std::sort(tree.paths.begin(), tree.paths.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (usize i = 0; i < tree.paths.size(); i++)
        tree.paths[i].second.first = first.emplace(tree.paths[i].second.first, i).first->second;
    return tree;
}

std::string Mount::check()
{
    std::string problems;
    CheckReporter reporter;
    reporter.context = &problems;
    reporter.problem = [](void* context, const char* format, va_list arguments) {
        char line[300];
        std::vsnprintf(line, sizeof line, format, arguments);
        static_cast<std::string*>(context)->append(line).append("\n");
    };
    auto checked = tarn::check(fs_->volume(), reporter);
    if (!checked.is_ok())
        throw std::runtime_error("check: no memory");
    if (checked.value().orphans)
        problems += "orphans are left over\n";
    if (fs_->volume().is_damaged())
        problems += "damage found while reading\n";
    return problems;
}

// ---- changing

namespace {

tarn_xattr xattr_of(const std::string& name, const std::string& value)
{
    const tarn_name its_name{name.data() + 2, static_cast<unsigned>(name.size() - 2)};
    return {static_cast<u8>(name[0] - '0'), its_name, value.data(), static_cast<unsigned>(value.size())};
}

}  // namespace

void Mount::create(const std::string& path, u32 mode, s64 now, const std::string& target,
                   const Values& xattrs)
{
    std::vector<tarn_xattr> list;
    for (const auto& [name, value] : xattrs)
        list.push_back(xattr_of(name, value));
    Reference dir = find(parent_of(path));
    Locked locked({dir});
    tarn_new_inode what = {};
    what.mode = mode;
    what.now = time_of(now);
    what.target = spelled(target);
    what.xattrs = list.data();
    what.xattr_count = static_cast<unsigned>(list.size());
    auto made = std::make_shared<Held>(*this);
    tarn_attributes attributes;
    const std::string name = name_of(path);
    must("create", path, tarn_dir_create(&dir->inode, spelled(name), &what, &made->inode, &attributes));
    made->is_open = true;
    cache_[attributes.number] = made;
}

void Mount::create_nameless(const std::string& bytes, s64 now, const std::string& path)
{
    Reference dir = find(parent_of(path));
    tarn_new_inode what = {};
    what.mode = 0100644;
    what.now = time_of(now);
    auto made = std::make_shared<Held>(*this);
    tarn_attributes attributes;
    {
        Locked locked({dir});
        must("create a file without a name in", parent_of(path),
             tarn_dir_create_nameless(&dir->inode, &what, &made->inode, &attributes));
    }
    made->is_open = true;
    write_locked(*made, 0, bytes, now, ~u64{0});
    if (path.empty())
        return;
    Locked locked({dir});
    const std::string name = name_of(path);
    must("link", path, tarn_dir_link(&dir->inode, spelled(name), &made->inode, time_of(now)));
    cache_[attributes.number] = made;
}

void Mount::link(const std::string& from, const std::string& to, s64 now)
{
    Reference dir = find(parent_of(to)), inode = find(from);
    Locked locked({dir, inode});
    const std::string name = name_of(to);
    must("link", to, tarn_dir_link(&dir->inode, spelled(name), &inode->inode, time_of(now)));
}

void Mount::unlink(const std::string& path, s64 now)
{
    Reference dir = find(parent_of(path)), inode = find(path);
    {
        Locked locked({dir, inode});
        const std::string name = name_of(path);
        must("unlink", path, tarn_dir_unlink(&dir->inode, spelled(name), &inode->inode, time_of(now)));
    }
}

template <class Call>
void Mount::call_rename(const std::string& from, const std::string& to, s64 now, Call call)
{
    Reference from_dir = find(parent_of(from)), to_dir = find(parent_of(to)), moved = find(from), target;
    const std::string from_name = name_of(from), to_name = name_of(to);
    unsigned long long number = 0;
    if (tarn_dir_find(&to_dir->inode, spelled(to_name), &number) == 0)
        target = get(number);
    Locked locked({from_dir, to_dir});
    tarn_rename what = {};
    what.from_dir = &from_dir->inode;
    what.from = spelled(from_name);
    what.to_dir = &to_dir->inode;
    what.to = spelled(to_name);
    what.moved = &moved->inode;
    what.target = target ? &target->inode : nullptr;
    what.now = time_of(now);
    must("rename", from, call(what));
}

void Mount::rename(const std::string& from, const std::string& to, s64 now, u32 left)
{
    tarn_new_inode in_its_place = {};
    in_its_place.mode = left;
    in_its_place.now = time_of(now);
    call_rename(from, to, now, [&](tarn_rename& what) {
        what.left = left ? &in_its_place : nullptr;
        return tarn_dir_rename(&what);
    });
}

void Mount::exchange(const std::string& one, const std::string& other, s64 now)
{
    call_rename(one, other, now, [](tarn_rename& what) { return tarn_dir_exchange(&what); });
}

void Mount::write(const std::string& path, u64 offset, const std::string& bytes, s64 now, u64 piece)
{
    Reference inode = find(path);
    Locked locked({inode});
    write_locked(*inode, offset, bytes, now, piece);
}

void Mount::write_locked(Held& inode, u64 offset, const std::string& bytes, s64 now, u64 piece)
{
    tarn_user from{const_cast<char*>(bytes.data()), bytes.size(), 0, piece};
    tarn_write write = {};
    write.offset = offset;
    write.length = bytes.size();
    write.from = &from;
    write.times.modify = write.times.change = time_of(now);
    while (write.length) {
        const long long wrote = tarn_file_write(&inode.inode, &write);
        if (wrote <= 0)
            fail("write", wrote ? wrote : -EIO);
        write.offset += static_cast<u64>(wrote);
        write.length -= static_cast<u64>(wrote);
    }
    must("write", "", tarn_file_write_end(&inode.inode, &write));
}

void Mount::truncate(const std::string& path, u64 size, s64 now)
{
    Reference inode = find(path);
    Locked locked({inode});
    inode->mapping.zap(divide_up(size, kBlockSize), ~u64{0});
    tarn_times times = {};
    times.modify = times.change = time_of(now);
    must("truncate", path, tarn_file_resize(&inode->inode, size, &times));
}

void Mount::fallocate(const std::string& path, const Allocation& what, s64 now)
{
    Reference inode = find(path);
    Locked locked({inode});
    if (what.clears())
        inode->mapping.zap(what.offset / kBlockSize,
                           divide_up(what.end(), kBlockSize) - what.offset / kBlockSize);
    if (what.shifts())
        inode->mapping.zap(what.offset / kBlockSize, ~u64{0});
    tarn_fallocate request = {};
    request.offset = what.offset;
    request.length = what.length;
    request.kind = static_cast<tarn_fallocate_kind>(what.kind);
    request.keep_size = what.keeps_size;
    request.times.modify = request.times.change = time_of(now);
    int more = 1;
    while (more > 0)
        more = tarn_file_fallocate(&inode->inode, &request);
    must("fallocate", path, more);
}

void Mount::set_attributes(const std::string& path, u32 mode, u32 uid, s64 now)
{
    Reference inode = find(path);
    Locked locked({inode});
    tarn_attributes attributes;
    tarn_inode_attributes(&inode->inode, &attributes);
    attributes.mode = (attributes.mode & 0170000) | mode;
    attributes.uid = uid;
    attributes.times.change = time_of(now);
    must("set attributes of", path, tarn_inode_set_attributes(&inode->inode, &attributes, nullptr));
}

void Mount::set_flags(const std::string& path, u32 flags, u32 project, s64 now)
{
    Reference inode = find(path);
    Locked locked({inode});
    must("set flags of", path, tarn_inode_set_flags(&inode->inode, flags, project, time_of(now)));
}

void Mount::query_version(const std::string& path)
{
    unsigned long long version = 0;
    must("ask for the version of", path, tarn_inode_query_version(&find(path)->inode, &version));
}

void Mount::set_xattr(const std::string& path, const std::string& name, const std::string* value, u32 mode,
                      s64 now)
{
    Reference inode = find(path);
    Locked locked({inode});
    tarn_attributes attributes;
    tarn_inode_attributes(&inode->inode, &attributes);
    if (mode)
        attributes.mode = (attributes.mode & 0170000) | mode;
    attributes.times.change = time_of(now);
    const std::string none;
    const tarn_xattr_change change{xattr_of(name, value ? *value : none),
                                   value ? TARN_XATTR_EITHER : TARN_XATTR_REMOVE};
    must("set attribute of", path, tarn_inode_set_attributes(&inode->inode, &attributes, &change));
}

void Mount::store(const std::string& path, u64 offset, u64 word)
{
    Reference inode = find(path);
    held_.push_back(inode);  // whoever maps a file keeps it open
    const u64 block = offset / kBlockSize;
    tarn_fault fault{&inode->mapping};
    const tarn_fault_request request{block, block, block + 1, TARN_FAULT_WRITE};
    must("fault of", path, tarn_file_fault(&inode->inode, &fault, &request));
    const std::optional<u64> pfn = inode->mapping.writable(block);
    if (!pfn)
        throw std::runtime_error("a fault that installs nothing");
    store_to_device((*pfn - device_.first_pfn) * kBlockSize + offset % kBlockSize, &word, sizeof word);
}

void Mount::sync_data(const std::string& path)
{
    Reference inode = find(path);
    must("fdatasync", path, tarn_file_sync(&inode->inode, 0, ~0ull >> 1));
}

void Mount::sync(const std::string& path, s64 now)
{
    Reference inode = find(path);
    must("fsync", path, tarn_file_sync(&inode->inode, 0, ~0ull >> 1));
    tarn_attributes attributes;
    tarn_inode_attributes(&inode->inode, &attributes);
    attributes.times.modify = attributes.times.change = time_of(now);
    must("fsync", path, tarn_inode_write_times(&inode->inode, &attributes.times));
    tarn_inode_attributes(&inode->inode, &attributes);
    if (attributes.times.modify.seconds != now)
        throw std::runtime_error("fsync " + path + ": the time of the last change stays in memory");
}

void Mount::settle() { must("freeze", "", tarn_fs_settle(reinterpret_cast<tarn_fs*>(fs_.get()))); }

void Mount::set_label(const std::string& label)
{
    must("label", "", tarn_fs_set_label(reinterpret_cast<tarn_fs*>(fs_.get()), label.c_str()));
}

void Mount::grow() { must("grow", "", tarn_fs_grow(reinterpret_cast<tarn_fs*>(fs_.get()), 0)); }

void Mount::hold(const std::string& path) { held_.push_back(find(path)); }
void Mount::release_held()
{
    held_.clear();
    hoarded_.clear();
}

void Mount::hoard(Hoard what)
{
    InodeTable& table = fs_->inodes();
    auto take = [&] {
        auto reserved = table.reserve(InodeNumber(TARN_ROOT_INODE));
        if (!reserved.is_ok())
            throw std::runtime_error(std::string("inode numbers: ") + describe(reserved.error()));
        hoarded_.push_back(reserved.take());
    };
    do
        take();
    while (what == Hoard::kChunk ? table.free_numbers() > 0
                                 : hoarded_.back().number().value + 1 < TARNFS_BITMAP_BITS);
}

}  // namespace tarn::crash
