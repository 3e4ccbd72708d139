// SPDX-License-Identifier: GPL-2.0
/*
 * cxxrt on Linux: locks and waiting. One lockdep class per kind and rank, so that lockdep checks the order of ranks;
 * locks of one rank nest through subclasses.
 */
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "cxxrt/runtime.h"

static struct lock_class_key mutex_keys[TARN_LOCK_RANKS];
static struct lock_class_key rwlock_keys[TARN_LOCK_RANKS];
static struct lock_class_key spin_keys[TARN_LOCK_RANKS];

static inline struct mutex *to_mutex(struct tarn_mutex *lock)
{
	BUILD_BUG_ON(sizeof(struct mutex) > sizeof(*lock));
	return (struct mutex *)lock->storage;
}

static inline struct rw_semaphore *to_rwsem(struct tarn_rwlock *lock)
{
	BUILD_BUG_ON(sizeof(struct rw_semaphore) > sizeof(*lock));
	return (struct rw_semaphore *)lock->storage;
}

static inline spinlock_t *to_spin(struct tarn_spinlock *lock)
{
	BUILD_BUG_ON(sizeof(spinlock_t) > sizeof(*lock));
	return (spinlock_t *)lock->storage;
}

void tarn_mutex_init(struct tarn_mutex *lock, unsigned int rank, const char *name)
{
	__mutex_init(to_mutex(lock), name, &mutex_keys[rank % TARN_LOCK_RANKS]);
}

void tarn_mutex_destroy(struct tarn_mutex *lock)
{
	mutex_destroy(to_mutex(lock));
}

void tarn_mutex_lock(struct tarn_mutex *lock, unsigned int nesting)
{
	mutex_lock_nested(to_mutex(lock), nesting);
}

void tarn_mutex_unlock(struct tarn_mutex *lock)
{
	mutex_unlock(to_mutex(lock));
}

void tarn_rwlock_init(struct tarn_rwlock *lock, unsigned int rank, const char *name)
{
	__init_rwsem(to_rwsem(lock), name, &rwlock_keys[rank % TARN_LOCK_RANKS]);
}

void tarn_rwlock_destroy(struct tarn_rwlock *lock)
{
}

void tarn_rwlock_lock_shared(struct tarn_rwlock *lock, unsigned int nesting)
{
	down_read_nested(to_rwsem(lock), nesting);
}

void tarn_rwlock_unlock_shared(struct tarn_rwlock *lock)
{
	up_read(to_rwsem(lock));
}

void tarn_rwlock_lock_exclusive(struct tarn_rwlock *lock, unsigned int nesting)
{
	down_write_nested(to_rwsem(lock), nesting);
}

void tarn_rwlock_unlock_exclusive(struct tarn_rwlock *lock)
{
	up_write(to_rwsem(lock));
}

void tarn_spinlock_init(struct tarn_spinlock *lock, unsigned int rank, const char *name)
{
	spinlock_t *spin = to_spin(lock);

	spin_lock_init(spin);
	lockdep_set_class_and_name(spin, &spin_keys[rank % TARN_LOCK_RANKS], name);
}

void tarn_spinlock_destroy(struct tarn_spinlock *lock)
{
}

/* The caller's guard pairs these; sparse cannot see across them. */
void tarn_spinlock_lock(struct tarn_spinlock *lock) __acquires(to_spin(lock))
{
	spin_lock(to_spin(lock));
}

void tarn_spinlock_unlock(struct tarn_spinlock *lock) __releases(to_spin(lock))
{
	spin_unlock(to_spin(lock));
}

/* The kernel's own table of wait queues, hashed by address. */
void tarn_wait_on(const void *address, int (*condition)(void *argument), void *argument)
{
	wait_var_event((void *)address, condition(argument));
}

void tarn_wait_wake(const void *address)
{
	/* The condition was made true before we look for waiters; pairs with the barrier in prepare_to_wait_event(). */
	smp_mb();
	wake_up_var((void *)address);
}
