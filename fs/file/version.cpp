// SPDX-License-Identifier: GPL-2.0
// The version of an inode (SPEC.md, "Inodes"): telling it, and making it another one as contents change.
//
// A record that changes something makes a version that has been seen another one by itself (note_change in
// fs/inode/inode.hpp). Contents change without one as well: write(2) overwrites, fallocate zeroes parts of
// blocks, a store goes through a mapping. Whoever does so says it first (Changing), then looks whether the
// version has been seen, and makes it another one. From then on, until what is stored is durable, a version
// that is asked for is told and gone at once: the record has the next one already. Who asks marks the version
// as seen first, then looks whether somebody is changing contents: one of the two finds the other.
//
// write(2) leaves what it has overwritten in flight between its steps (`unfenced`). Where a page is writable
// its entry is dirty, and stays so until a fence behind the last store.
//
// Crash argument: a version that has been told is found by a later mount only with the contents that it was
// told of: bytes that may have changed since, durable or not, come with a record of another version that was
// durable before the first of them was stored.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"

namespace tarn {

// Read in this order: who is no longer changing has left his marks. With a full barrier before it.
bool File::is_changing() const
{
    return object_.changing.fetch_add(0) || object_.unfenced.load_acquire() || tracker_.has_dirty();
}

// What cannot be marked is not told: a later mount would tell the same of something else. Nor what a mount
// found without recovery: its record may be older than its contents.
Result<u64> File::query_version()
{
    NoFsScope nofs;
    ExclusiveGuard guard(inode_.lock);
    const u64 told = inode_.read().version | TARNFS_VERSION_SEEN;
    if (volume_.is_as_it_is())
        return Error::kReadOnly;
    if (!is_changing()) {
        TRY(store_version(told));
        if (!is_changing())
            return told;
    }
    TRY(store_version(told + 1));
    return told;
}

Status File::store_version(u64 version)
{
    if (inode_.read().version == version)
        return Ok{};
    TRY(volume_.may_change());
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode_.record));
    record.version = version;
    return txn.commit();
}

// Changing has been said, with a full barrier.
bool File::is_version_seen() const
{
    return (__atomic_load_n(&inode_.read().version, __ATOMIC_RELAXED) & TARNFS_VERSION_SEEN) != 0;
}

// A version that somebody has seen goes, durably. Most often nobody has, and this is a look at a word.
Status File::note_change()
{
    if (!is_version_seen() || mutant(Mutant::kVersionStays))
        return Ok{};
    ExclusiveGuard guard(inode_.lock);
    Transaction txn(volume_);
    tarnfs_inode& record = TRY(txn.edit_inode_record(inode_.record));
    tarn::note_change(record);
    return txn.commit();
}

}  // namespace tarn
