// SPDX-License-Identifier: GPL-2.0
// Host backend: locks on pthreads, and the table of wait queues.
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <iterator>
#include <new>

#include "cxxrt/host/debug.hpp"
#include "cxxrt/host/host.hpp"

using namespace tarn::host;

namespace {

struct HostMutex {
    pthread_mutex_t lock;
    unsigned rank;
};
struct HostRwLock {
    pthread_rwlock_t lock;
    unsigned rank;
};
// A spin lock that yields: test machines have fewer processors than threads.
struct HostSpinLock {
    std::atomic<unsigned> taken;
    unsigned rank;
};
static_assert(sizeof(HostMutex) <= TARN_SLEEP_LOCK_BYTES);
static_assert(sizeof(HostRwLock) <= TARN_SLEEP_LOCK_BYTES);
static_assert(sizeof(HostSpinLock) <= TARN_SPIN_LOCK_BYTES);

template <class Host, class Storage>
Host& host(Storage* lock)
{
    return *std::launder(reinterpret_cast<Host*>(lock->storage));
}
HostMutex& host(tarn_mutex* lock) { return host<HostMutex>(lock); }
HostRwLock& host(tarn_rwlock* lock) { return host<HostRwLock>(lock); }
HostSpinLock& host(tarn_spinlock* lock) { return host<HostSpinLock>(lock); }

void must(int error, const char* what)
{
    if (error)
        tarn_bug(__FILE__, __LINE__, what);
}

constexpr const char* kRankNames[] = {"write-back", "inode",   "inode table", "inode group",
                                      "superblock", "retire",  "journal",     "flush",
                                      "group",      "pending", "tracker",     "leaf"};

const Turns* turns = nullptr;

// `rank` is read only where the lock cannot go meanwhile.
void step(Step what, const void* lock, const unsigned& rank)
{
    if (turns)
        note_step(what, lock, rank < std::size(kRankNames) ? kRankNames[rank] : "lock");
}

// Takes a lock by sleeping, or by trying whenever other threads have had their turn.
template <class Lock>
void acquire(Lock* lock, unsigned rank, int (*take)(Lock*), int (*try_take)(Lock*), const char* what)
{
    if (!turns)
        return must(take(lock), what);
    step(Step::kTake, lock, rank);
    while (try_take(lock) != 0)
        turns->wait(lock);
}

// Waiters for one of many addresses. `announced` counts wakes: a waiter looks at the condition outside the
// queue's mutex (the condition may take locks that a waker holds) and sleeps only if no wake came since
// before it looked.
struct WaitQueue {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    unsigned long announced = 0;
};
constexpr unsigned kWaitQueues = 64;
WaitQueue wait_queues[kWaitQueues];

WaitQueue& wait_queue(const void* address)
{
    auto value = reinterpret_cast<unsigned long>(address);
    return wait_queues[(value * 0x9e3779b97f4a7c15UL) >> 58];
}

}  // namespace

namespace tarn::host {

void set_turns(const Turns* given) { turns = given; }
bool has_turns() { return turns != nullptr; }
void wait_turn(const void* on) { turns->wait(on); }
void note_step(Step what, const void* on, const char* name)
{
    if (turns && !this_thread().is_looking)
        turns->step(what, on, name);
}

}  // namespace tarn::host

