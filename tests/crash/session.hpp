// SPDX-License-Identifier: GPL-2.0
// Session: operations on a file system and on the model of one at a time. What the system calls would refuse
// is refused here; it leaves no trace and is no failure.
#pragma once
#include <utility>

#include "tests/crash/model.hpp"
#include "tests/crash/mount.hpp"
#include "tests/crash/pmem.hpp"

namespace tarn::crash {

class Session {
  public:
    // The model is that of the base image (Session::populate).
    Session(Pmem& pmem, const Model& model) : pmem_(pmem), model_(model) { mount(); }

    void create(const std::string& path) { make(path, 0100644); }
    void mkdir(const std::string& path) { make(path, 0040755); }
    void symlink(const std::string& path, usize length) { make(path, 0120777, std::string(length, 't')); }
    void make(const std::string& path, u32 mode, const std::string& target = {}, const Values& xattrs = {})
    {
        run(model_.create(path, mode, target, xattrs),
            [&] { mount_->create(path, mode, now(), target, xattrs); });
    }
    // Made with an ACL and a label, whose value is of that many bytes.
    void create_labelled(const std::string& path, u64 length)
    {
        make(path, 0100640, {}, {{"4.acl", pattern(60)}, {"3.label", pattern(length)}});
    }
    void set_xattr(const std::string& path, const std::string& name, u64 length, u32 mode = 0)
    {
        const std::string value = pattern(length);
        run(model_.set_xattr(path, name, value, mode),
            [&] { mount_->set_xattr(path, name, &value, mode, now()); });
    }
    void remove_xattr(const std::string& path, const std::string& name)
    {
        run(model_.remove_xattr(path, name), [&] { mount_->set_xattr(path, name, nullptr, 0, now()); });
    }
    // By O_TMPFILE: it has its contents when it gets its name.
    void create_nameless(const std::string& path, u64 length)
    {
        const std::string bytes = pattern(length);
        const int refused = model_.create(path, 0100644);
        if (!refused)
            model_.write(path, 0, bytes);
        run(refused, [&] { mount_->create_nameless(bytes, now(), path); });
    }
    void drop_nameless(u64 length)
    {
        run(0, [&] { mount_->create_nameless(pattern(length), now()); });
    }
    void link(const std::string& from, const std::string& to)
    {
        run(model_.link(from, to), [&] { mount_->link(from, to, now()); });
    }
    void unlink(const std::string& path)
    {
        run(model_.unlink(path), [&] { mount_->unlink(path, now()); });
    }
    void rmdir(const std::string& path)
    {
        run(model_.rmdir(path), [&] { mount_->unlink(path, now()); });
    }
    void rename(const std::string& from, const std::string& to)
    {
        run(model_.rename(from, to), [&] { mount_->rename(from, to, now()); });
    }
    void rename_leaving(const std::string& from, const std::string& to, u32 left)
    {
        run(model_.rename_leaving(from, to, left), [&] { mount_->rename(from, to, now(), left); });
    }
    void exchange(const std::string& one, const std::string& other)
    {
        run(model_.exchange(one, other), [&] { mount_->exchange(one, other, now()); });
    }
    void write(const std::string& path, u64 offset, u64 length, u64 piece = ~u64{0});
    void append(const std::string& path, u64 length);
    void truncate(const std::string& path, u64 size);
    void fallocate(const std::string& path, const Allocation& what);
    void shift(const std::string& path, const Allocation& what);
    void store(const std::string& path, u64 offset);
    // Into the last block behind the end, where nobody looks.
    void store_behind(const std::string& path);
    void sync(const std::string& path)
    {
        run(model_.sync(path), [&] { mount_->sync(path, now()); });
    }
    void sync_data(const std::string& path)
    {
        run(model_.sync(path), [&] { mount_->sync_data(path); });
    }
    void chmod(const std::string& path, u32 mode, u32 uid)
    {
        run(model_.set_attributes(path, mode, uid), [&] { mount_->set_attributes(path, mode, uid, now()); });
    }
    void set_flags(const std::string& path, u32 flags, u32 project)
    {
        run(model_.set_flags(path, flags, project), [&] { mount_->set_flags(path, flags, project, now()); });
    }
    void query_version(const std::string& path)
    {
        run(model_.find(path) ? 0 : -ENOENT, [&] { mount_->query_version(path); });
    }
    void set_label(const std::string& label)
    {
        run(model_.set_label(label), [&] { mount_->set_label(label); });
    }
    void grow()
    {
        run(model_.grow(), [&] { mount_->grow(); });
    }
    void settle() { mount_->settle(); }
    void hold(const std::string& path)
    {
        run(model_.find(path) ? 0 : -ENOENT, [&] { mount_->hold(path); });
    }
    // Closes what is held: what has no name is freed.
    void release() { mount_->release_held(); }
    void remount();
    // Nothing that is not durable survives, and it is mounted again; with kReadOnly, so at first, and another
    // processor makes it writable. Not while a store waits for fsync: what it leaves is not certain.
    void power_cut(Access first = Access::kReadWrite);
    // Goes without an unmount.
    void abandon() { mount_.reset(); }

    // What a small namespace begins with.
    void populate();

    static void set_now(s64 now) { Session::now() = now; }
    // Of the operations since the last call.
    std::vector<Change> take_changes() { return std::move(changes_); }
    // Whether one of them was not refused.
    bool take_done() { return std::exchange(has_done_, false); }
    const Model& model() const { return model_; }
    Mount& mounted() { return *mount_; }

  private:
    void mount(Access first = Access::kReadWrite);
    template <class Call>
    void run(int refused, Call call)
    {
        if (refused)
            return;
        has_done_ = true;
        call();
    }
    void changes(const std::string& path, u64 first, u64 end);
    std::string pattern(u64 length) const;

    Pmem& pmem_;
    Model model_;
    std::unique_ptr<Mount> mount_;
    // The time of the operation of this processor.
    static s64& now();
    std::vector<Change> changes_;
    bool has_done_ = false;
};

}  // namespace tarn::crash
