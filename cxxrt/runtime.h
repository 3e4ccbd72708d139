/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runtime's C ABI: everything the C++ core needs from the world below it.
 *
 * Two backends implement it, and linking chooses between them: cxxrt/linux (kernel module) and cxxrt/host
 * (tools and tests, on malloc, pthreads and an emulated pmem). The core never names either.
 *
 * Unless a line says otherwise a function does not sleep and cannot fail. Sizes and lengths are bytes.
 */
#ifndef TARN_RUNTIME_H
#define TARN_RUNTIME_H

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long tarn_size_t;

#define TARN_ALIGN8 __attribute__((aligned(8)))

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* Allocates `size` zeroed bytes, 8-byte aligned (page-aligned from 4096 up). May sleep; never re-enters the file
 * system through reclaim (NOFS). Returns NULL when there is none: callers in C++ use Box, which says so. */
void *tarn_memory_alloc(tarn_size_t size);
/* The same for large tables (falls back to virtually contiguous memory). */
void *tarn_memory_alloc_large(tarn_size_t size);
/* Like tarn_memory_alloc, without sleeping. */
void *tarn_memory_alloc_atomic(tarn_size_t size);
/* Frees what any of the three returned; NULL is ignored. */
void tarn_memory_free(void *memory);

/* Forbids (and allows again) reclaim from re-entering the file system. Returns the state to restore. Nests. */
unsigned int tarn_nofs_begin(void);
void tarn_nofs_end(unsigned int state);

/* ---- locks ----------------------------------------------------------------------------------------------- */

/* Storage only: the backend places its own lock inside and asserts that it fits. */
#ifdef TARN_LOCKDEP /* a kernel with lockdep: its locks carry their own history */
#define TARN_SLEEP_LOCK_BYTES 320
#define TARN_SPIN_LOCK_BYTES 128
#else
#define TARN_SLEEP_LOCK_BYTES 64
#define TARN_SPIN_LOCK_BYTES 8
#endif

struct tarn_mutex {
	TARN_ALIGN8 unsigned char storage[TARN_SLEEP_LOCK_BYTES];
};
struct tarn_rwlock { /* sleeping reader-writer lock */
	TARN_ALIGN8 unsigned char storage[TARN_SLEEP_LOCK_BYTES];
};
struct tarn_spinlock {
	TARN_ALIGN8 unsigned char storage[TARN_SPIN_LOCK_BYTES];
};

/* `rank` is 0..TARN_LOCK_RANKS-1: one lockdep class each. `name` lives for ever. */
#define TARN_LOCK_RANKS 16
void tarn_mutex_init(struct tarn_mutex *lock, unsigned int rank, const char *name);
void tarn_mutex_destroy(struct tarn_mutex *lock);
/* `nesting` 0..7: how many locks of this rank the caller already holds. May sleep. */
void tarn_mutex_lock(struct tarn_mutex *lock, unsigned int nesting);
void tarn_mutex_unlock(struct tarn_mutex *lock);

void tarn_rwlock_init(struct tarn_rwlock *lock, unsigned int rank, const char *name);
void tarn_rwlock_destroy(struct tarn_rwlock *lock);
void tarn_rwlock_lock_shared(struct tarn_rwlock *lock, unsigned int nesting); /* may sleep */
void tarn_rwlock_unlock_shared(struct tarn_rwlock *lock);
void tarn_rwlock_lock_exclusive(struct tarn_rwlock *lock, unsigned int nesting); /* may sleep */
void tarn_rwlock_unlock_exclusive(struct tarn_rwlock *lock);

void tarn_spinlock_init(struct tarn_spinlock *lock, unsigned int rank, const char *name);
void tarn_spinlock_destroy(struct tarn_spinlock *lock);
void tarn_spinlock_lock(struct tarn_spinlock *lock);
void tarn_spinlock_unlock(struct tarn_spinlock *lock);