extern "C" {

void tarn_mutex_init(struct tarn_mutex* lock, unsigned int rank, const char*)
{
    auto* mutex = new (lock->storage) HostMutex{};
    mutex->rank = rank;
    must(pthread_mutex_init(&mutex->lock, nullptr), "pthread_mutex_init");
}
void tarn_mutex_destroy(struct tarn_mutex* lock)
{
    must(pthread_mutex_destroy(&host(lock).lock), "mutex destroyed while held");
}
void tarn_mutex_lock(struct tarn_mutex* lock, unsigned int nesting)
{
    note_lock(lock, host(lock).rank, nesting, false);
    acquire(&host(lock).lock, host(lock).rank, pthread_mutex_lock, pthread_mutex_trylock,
            "pthread_mutex_lock");
}
void tarn_mutex_unlock(struct tarn_mutex* lock)
{
    note_unlock(lock);
    must(pthread_mutex_unlock(&host(lock).lock), "pthread_mutex_unlock");
    step(Step::kRelease, &host(lock).lock, host(lock).rank);
}

void tarn_rwlock_init(struct tarn_rwlock* lock, unsigned int rank, const char*)
{
    auto* rwlock = new (lock->storage) HostRwLock{};
    rwlock->rank = rank;
    must(pthread_rwlock_init(&rwlock->lock, nullptr), "pthread_rwlock_init");
}
void tarn_rwlock_destroy(struct tarn_rwlock* lock)
{
    must(pthread_rwlock_destroy(&host(lock).lock), "rwlock destroyed while held");
}
void tarn_rwlock_lock_shared(struct tarn_rwlock* lock, unsigned int nesting)
{
    note_lock(lock, host(lock).rank, nesting, false);
    acquire(&host(lock).lock, host(lock).rank, pthread_rwlock_rdlock, pthread_rwlock_tryrdlock,
            "pthread_rwlock_rdlock");
}
void tarn_rwlock_unlock_shared(struct tarn_rwlock* lock)
{
    note_unlock(lock);
    must(pthread_rwlock_unlock(&host(lock).lock), "pthread_rwlock_unlock");
    step(Step::kRelease, &host(lock).lock, host(lock).rank);
}
void tarn_rwlock_lock_exclusive(struct tarn_rwlock* lock, unsigned int nesting)
{
    note_lock(lock, host(lock).rank, nesting, false);
    acquire(&host(lock).lock, host(lock).rank, pthread_rwlock_wrlock, pthread_rwlock_trywrlock,
            "pthread_rwlock_wrlock");
}
void tarn_rwlock_unlock_exclusive(struct tarn_rwlock* lock)
{
    note_unlock(lock);
    must(pthread_rwlock_unlock(&host(lock).lock), "pthread_rwlock_unlock");
    step(Step::kRelease, &host(lock).lock, host(lock).rank);
}

void tarn_spinlock_init(struct tarn_spinlock* lock, unsigned int rank, const char*)
{
    auto* spin = new (lock->storage) HostSpinLock{};
    spin->rank = rank;
}
void tarn_spinlock_destroy(struct tarn_spinlock* lock)
{
    must(host(lock).taken.load() != 0, "spin lock destroyed while held");
}
void tarn_spinlock_lock(struct tarn_spinlock* lock)
{
    note_lock(lock, host(lock).rank, 0, true);
    step(Step::kTake, lock, host(lock).rank);
    while (host(lock).taken.exchange(1, std::memory_order_acquire))
        turns ? turns->wait(lock) : static_cast<void>(sched_yield());
}
void tarn_spinlock_unlock(struct tarn_spinlock* lock)
{
    note_unlock(lock);
    host(lock).taken.store(0, std::memory_order_release);
    step(Step::kRelease, lock, host(lock).rank);
}

void tarn_wait_on(const void* address, int (*condition)(void* argument), void* argument)
{
    may_sleep("tarn_wait_on");
    while (turns) {
        // No wake between the look and the wait.
        this_thread().is_looking = true;
        const bool holds = condition(argument) != 0;
        this_thread().is_looking = false;
        if (holds)
            return;
        turns->wait(address);
    }
    WaitQueue& queue = wait_queue(address);
    for (;;) {
        pthread_mutex_lock(&queue.lock);
        unsigned long seen = queue.announced;
        pthread_mutex_unlock(&queue.lock);
        if (condition(argument))
            return;
        pthread_mutex_lock(&queue.lock);
        while (queue.announced == seen)
            pthread_cond_wait(&queue.changed, &queue.lock);
        pthread_mutex_unlock(&queue.lock);
    }
}

void tarn_wait_wake(const void* address)
{
    WaitQueue& queue = wait_queue(address);
    pthread_mutex_lock(&queue.lock);
    queue.announced++;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    note_step(Step::kRelease, address, "wake");
}

}  // extern "C"
