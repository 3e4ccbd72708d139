// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/session.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/interleave/scheduler.hpp"

namespace tarn::crash {

s64& Session::now()
{
    static s64 times[] = {1000, 1000, 1000};  // who is alone has the last
    return times[std::min<unsigned>(test::Scheduler::current(), 2)];
}

void Session::mount(Access first)
{
    mount_ = std::make_unique<Mount>(pmem_.device(), first);
    mount_->store_to_device = [this](u64 offset, const void* bytes, u64 length) {
        pmem_.store(offset, bytes, length);
    };
}

void Session::remount()
{
    for (const auto& [path, words] : model_.unsynced() ? *model_.unsynced() : Unsynced())
        model_.sync(path);
    mount_->close();
    mount_.reset();
    mount();
}

void Session::power_cut(Access first)
{
    if (model_.unsynced())
        return;
    mount_.reset();
    pmem_.cut_power();
    mount(first);
    if (first == Access::kReadWrite)
        return;
    const auto processor = static_cast<int>(tarn_cpu_current());
    host::pretend_cpu((processor + 1) % 3);
    mount_->make_writable();
    host::pretend_cpu(processor);
}

// Words that no other operation writes.
std::string Session::pattern(u64 length) const
{
    std::string bytes(round_up(length, kWordSize), ' ');
    for (u64 at = 0; at < bytes.size(); at += kWordSize) {
        const u64 word = (static_cast<u64>(now()) << 32 | at) * 0x9e3779b97f4a7c15 | 0x0101010101010101;
        std::memcpy(bytes.data() + at, &word, kWordSize);
    }
    bytes.resize(length);
    return bytes;
}

void Session::changes(const std::string& path, u64 first, u64 end) { changes_.push_back({path, first, end}); }

void Session::write(const std::string& path, u64 offset, u64 length, u64 piece)
{
    const Node* node = model_.find(path);
    const u64 old_size = node ? node->bytes.size() : 0;
    const std::string bytes = pattern(length);
    run(model_.write(path, offset, bytes), [&] {
        changes(path, std::min(offset, old_size), offset + length);
        mount_->write(path, offset, bytes, now(), piece);
    });
}

void Session::append(const std::string& path, u64 length)
{
    const Node* node = model_.find(path);
    write(path, node ? node->bytes.size() : 0, length);
}

void Session::truncate(const std::string& path, u64 size)
{
    run(model_.truncate(path, size), [&] { mount_->truncate(path, size, now()); });
}

void Session::store(const std::string& path, u64 offset)
{
    u64 word;
    std::memcpy(&word, pattern(kWordSize).data(), kWordSize);
    run(model_.store(path, offset, word), [&] {
        changes(path, offset, offset + kWordSize);
        mount_->store(path, offset, word);
    });
}

void Session::store_behind(const std::string& path)
{
    const Node* node = model_.find(path);
    const u64 offset = node ? round_up(node->bytes.size(), kWordSize) + kLineSize : 0;
    if (!node || !node->is_file() || offset / kBlockSize >= divide_up(node->bytes.size(), kBlockSize))
        return;
    u64 word;
    std::memcpy(&word, pattern(kWordSize).data(), kWordSize);
    mount_->store(path, offset, word);
}

void Session::fallocate(const std::string& path, const Allocation& what)
{
    const Node* node = model_.find(path);
    const u64 old_size = node ? node->bytes.size() : 0;
    run(model_.fallocate(path, what), [&] {
        changes(path, what.clears() ? std::min(what.offset, old_size) : old_size, what.end());
        mount_->fallocate(path, what, now());
    });
}

// Atomic: nothing may show but the file before and after.
void Session::shift(const std::string& path, const Allocation& what)
{
    run(model_.shift(path, what), [&] { mount_->fallocate(path, what, now()); });
}

// A file and a second name of it, one with a hole, a directory with something in it, an empty one, a symlink;
// two have extended attributes.
void Session::populate()
{
    create("/f");
    write("/f", 0, 6000);
    create("/g");
    write("/g", 0, 3000);
    write("/g", 8192, 5000);
    mkdir("/d");
    create("/d/x");
    write("/d/x", 0, 100);
    set_xattr("/d/x", "1.short", 50);
    set_xattr("/d/x", "1.long", 5000);
    mkdir("/d/sub");
    mkdir("/e");
    set_xattr("/e", "2.only", 20);
    symlink("/s", 5);
    link("/f", "/h");
}

}  // namespace tarn::crash
