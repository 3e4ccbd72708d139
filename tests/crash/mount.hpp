// SPDX-License-Identifier: GPL-2.0
// Mount: a mounted file system, driven by path through the core's C interface as the VFS glue drives it: it
// has an inode cache, takes i_rwsem (a switch to the other simulated processor where that is held), evicts
// with the last reference. What fails throws.
#pragma once
#include <functional>
#include <memory>

#include "fs/file_core.h"
#include "fs/filesystem.hpp"
#include "tests/crash/model.hpp"
#include "tests/crash/tree.hpp"

namespace tarn::crash {

class Mount {
  public:
    // Throws with the core's words.
    explicit Mount(const tarn_device& device, Access access = Access::kReadWrite);
    // As if the power went: nothing more is stored.
    ~Mount();
    Mount(const Mount&) = delete;
    Mount& operator=(const Mount&) = delete;

    // Everything that can be reached.
    Tree tree();
    // What the consistency check says, and orphans: none is left over after a mount; empty: nothing.
    std::string check();
    void make_writable();
    // An unmount in order. Only the destructor may follow.
    void close();

    void create(const std::string& path, u32 mode, s64 now, const std::string& target = {},
                const Values& xattrs = {});
    // Made without a name, written, and closed; named before that if `path` is to name it.
    void create_nameless(const std::string& bytes, s64 now, const std::string& path = {});
    void link(const std::string& from, const std::string& to, s64 now);
    void unlink(const std::string& path, s64 now);  // rmdir too
    // With `left`, a mode, something is made under the old name.
    void rename(const std::string& from, const std::string& to, s64 now, u32 left = 0);
    void exchange(const std::string& one, const std::string& other, s64 now);
    // `piece`: how much of the source is resident at a time.
    void write(const std::string& path, u64 offset, const std::string& bytes, s64 now, u64 piece = ~u64{0});
    void truncate(const std::string& path, u64 size, s64 now);
    void fallocate(const std::string& path, const Allocation& what, s64 now);
    void set_attributes(const std::string& path, u32 mode, u32 uid, s64 now);
    void set_flags(const std::string& path, u32 flags, u32 project, s64 now);
    void query_version(const std::string& path);
    // Null: removes it. With the mode, if it is not 0.
    void set_xattr(const std::string& path, const std::string& name, const std::string* value, u32 mode,
                   s64 now);
    // A store to a shared mapping: a fault, and the aligned word.
    void store(const std::string& path, u64 offset, u64 word);
    void sync(const std::string& path, s64 now);
    void sync_data(const std::string& path);
    void settle();
    void set_label(const std::string& label);
    void grow();
    // Keeps what `path` names open: it can be unlinked and is still there.
    void hold(const std::string& path);
    void release_held();
    // Takes inode numbers and makes nothing of them: all that there is room for, or all of the first group.
    enum class Hoard : u8 { kChunk, kGroup };
    void hoard(Hoard what);

    // How stores through mappings reach the device: by offset.
    std::function<void(u64 offset, const void* bytes, u64 length)> store_to_device;

  private:
    struct Held;
    using Reference = std::shared_ptr<Held>;
    class Locked;
    static void write_locked(Held& inode, u64 offset, const std::string& bytes, s64 now, u64 piece);
    Reference get(u64 number);
    Reference find(const std::string& path);
    std::string visit(Tree& tree, std::map<u64, u64>& first, const std::string& path, u64 number);
    template <class Call>
    void call_rename(const std::string& from, const std::string& to, s64 now, Call call);
    Values read_xattrs(Held& inode);
    std::string read_bytes(Held& inode, const tarn_attributes& attributes);

    tarn_device device_;
    Box<FileSystem> fs_;
    std::map<u64, std::weak_ptr<Held>> cache_;
    std::vector<Reference> held_;
    std::vector<ReservedInode> hoarded_;
    bool is_gone_ = false;
};

}  // namespace tarn::crash
