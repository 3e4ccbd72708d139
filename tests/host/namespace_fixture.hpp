// SPDX-License-Identifier: GPL-2.0
// Calls on Namespace that hand out the error instead of throwing, and a model to compare directories with.
#pragma once
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "tests/host/support/populated.hpp"

namespace tarn::test {

inline Bytes name_bytes(const std::string& name)
{
    return Bytes(reinterpret_cast<const byte*>(name.data()), name.size());
}

class NamespaceFixture {
  public:
    explicit NamespaceFixture(u64 blocks = kTestBlocks) : files(blocks) {}

    Namespace names() { return Namespace(files.fs()); }

    std::unique_ptr<Inode> open(InodeNumber number)
    {
        auto found = files.fs().inodes().find(number);
        if (!found)
            throw std::runtime_error("no inode " + std::to_string(number.value));
        const InodeTable::Found place = found.take();
        return std::make_unique<Inode>(files.fs(), number, place.generation, place.record);
    }

    Error create(InodeNumber dir, const std::string& name, u32 mode, const std::string& target = {})
    {
        auto parent = open(dir);
        const NewInode what{mode, 1000, 100, 0x0801, name_bytes(target), tick()};
        auto created = names().create(*parent, name_bytes(name), what);
        if (created.is_ok())
            last = created.value().number;
        return created.error();
    }
    Error link(InodeNumber dir, const std::string& name, InodeNumber inode)
    {
        return names().link(*open(dir), name_bytes(name), *open(inode), tick()).error();
    }
    // Frees the inode with its last link, as an eviction right after would.
    Error unlink(InodeNumber dir, const std::string& name)
    {
        auto parent = open(dir);
        auto number = names().find(*parent, name_bytes(name));
        if (!number.is_ok())
            return number.error();
        auto inode = open(number.value());
        Status done = names().unlink(*parent, name_bytes(name), *inode, tick());
        if (done.is_ok() && inode->read().links == 0)
            freed_or_throw(*inode);
        return done.error();
    }
    Error exchange(InodeNumber from, const std::string& name, InodeNumber to, const std::string& new_name)
    {
        auto from_dir = open(from);
        auto other = from == to ? nullptr : open(to);
        Inode& to_dir = other ? *other : *from_dir;
        auto moved_number = names().find(*from_dir, name_bytes(name));
        auto target_number = names().find(to_dir, name_bytes(new_name));
        if (!moved_number.is_ok() || !target_number.is_ok())
            return Error::kNotFound;
        auto moved = open(moved_number.value());
        auto target = open(target_number.value());
        Status done = names().exchange(
            Rename{*from_dir, name_bytes(name), to_dir, name_bytes(new_name), *moved, target.get(), tick()});
        return done.error();
    }
    // With `left`, something takes the old name's place.
    Error rename(InodeNumber from, const std::string& name, InodeNumber to, const std::string& new_name,
                 const NewInode* left = nullptr)
    {
        auto from_dir = open(from);
        auto other = from == to ? nullptr : open(to);
        Inode& to_dir = other ? *other : *from_dir;
        auto moved_number = names().find(*from_dir, name_bytes(name));
        if (!moved_number.is_ok())
            return moved_number.error();
        auto moved = open(moved_number.value());
        auto target_number = names().find(to_dir, name_bytes(new_name));
        auto target = target_number.is_ok() ? open(target_number.value()) : nullptr;
        Status done = names().rename(Rename{*from_dir, name_bytes(name), to_dir, name_bytes(new_name), *moved,
                                            target.get(), tick(), left});
        if (done.is_ok() && target && target->read().links == 0)
            freed_or_throw(*target);
        return done.error();
    }
    // Name to number, read through readdir with a buffer of `size` bytes.
    std::map<std::string, u64> list(InodeNumber dir, u32 size = 4096)
    {
        std::map<std::string, u64> entries;
        auto parent = open(dir);
        std::vector<u64> buffer(size / 8);
        MutableBytes bytes(reinterpret_cast<byte*>(buffer.data()), size);
        for (u64 cookie = TARN_COOKIE_FIRST;;) {
            auto used = names().read(*parent, cookie, bytes);
            if (!used.is_ok())
                throw std::runtime_error("read directory");
            if (used.value() == 0)
                return entries;
            for (u32 at = 0; at < used.value();) {
                const auto& entry = *reinterpret_cast<const tarn_dir_entry*>(bytes.data() + at);
                EXPECT_GE(entry.cookie, cookie);
                cookie = entry.cookie + 1;
                const bool fresh =
                    entries.emplace(std::string(entry.name, entry.length), entry.number).second;
                EXPECT_TRUE(fresh) << "twice in readdir";
                at += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
            }
        }
    }
    tarnfs_inode record(InodeNumber number) { return open(number)->read(); }
    tarn_time tick() { return tarn_time{++seconds, 7}; }

    TestFileSystem files;
    InodeNumber last;  // made by the last create
    s64 seconds = 1700000000;
    bool frees = true;  // unlink and rename free what lost its last name; otherwise it stays an orphan

  private:
    void freed_or_throw(Inode& inode)
    {
        if (frees && !files.fs().inodes().free(inode).is_ok())
            throw std::runtime_error("free");
    }
};

}  // namespace tarn::test
