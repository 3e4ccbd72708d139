// SPDX-License-Identifier: GPL-2.0
// Vfs: what the kernel's VFS and the glue do with the core, for the fuzz targets: one object for each inode
// in use, found by directory and name, evicted after its last name has gone. Files go through FakeFile and
// FakeMm, as in the host tests.
//
// It promises the core what the VFS promises, whatever the media says: an inode is open once, a directory has
// one place in the tree, nothing is renamed below itself or made in a directory that has been removed.
//
// Each result of the core is looked at: damage is reported with a block number and makes the file system
// read-only; no lock, and no NOFS scope, outlives a call. What breaks that ends the process, with the log of
// the core.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/host/support/fake_mm.hpp"

namespace tarn::test {

// Prints what is wrong and what the core has logged lately, and aborts.
[[noreturn]] void die(const std::string& what);

// Time, processor and random numbers are the same for each input from here on.
void begin_input();

class Vfs {
  public:
    struct Node {
        FakeFile file;
        tarn_attributes attributes{};
        Node* parent = nullptr;    // of a directory: where it was found
        bool is_dead = false;      // a directory that has been removed
        bool is_nameless = false;  // made without a name, which it may be given

        u64 number() const { return attributes.number; }
        u32 type() const { return attributes.mode & 0170000; }
    };
    struct Entry {
        std::string name;
        u64 number = 0;
    };

    explicit Vfs(FakeMm& mm);
    ~Vfs();
    Vfs(const Vfs&) = delete;
    Vfs& operator=(const Vfs&) = delete;

    // All return 0 or -errno, or a count where that is said.
    int mount(const tarn_device& device, tarn_access access);
    void unmount();
    // The same, but what has lost its last name is not freed.
    void unmount_leaving_orphans();
    // As a power cut: nothing is stored any more, and everything in memory goes.
    void abandon();
    bool is_mounted() const { return fs_ != nullptr; }
    bool is_read_only() const { return tarn_fs_is_read_only(fs_) != 0; }
    tarn_fs* fs() { return fs_; }
    int remount(tarn_access access);
    int sync() { return seen(tarn_fs_sync(fs_)); }
    int settle() { return seen(tarn_fs_settle(fs_)); }

    Node& root() { return *root_; }
    // From the root on; "" or "/" is the root.
    int resolve(const std::string& path, Node** found);
    int lookup(Node& dir, const std::string& name, Node** found);
    // At most `limit` entries.
    int list(Node& dir, std::vector<Entry>& entries, usize limit);
    int read_link(Node& link, std::string& target);
    int refresh(Node& node);

    int create(Node& dir, const std::string& name, u32 mode, const std::string& target, Node** made);
    // A regular file without a name, which link() gives it.
    int create_nameless(Node& dir, u32 mode, Node** made);
    int link(Node& dir, const std::string& name, Node& inode);
    enum class Evict { kNow, kAtUnmount };
    int unlink(Node& dir, const std::string& name, Evict evict = Evict::kNow);
    int rename(Node& from, const std::string& name, Node& to, const std::string& new_name);
    // Both are there, and are not the same.
    int exchange(Node& one_dir, const std::string& one_name, Node& other_dir, const std::string& other_name);
    int set_mode(Node& node, u32 mode);
    // "user.name"; no value: it goes.
    int set_xattr(Node& node, const std::string& name, const std::optional<std::vector<u8>>& value);

    int read(Node& node, u64 offset, u64 length, std::vector<std::byte>& bytes);
    long long write(Node& node, u64 offset, const std::vector<std::byte>& bytes);
    int truncate(Node& node, u64 size) { return seen(node.file.truncate(size)); }
    // At most `steps` of them.
    int fallocate(Node& node, tarn_fallocate_kind kind, FakeFile::KeepSize keep, u64 offset, u64 length,
                  u64 steps);
    long long seek(Node& node, u64 offset, tarn_seek what);
    // Through a mapping made for it; `length` bytes, block by block.
    int store(Node& node, u64 offset, const std::vector<std::byte>& bytes);
    int load(Node& node, u64 offset, std::vector<std::byte>& bytes);
    int fsync(Node& node);

    // Something without a name has not been evicted yet.
    bool has_open_orphans() const { return open_orphans_ != 0; }
    // The core has called something damaged since mount.
    bool has_met_damage() const { return has_met_damage_; }

  private:
    tarn_new_inode new_inode(u32 mode, const std::string& target);
    // The node has been made.
    void add(Node& dir, std::unique_ptr<Node> node, Node** made);
    long long seen(long long result);
    int seen(int result) { return static_cast<int>(seen(static_cast<long long>(result))); }
    int get(u64 number, Node** found);
    bool is_above(const Node& node, const Node& below) const;
    void drop_if_unused(Node& node, Evict evict);
    tarn_time tick();

    FakeMm& mm_;
    tarn_fs* fs_ = nullptr;
    Node* root_ = nullptr;
    std::map<u64, std::unique_ptr<Node>> nodes_;
    bool has_met_damage_ = false;
    usize open_orphans_ = 0;
    s64 seconds_ = 1700000000;
};

// Keeps the last lines the core has logged since it was made, off standard error.
class LogWatch {
  public:
    LogWatch();
    ~LogWatch();
    static const std::string& text();
    static bool has_named_a_block();
};

}  // namespace tarn::test
