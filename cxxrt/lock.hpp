// SPDX-License-Identifier: GPL-2.0
// Locks, their guards and their order.
//
// Every lock has a rank; a thread takes ranks in ascending order, and several of one rank only through a guard that
// is told how many it already holds (`nesting`). Clang's -Wthread-safety checks what is held where; lockdep (one
// class per rank) checks the order in the debug kernel.
#pragma once
#include "cxxrt/check.hpp"
#include "cxxrt/types.hpp"

#if defined(__clang__)
#define TARN_TS(x) __attribute__((x))
#else
#define TARN_TS(x)
#endif
#define TARN_CAPABILITY(name) TARN_TS(capability(name))
#define TARN_SCOPED TARN_TS(scoped_lockable)
#define TARN_GUARDED_BY(lock) TARN_TS(guarded_by(lock))
#define TARN_REQUIRES(...) TARN_TS(requires_capability(__VA_ARGS__))
#define TARN_REQUIRES_SHARED(...) TARN_TS(requires_shared_capability(__VA_ARGS__))
#define TARN_ACQUIRE(...) TARN_TS(acquire_capability(__VA_ARGS__))
#define TARN_ACQUIRE_SHARED(...) TARN_TS(acquire_shared_capability(__VA_ARGS__))
#define TARN_RELEASE(...) TARN_TS(release_capability(__VA_ARGS__))
#define TARN_RELEASE_GENERIC(...) TARN_TS(release_generic_capability(__VA_ARGS__))
#define TARN_EXCLUDES(...) TARN_TS(locks_excluded(__VA_ARGS__))
#define TARN_NO_ANALYSIS TARN_TS(no_thread_safety_analysis)

namespace tarn {

// Ascending: a lock of a lower rank is taken first. Above all of them stand the VFS's own locks
// (i_rwsem, mmap_lock, invalidate_lock: taken by the glue) and the entry locks of fs/dax.
enum class Rank : u8 {
    kWriteBack = 0,   // DirtyTracker: one write-back of a file at a time; outside the entry locks
    kInode = 1,       // Inode::lock: an inode's record, its trees; several in ascending inode number
    kInodeTable = 2,  // the same for the inode table's own inode
    kInodeGroup = 3,  // InodeTable: which inode numbers are free
    kSuperblock = 4,  // Volume: one change of the superblock at a time
    kRetire = 5,      // Journals: one retirement at a time
    kJournal = 6,     // one journal; never two at a time
    kFlush = 7,       // Media: one flush of the device at a time
    kGroup = 8,       // Space: one block group's bitmap (spin)
    kPending = 9,     // Space: freed metadata that waits for the floor (spin)
    kTracker = 10,    // DirtyTracker: the radix tree's shape and tags (spin)
    kLeaf = 11,       // anything that takes nothing further (spin)
};

class TARN_CAPABILITY("mutex") Mutex {
  public:
    Mutex(Rank rank, const char* name) { tarn_mutex_init(&lock_, static_cast<unsigned>(rank), name); }
    ~Mutex() { tarn_mutex_destroy(&lock_); }
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;
    void lock(unsigned nesting = 0) TARN_ACQUIRE() { tarn_mutex_lock(&lock_, nesting); }
    void unlock() TARN_RELEASE() { tarn_mutex_unlock(&lock_); }

  private:
    tarn_mutex lock_;
};

// Sleeping reader-writer lock.
class TARN_CAPABILITY("rwlock") RwLock {
  public:
    RwLock(Rank rank, const char* name) { tarn_rwlock_init(&lock_, static_cast<unsigned>(rank), name); }
    ~RwLock() { tarn_rwlock_destroy(&lock_); }
    RwLock(const RwLock&) = delete;
    RwLock& operator=(const RwLock&) = delete;
    void lock(unsigned nesting = 0) TARN_ACQUIRE() { tarn_rwlock_lock_exclusive(&lock_, nesting); }
    void unlock() TARN_RELEASE() { tarn_rwlock_unlock_exclusive(&lock_); }
    void lock_shared(unsigned nesting = 0) TARN_ACQUIRE_SHARED() { tarn_rwlock_lock_shared(&lock_, nesting); }
    void unlock_shared() TARN_TS(release_shared_capability()) { tarn_rwlock_unlock_shared(&lock_); }

  private:
    tarn_rwlock lock_;
};

class TARN_CAPABILITY("spinlock") SpinLock {
  public:
    SpinLock(Rank rank, const char* name) { tarn_spinlock_init(&lock_, static_cast<unsigned>(rank), name); }
    ~SpinLock() { tarn_spinlock_destroy(&lock_); }
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;
    void lock() TARN_ACQUIRE() { tarn_spinlock_lock(&lock_); }
    void unlock() TARN_RELEASE() { tarn_spinlock_unlock(&lock_); }

  private:
    tarn_spinlock lock_;
};

class TARN_SCOPED MutexGuard {
  public:
    explicit MutexGuard(Mutex& lock, unsigned nesting = 0) TARN_ACQUIRE(lock) : lock_(lock)
    {
        lock_.lock(nesting);
    }
    ~MutexGuard() TARN_RELEASE() { lock_.unlock(); }
    MutexGuard(const MutexGuard&) = delete;
    MutexGuard& operator=(const MutexGuard&) = delete;

  private:
    Mutex& lock_;
};

class TARN_SCOPED SpinGuard {
  public:
    explicit SpinGuard(SpinLock& lock) TARN_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
    ~SpinGuard() TARN_RELEASE() { lock_.unlock(); }
    SpinGuard(const SpinGuard&) = delete;
    SpinGuard& operator=(const SpinGuard&) = delete;

  private:
    SpinLock& lock_;
};

class TARN_SCOPED SharedGuard {
  public:
    explicit SharedGuard(RwLock& lock, unsigned nesting = 0) TARN_ACQUIRE_SHARED(lock) : lock_(lock)
    {
        lock_.lock_shared(nesting);
    }
    ~SharedGuard() TARN_RELEASE_GENERIC() { lock_.unlock_shared(); }
    SharedGuard(const SharedGuard&) = delete;
    SharedGuard& operator=(const SharedGuard&) = delete;

  private:
    RwLock& lock_;
};

class TARN_SCOPED ExclusiveGuard {
  public:
    explicit ExclusiveGuard(RwLock& lock, unsigned nesting = 0) TARN_ACQUIRE(lock) : lock_(lock)
    {
        lock_.lock(nesting);
    }
    ~ExclusiveGuard() TARN_RELEASE() { lock_.unlock(); }
    ExclusiveGuard(const ExclusiveGuard&) = delete;
    ExclusiveGuard& operator=(const ExclusiveGuard&) = delete;

  private:
    RwLock& lock_;
};

// Reclaim does not re-enter the file system while one of these lives (row A8). Nests; same thread only.
class NoFsScope {
  public:
    NoFsScope() : state_(tarn_nofs_begin()) {}
    ~NoFsScope() { tarn_nofs_end(state_); }
    NoFsScope(const NoFsScope&) = delete;
    NoFsScope& operator=(const NoFsScope&) = delete;

  private:
    unsigned int state_;
};

}  // namespace tarn
