// SPDX-License-Identifier: GPL-2.0
// InodeLocks: the exclusive locks of up to four inodes, taken in ascending number inside a NoFsScope. Private
// to fs/dir.
#pragma once
#include <initializer_list>

#include "fs/inode/inode.hpp"

namespace tarn {

class InodeLocks {
  public:
    // Null is left out; an inode may come twice. May sleep.
    explicit InodeLocks(std::initializer_list<Inode*> inodes) TARN_NO_ANALYSIS
    {
        for (Inode* inode : inodes)
            add(inode);
        for (unsigned i = 0; i < count_; i++)
            held_[i]->lock.lock(i);
    }
    ~InodeLocks() { release(); }
    InodeLocks(const InodeLocks&) = delete;
    InodeLocks& operator=(const InodeLocks&) = delete;

    void release() TARN_NO_ANALYSIS
    {
        while (count_)
            held_[--count_]->lock.unlock();
    }

  private:
    // Insertion in order.
    void add(Inode* inode)
    {
        if (!inode)
            return;
        unsigned at = count_;
        while (at > 0 && held_[at - 1]->number >= inode->number)
            at--;
        if (at < count_ && held_[at] == inode)
            return;
        TARN_BUG_ON(count_ == kMost);
        for (unsigned i = count_++; i > at; i--)
            held_[i] = held_[i - 1];
        held_[at] = inode;
    }

    static constexpr unsigned kMost = 4;
    NoFsScope nofs_;
    Inode* held_[kMost] = {};
    unsigned count_ = 0;
};

// A directory's contents have changed.
inline void touch_directory(tarnfs_inode& record, const tarn_time& now)
{
    note_change(record);
    set_modify_time(record, now);
    set_change_time(record, now);
}

}  // namespace tarn
