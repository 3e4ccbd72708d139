// SPDX-License-Identifier: GPL-2.0
// Connecting: mounts the file system and does what is left with the operations that a mount has.
//
// Crash argument: making /lost+found is a create as any other; entry, link counts and parent of an inode that
// is connected are in one transaction.
#include "fs/check/connect.hpp"

#include <cstring>

#include "fs/dir/inode_locks.hpp"
#include "fs/dir/namespace.hpp"

namespace tarn {

namespace {

constexpr u32 kMostNames = 100;  // tried

Bytes bytes_of(const char* text) { return Bytes(reinterpret_cast<const byte*>(text), strlen(text)); }

// "NAME", then "NAME.1" ...
struct Name {
    char text[64];
    Name(const char* base, u32 attempt)
    {
        if (attempt)
            __builtin_snprintf(text, sizeof text, "%s.%u", base, attempt);
        else
            __builtin_snprintf(text, sizeof text, "%s", base);
    }
    Bytes bytes() const { return bytes_of(text); }
};

class Connector {
  public:
    explicit Connector(FileSystem& fs) : fs_(fs) { tarn_time_now(&now_); }

    Status connect(const Vector<RepairState::Detached, 8>& detached)
    {
        auto lost = TRY(open_lost_and_found());
        for (const RepairState::Detached& one : detached)
            TRY(attach(*lost, one));
        return Ok{};
    }

  private:
    Result<Box<Inode>> open(InodeNumber number)
    {
        const auto found = TRY(fs_.inodes().find(number));
        return Box<Inode>::create(fs_, number, found.generation, found.record);
    }

    Result<Box<Inode>> open_lost_and_found()
    {
        auto root = TRY(open(InodeNumber(TARNFS_INO_ROOT)));
        Namespace names(fs_);
        for (u32 attempt = 0; attempt < kMostNames; attempt++) {
            const Name name("lost+found", attempt);
            auto found = names.find(*root, name.bytes());
            if (!found.is_ok() && found.error() == Error::kNotFound) {
                NewInode what;
                what.mode = kTypeDirectory | 0700;
                what.now = now_;
                return open(TRY(names.create(*root, name.bytes(), what)).number);
            }
            auto inode = TRY(open(TRY(std::move(found))));
            if (inode->is_directory())
                return inode;
        }
        return Error::kExists;
    }

    Status attach(Inode& lost, const RepairState::Detached& one)
    {
        auto inode = TRY(open(InodeNumber(one.number)));
        char base[32];
        __builtin_snprintf(base, sizeof base, "#%llu", static_cast<unsigned long long>(one.number));
        for (u32 attempt = 0; attempt < kMostNames; attempt++) {
            Status attached = attach_as(lost, *inode, one.links, Name(base, attempt).bytes());
            if (attached.error() != Error::kExists)
                return attached;
        }
        return Error::kExists;
    }

    Status attach_as(Inode& lost, Inode& inode, u32 links, Bytes name)
    {
        InodeLocks locks({&lost, &inode});
        Transaction txn(fs_.volume());
        const bool is_directory = inode.is_directory();
        const u8 type = entry_type(inode.read().mode);
        TRY(Directory(fs_.volume(), lost.tree()).insert(txn, name, inode.number, type));
        tarnfs_inode& parent = TRY(txn.edit_inode_record(lost.record));
        parent.size++;
        parent.links += is_directory;
        touch_directory(parent, now_);
        tarnfs_inode& record = TRY(txn.edit_inode_record(inode.record));
        record.links = links;
        record.parent = is_directory ? lost.number.value : 0;
        set_change_time(record, now_);
        return txn.commit();
    }

    FileSystem& fs_;
    tarn_time now_ = {};
};

}  // namespace

Status connect(const tarn_device& device, const Vector<RepairState::Detached, 8>& detached)
{
    auto fs = TRY(FileSystem::open(device, Access::kReadWrite));
    if (fs->is_read_only())  // an orphan could not be freed
        return Error::kBadInode;
    if (!detached.empty())
        TRY(Connector(*fs).connect(detached));
    return fs->settle();
}

}  // namespace tarn