/* Waiting for a condition that another thread announces with wake: a fixed table of wait queues chosen by the hash
 * of `address`. tarn_wait_on returns once `condition(argument)` is non-zero; it is re-evaluated after each wake.
 * The condition runs without any lock of the caller. May sleep; the wait is bounded by the holder's critical section. */
void tarn_wait_on(const void *address, int (*condition)(void *argument), void *argument);
void tarn_wait_wake(const void *address);

/* ---- persistence ----------------------------------------------------------------------------------------- */

/* What a fence means on the device behind a mapping. */
enum tarn_device_class {
	TARN_DEVICE_SYNC = 0,  /* stores are durable after write-back and a store fence */
	TARN_DEVICE_FLUSH = 1, /* a fence must also ask the device or host to flush: may sleep, can fail */
};

/* One mapped device. Filled in by whoever opened it (fs/linux/super.c, the tools, a test). */
struct tarn_device {
	unsigned char *base;           /* first byte of the mapping, page-aligned */
	unsigned long long blocks;     /* 4 KiB blocks in it */
	enum tarn_device_class class_; /* see above */
	int write_back;                /* 0: caches are in the persistence domain, lines need no write-back */
	int read_only;                 /* 1: nothing may be stored */
	unsigned long long first_pfn;  /* page frame number of the first block; 0 where there are none (host) */
	void *handle;                  /* the backend's own */
	char name[32];                 /* for messages, as "pmem0"; may be empty */
};

/* Copies with non-temporal stores; unaligned heads and tails are stored and written back. Durable after a fence. */
void tarn_persist_copy(const struct tarn_device *device, void *target, const void *source, tarn_size_t length);
/* The same for what goes to a journal: counted apart, so that the price of a transaction can be told. */
void tarn_persist_log(const struct tarn_device *device, void *target, const void *source, tarn_size_t length);
/* Zeroes in the same way. */
void tarn_persist_zero(const struct tarn_device *device, void *target, tarn_size_t length);
/* Writes back every cache line that overlaps [target, target+length). Durable after a fence. */
void tarn_persist_write_back(const struct tarn_device *device, const void *target, tarn_size_t length);
/* Orders and completes this CPU's write-backs and non-temporal stores; for TARN_DEVICE_FLUSH also flushes the device
 * (may sleep then). Returns 0 or a negative errno: after an error nothing since the last good fence is known durable. */
int tarn_persist_fence(const struct tarn_device *device);

/* Non-zero while somebody besides the device's driver holds a reference to the block's page: DMA, a page in a pipe. Final
 * for a block that nothing maps: nobody can take a new one. 0 where there are no struct pages. */
int tarn_device_is_pinned(const struct tarn_device *device, unsigned long long block);

/* ---- log, time, the rest --------------------------------------------------------------------------------- */

enum tarn_log_level { TARN_LOG_ERROR = 0, TARN_LOG_WARNING = 1, TARN_LOG_INFO = 2 };
/* One line; the backend adds prefix and newline. printf-like. */
void tarn_log(enum tarn_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same about one device, whose name it mentions. */
void tarn_log_device(const struct tarn_device *device, enum tarn_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Reports a broken invariant of our own code with a stack trace (kernel: WARN; host: abort). Never for media contents. */
void tarn_bug(const char *file, int line, const char *what);

struct tarn_time {
	long long seconds;
	unsigned int nanoseconds;
};
void tarn_time_now(struct tarn_time *now);

unsigned int tarn_cpu_current(void); /* a hint: the caller may move */
/* Between the steps of a long loop: lets another task run if one waits for this CPU. May sleep. */
void tarn_task_yield(void);
/* A stable id of the calling task for lock-rank checks (debug builds). */
unsigned long tarn_task_id(void);
unsigned int tarn_random32(void);

/* CRC-32C (Castagnoli) with seed, bytes in memory order; start with ~0 and invert at the end as usual (iSCSI). */
unsigned int tarn_crc32c(unsigned int seed, const void *data, tarn_size_t length);

#ifdef __cplusplus
}
#endif
#endif
