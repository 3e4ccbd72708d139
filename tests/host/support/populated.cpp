// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/populated.hpp"

#include <cstdarg>
#include <cstdio>

#include "fs/file/block_map.hpp"

namespace tarn::test {

namespace {

template <class T>
T must(Result<T>&& result, const char* what)
{
    if (!result)
        throw std::runtime_error(std::string(what) + ": " + describe(result.error()));
    return result.take();
}

Bytes bytes_of(const std::string& text)
{
    return Bytes(reinterpret_cast<const byte*>(text.data()), text.size());
}

}  // namespace

TestFileSystem::TestFileSystem(u64 blocks) : device_(blocks)
{
    format_device(device_);
    mount();
}

TestFileSystem::TestFileSystem(const std::vector<std::byte>& image, Access access) : device_(image)
{
    mount(access);
}

void TestFileSystem::mount(Access access) { fs_ = must(FileSystem::open(device_.device(), access), "mount"); }

void TestFileSystem::cut_power()
{
    const auto image = device_.image();
    fs_.reset();
    device_.restore(image);
}

Box<Inode> TestFileSystem::open_inode(InodeNumber number)
{
    auto found = must(fs_->inodes().find(number), "find inode");
    return must(Box<Inode>::create(*fs_, number, found.generation, found.record), "open inode");
}

InodeNumber TestFileSystem::create(InodeNumber dir, const std::string& name, u32 mode,
                                   const std::string& target)
{
    auto parent = open_inode(dir);
    NewInode what;
    what.mode = mode;
    what.target = bytes_of(target);
    what.now = now_;
    return must(Namespace(*fs_).create(*parent, bytes_of(name), what), "create").number;
}

void TestFileSystem::link(InodeNumber dir, const std::string& name, InodeNumber number)
{
    auto parent = open_inode(dir);
    auto inode = open_inode(number);
    must(Namespace(*fs_).link(*parent, bytes_of(name), *inode, now_), "link");
}

InodeNumber TestFileSystem::find(InodeNumber dir, const std::string& name)
{
    auto parent = open_inode(dir);
    return must(Namespace(*fs_).find(*parent, bytes_of(name)), "find name");
}

void TestFileSystem::unlink(InodeNumber dir, const std::string& name)
{
    auto inode = open_inode(find(dir, name));
    auto parent = open_inode(dir);
    must(Namespace(*fs_).unlink(*parent, bytes_of(name), *inode, now_), "unlink");
}

void TestFileSystem::free(InodeNumber number)
{
    auto inode = open_inode(number);
    must(fs_->inodes().free(*inode), "free");
}

void TestFileSystem::rename(InodeNumber from, const std::string& name, InodeNumber to,
                            const std::string& new_name)
{
    auto moved = open_inode(find(from, name));
    auto from_dir = open_inode(from);
    Box<Inode> other_dir;
    if (from != to)
        other_dir = open_inode(to);
    Inode& to_dir = other_dir ? *other_dir : *from_dir;
    auto existing = Namespace(*fs_).find(to_dir, bytes_of(new_name));
    Box<Inode> target;
    if (existing)
        target = open_inode(existing.value());
    must(Namespace(*fs_).rename(
             Rename{*from_dir, bytes_of(name), to_dir, bytes_of(new_name), *moved, target.get(), now_}),
         "rename");
}

void TestFileSystem::fill(InodeNumber number, u64 first_block, u64 count)
{
    auto inode = open_inode(number);
    Volume& volume = fs_->volume();
    while (count) {
        Reserved reserved = must(volume.reserve(count, DeviceBlock(volume.layout().first_data)), "reserve");
        const u64 got = reserved.run().count;
        InFlightBatch in_flight;
        must(in_flight.add(std::move(reserved).zero(volume.media())), "zero");
        DurableBatch durable;
        must(std::move(in_flight).fence(volume.media(), durable), "fence");
        ExclusiveGuard guard(inode->lock);
        Transaction txn(volume);
        must(BlockMap(volume, inode->tree()).publish(txn, FileBlock(first_block), durable.take(0)),
             "publish");
        tarnfs_inode& changed = must(txn.edit_inode_record(inode->record), "edit");
        changed.size = max<u64>(changed.size, (first_block + got) * kBlockSize);
        must(txn.commit(), "commit");
        first_block += got;
        count -= got;
    }
}

void TestFileSystem::set_xattr(InodeNumber number, u8 space, const std::string& name,
                               const std::string& value)
{
    auto inode = open_inode(number);
    tarn_attributes attributes{};
    Namespace(*fs_).attributes(*inode, attributes);
    const tarn_name its_name{name.data(), static_cast<unsigned>(name.size())};
    const tarn_xattr_change change{{space, its_name, value.data(), static_cast<unsigned>(value.size())},
                                   TARN_XATTR_EITHER};
    must(Namespace(*fs_).set_attributes(*inode, attributes, &change), "set attribute");
}

tarnfs_inode& TestFileSystem::record(InodeNumber number)
{
    auto found = must(fs_->inodes().find(number), "find inode");
    return *reinterpret_cast<tarnfs_inode*>(device_.bytes() + found.record.value);
}

void TestFileSystem::seal(tarnfs_inode& record)
{
    record.crc = structure_crc(&record, sizeof record, offsetof(tarnfs_inode, crc));
}

void populate(TestFileSystem& fs, u64 seed)
{
    std::mt19937_64 random(seed);
    const InodeNumber many = fs.mkdir(kRoot, "many");
    for (int i = 0; i < 200; i++) {
        const std::string name = "entry-" + std::to_string(random() % 100000) + "-" + std::to_string(i);
        fs.file(many, i % 7 ? name : name + std::string(200, 'x'));
    }
    const InodeNumber files = fs.mkdir(kRoot, "files");
    const InodeNumber whole = fs.file(files, "whole");
    fs.fill(whole, 0, 300);
    const InodeNumber holes = fs.file(files, "holes");
    for (u64 i = 0; i < 600; i++)
        fs.fill(holes, i * 2 + random() % 2, 1);
    fs.fill(fs.file(files, "far"), kMaxFileBlocks - 3, 3);
    fs.link(kRoot, "second-name", whole);
    InodeNumber deep = files;
    for (int i = 0; i < 10; i++)
        deep = fs.mkdir(deep, "d" + std::to_string(i));
    fs.create(deep, "short-link", kTypeSymlink | 0777, "../target");
    fs.create(deep, "long-link", kTypeSymlink | 0777, std::string(1000, 't'));
    fs.create(deep, "fifo", kTypeFifo | 0600);
    fs.create(deep, "null", kTypeCharacter | 0666);
    fs.rename(deep, "fifo", kRoot, "moved-fifo");
    const InodeNumber tagged = fs.file(files, "tagged");
    for (int i = 0; i < 40; i++)
        fs.set_xattr(tagged, TARN_XATTR_USER, "attribute-" + std::to_string(i),
                     std::string(i % 8 ? 100 + i : 5000 + i * 100, 'v'));
    const InodeNumber labelled = fs.mkdir(files, "labelled");
    fs.set_xattr(labelled, TARN_XATTR_SECURITY, "label", "a label");
    fs.set_xattr(labelled, TARN_XATTR_TRUSTED, "large", std::string(9000, 'l'));
    const InodeNumber gone = fs.file(kRoot, "orphan");
    fs.set_xattr(gone, TARN_XATTR_USER, "gone", std::string(4097, 'g'));
    fs.fill(gone, 0, 20);
    fs.unlink(kRoot, "orphan");
}

const std::vector<std::byte>& populated_image()
{
    static const std::vector<std::byte> image = [] {
        TestFileSystem fs;
        populate(fs);
        fs.unmount();
        return fs.device().image();
    }();
    return image;
}

namespace {

void collect(void* context, const char* format, va_list arguments)
{
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    static_cast<Checked*>(context)->problems.push_back(line);
}

Checked check_with(TestDevice& device, bool replay)
{
    Checked checked;
    Layout layout;
    {
        Media media(device.device());
        auto read = read_layout(media);
        if (!read) {
            checked.problems.push_back(std::string("superblock: ") + describe(read.error()));
            checked.summary.problems = 1;
            return checked;
        }
        layout = read.take();
    }
    Volume volume(device.device(), layout);
    u64 unopened = 0;
    if (replay)
        if (Status opened = volume.open(Volume::Access::kReadOnly); !opened) {
            checked.problems.push_back(std::string("open: ") + describe(opened.error()));
            unopened = 1;
        }
    checked.summary = must(check(volume, CheckReporter{&checked, collect, nullptr}), "check");
    checked.summary.problems += unopened;
    return checked;
}

}  // namespace

std::string Checked::text() const
{
    std::string all;
    for (const std::string& problem : problems)
        all += problem + "\n";
    return all;
}

Checked check_device(TestDevice& device) { return check_with(device, true); }
Checked check_as_is(TestDevice& device) { return check_with(device, false); }

}  // namespace tarn::test
