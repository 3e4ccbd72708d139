// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/snapshot.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <deque>

#include "fs/file/block_map.hpp"

namespace tarn::test {

namespace {

constexpr usize kLongestTarget = 4096;

struct Opened {
    Box<FileSystem> fs;
    explicit Opened(const tarn_device& device)
    {
        auto opened = FileSystem::open(device, Access::kReadOnly);
        if (!opened)
            throw std::runtime_error(std::string("mount: ") + describe(opened.error()));
        fs = opened.take();
    }
    Box<Inode> inode(u64 number)
    {
        auto found = fs->inodes().find(InodeNumber(number));
        if (!found)
            throw std::runtime_error("inode " + std::to_string(number) + ": " + describe(found.error()));
        return Box<Inode>::create(*fs, InodeNumber(number), found.value().generation, found.value().record)
            .take();
    }
};

template <class Visit>
void each_extent(FileSystem& fs, Inode& file, Visit visit)
{
    BlockMap map(fs.volume(), file.tree());
    for (u64 at = 0; at < kMaxFileBlocks;) {
        const Mapping mapping = map.lookup(nullptr, FileBlock(at), kMaxFileBlocks - at).take();
        if (!mapping.is_hole())
            visit(mapping);
        at += mapping.count;
    }
}

std::string file_contents(FileSystem& fs, Inode& file)
{
    std::string contents;
    const u64 blocks = divide_up(file.read().size, kBlockSize);
    each_extent(fs, file, [&](const Mapping& mapping) {
        for (u64 i = 0; mapping.is_written() && i < mapping.count && mapping.first.value + i < blocks; i++) {
            u64 first, last;
            const byte* block = fs.media().at(mapping.device + i);
            std::memcpy(&first, block, 8);
            std::memcpy(&last, block + kBlockSize - 8, 8);
            contents += std::to_string(mapping.first.value + i) + ":" + std::to_string(first) + "," +
                        std::to_string(last) + " ";
        }
    });
    return contents;
}

std::string target_of(FileSystem& fs, Inode& link)
{
    std::vector<char> target(kLongestTarget);
    auto length =
        Namespace(fs).read_link(link, MutableBytes(reinterpret_cast<byte*>(target.data()), target.size()));
    return length ? std::string(target.data(), length.value()) : describe(length.error());
}

// Names and values, by position.
std::string xattrs_of(FileSystem& fs, Inode& inode)
{
    std::string all;
    const Xattrs xattrs(fs.volume(), inode.xattr_tree());
    for (u64 cookie = 0;;) {
        auto entry = xattrs.next(cookie);
        if (!entry || !entry.value())
            return entry ? all : all + describe(entry.error());
        const XattrEntry& e = *entry.value();
        std::string value(e.length, '\0');
        auto got =
            xattrs.get(e.space, e.name, MutableBytes(reinterpret_cast<byte*>(value.data()), value.size()));
        all += std::string(reinterpret_cast<const char*>(e.name.data()), e.name.size()) + "=" +
               (got ? value : std::string(describe(got.error()))) + ";";
        cookie = e.cookie + 1;
    }
}

Seen look_at(FileSystem& fs, Inode& inode)
{
    const tarnfs_inode& record = inode.read();
    Seen seen{record.number, static_cast<u16>(record.mode & kTypeMask), record.size, {}};
    if (inode.is_directory())
        seen.size = 0;
    if (inode.is_regular())
        seen.contents = file_contents(fs, inode);
    if (inode.is(kTypeSymlink))
        seen.contents = target_of(fs, inode);
    seen.contents += xattrs_of(fs, inode);
    return seen;
}

template <class Visit>
void each_entry(FileSystem& fs, Inode& dir, Visit visit)
{
    std::vector<u64> buffer(8192);
    for (u64 cookie = 0;;) {
        const u32 used = Namespace(fs)
                             .read(dir, cookie, MutableBytes(reinterpret_cast<byte*>(buffer.data()), 65536))
                             .take();
        if (used == 0)
            return;
        for (u32 at = 0; at < used;) {
            const auto& entry =
                *reinterpret_cast<tarn_dir_entry*>(reinterpret_cast<byte*>(buffer.data()) + at);
            const std::string name(entry.name, entry.length);
            cookie = entry.cookie + 1;
            at += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
            if (name != "." && name != "..")
                visit(name, entry.number);
        }
    }
}

template <class Visit>
void each_path(Opened& opened, Visit visit)
{
    std::deque<std::pair<std::string, u64>> queue{{"", TARNFS_INO_ROOT}};
    for (; !queue.empty(); queue.pop_front()) {
        const auto [path, number] = queue.front();
        auto inode = opened.inode(number);
        visit(path, *inode);
        if (inode->is_directory())
            each_entry(*opened.fs, *inode, [&](const std::string& name, u64 child) {
                queue.emplace_back(path + "/" + name, child);
            });
    }
}

}  // namespace

Snapshot snapshot_of(const std::vector<std::byte>& image)
{
    TestDevice device(image);
    Opened opened(device.device());
    Snapshot all;
    each_path(opened, [&](const std::string& path, Inode& inode) { all[path] = look_at(*opened.fs, inode); });
    return all;
}

void stamp_files(TestDevice& device)
{
    Opened opened(device.device());
    each_path(opened, [&](const std::string&, Inode& inode) {
        if (!inode.is_regular())
            return;
        each_extent(*opened.fs, inode, [&](const Mapping& mapping) {
            for (u64 i = 0; i < mapping.count; i++) {
                const u64 stamp = inode.number.value << 40 | (mapping.first.value + i);
                for (u64 at = 0; at < kBlockSize; at += 8)
                    std::memcpy(device.block((mapping.device + i).value) + at, &stamp, 8);
            }
        });
    });
}

const std::vector<std::byte>& stamped_image()
{
    static const std::vector<std::byte> image = [] {
        TestDevice device(populated_image());
        stamp_files(device);
        return device.image();
    }();
    return image;
}

std::vector<std::string> lost(const Snapshot& before, const Snapshot& after)
{
    std::vector<std::string> paths;
    for (const auto& [path, seen] : before)
        if (auto found = after.find(path); found == after.end() || found->second != seen)
            paths.push_back(path);
    return paths;
}

RepairedDevice repair_device(TestDevice& device, bool only_safe)
{
    RepairedDevice done;
    Layout layout;
    {
        Media media(device.device());
        auto read = read_layout(media);
        if (!read) {
            done.error = read.error();
            return done;
        }
        layout = read.take();
    }
    const CheckReporter reporter{&done,
                                 [](void* context, const char* format, va_list arguments) {
                                     char line[512];
                                     std::vsnprintf(line, sizeof line, format, arguments);
                                     static_cast<RepairedDevice*>(context)->said += std::string(line) + "\n";
                                 },
                                 nullptr};
    const Approval approval{
        &only_safe, [](void* context, Fix fix) { return !*static_cast<bool*>(context) || is_safe(fix); }};
    auto repaired = repair(device.device(), layout, reporter, approval);
    done.possible = repaired.is_ok();
    done.error = repaired.error();
    if (repaired)
        done.result = repaired.value();
    done.checked = check_device(device);
    return done;
}

}  // namespace tarn::test
