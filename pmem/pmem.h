/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tarn_pmem's inner border: plain C types between the core (pmem/, C++) and what drives it (pmem/linux/ in a kernel,
 * a test on the host).
 *
 * First half: what the core answers. Second half: what the core needs from the world below it, which its driver
 * supplies. Offsets and lengths are bytes, offsets count from the first byte of the disk; a sector is 512 bytes, a page
 * 4096. Functions that return int return 0 or a negative errno.
 */
#ifndef TARN_PMEM_H
#define TARN_PMEM_H

#include "cxxrt/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_PMEM_SECTOR 512
#define TARN_PMEM_PAGE 4096

/* ---- which namespace is this, and is it ours? ------------------------------------------------------------ */

/* Where the platform's info block lies in a namespace, how large it is, and how much is kept free for it. */
#define TARN_PMEM_INFO_BLOCK_OFFSET 4096
#define TARN_PMEM_INFO_BLOCK_BYTES 4096
#define TARN_PMEM_INFO_RESERVE 8192

/* Which device of a namespace the kernel offers. */
enum tarn_pmem_personality {
	TARN_PMEM_NAMESPACE,   /* the namespace itself */
	TARN_PMEM_PFN_DEVICE,  /* its fsdax child: made from an info block, or by an administrator's request */
	TARN_PMEM_BTT_DEVICE,  /* its sector-atomic child */
	TARN_PMEM_DAX_DEVICE,  /* its device-dax child */
};

/* What the namespace's label says it may be used for. */
enum tarn_pmem_claim {
	TARN_PMEM_CLAIM_NONE,
	TARN_PMEM_CLAIM_PFN,
	TARN_PMEM_CLAIM_BTT,
	TARN_PMEM_CLAIM_DAX,
	TARN_PMEM_CLAIM_UNKNOWN,
};

/* The facts about one namespace. */
struct tarn_pmem_namespace {
	unsigned long long start;       /* physical address */
	unsigned long long bytes;
	unsigned long long map_align;   /* pages get their struct page in runs of this many bytes */
	unsigned int page_bytes;        /* of the running kernel */
	unsigned int page_struct_bytes; /* sizeof(struct page) of the running kernel */
	enum tarn_pmem_personality personality;
	enum tarn_pmem_claim claim;
	int force_raw;                  /* administrator: ignore info blocks */
	unsigned char uuid[16];         /* zero where there are no labels */
};

enum tarn_pmem_verdict {
	TARN_PMEM_INSPECT,  /* read the info block and ask tarn_pmem_judge_info_block() */
	TARN_PMEM_SERVE,    /* ours, with the geometry given */
	TARN_PMEM_ANNOUNCE, /* fsdax: let the platform make the pfn device, which will be probed */
	TARN_PMEM_FORMAT,   /* fsdax wanted, no info block yet: let the platform write one, then ask again */
	TARN_PMEM_LEAVE,    /* another driver's */
	TARN_PMEM_REFUSE,   /* nobody should use it as it is */
};

/* Which memory to map and which part of it is the disk. */
struct tarn_pmem_geometry {
	unsigned long long map_start;  /* physical; what gets struct pages */
	unsigned long long map_bytes;
	unsigned long long data_start; /* physical; first byte of the disk */
	unsigned long long data_bytes;
	int memory_map_inside;         /* struct pages live between the info block and the data (-M dev) */
};

struct tarn_pmem_judgement {
	enum tarn_pmem_verdict verdict;
	int error;                    /* LEAVE, REFUSE: negative errno */
	const char *reason;           /* LEAVE, REFUSE: for the log, lives for ever */
	unsigned long long found;     /* REFUSE: the number the reason speaks of ... */
	unsigned long long needed;    /* ... and what it should have been; both 0 when it speaks of none */
	struct tarn_pmem_geometry geometry; /* SERVE */
};

/* Judges by the facts alone. */
void tarn_pmem_judge(const struct tarn_pmem_namespace *ns, struct tarn_pmem_judgement *out);
/* Judges with the info block's 4096 bytes, or NULL when they could not be read. The contents are not trusted. */
void tarn_pmem_judge_info_block(const struct tarn_pmem_namespace *ns, const void *block,
				struct tarn_pmem_judgement *out);

/* What the platform says about durability, and what follows from it. */
struct tarn_pmem_durability {
	int has_flush;   /* in: 1 a flush does something, 0 it is not needed, negative: the platform does not say */
	int synchronous; /* in: 1 stores are durable without asking anyone beyond this machine's hardware */
	int has_cache;   /* in: 1 CPU caches are lost with power */
	enum tarn_device_class class_; /* out */
	int doubtful;                  /* out: make sure there is memory (tarn_pmem_is_backed) */
	int write_back;                /* out: cache lines need write-back */
	const char *remark;            /* out: for the log, or NULL */
};
void tarn_pmem_decide_durability(struct tarn_pmem_durability *durability);

/* ---- a disk in use --------------------------------------------------------------------------------------- */

/* One disk. The core keeps no state of its own: any number of threads may call with the same disk. */
struct tarn_pmem_disk {
	struct tarn_device memory; /* base and first_pfn: of the disk's first byte */
	void *media;               /* handed to every tarn_media_ function */
	int poison_errno;          /* negative: what this kernel's DAX callers expect for a bad page */
};

/* Is there memory at all? For addresses that a person has typed (memmap=). Answers 1 without storing anything unless the
 * disk begins with 64 KiB of the same byte, 0x00 or 0xff, as no file system does; then a word at each end is changed and
 * restored. May sleep. */
int tarn_pmem_is_backed(const struct tarn_pmem_disk *disk);

/* Fails if [offset, offset+length) is not inside the disk or holds a known bad sector. */
int tarn_pmem_begin_read(const struct tarn_pmem_disk *disk, unsigned long long offset, unsigned long long length);
/* Copies out after tarn_pmem_begin_read() of a range around it; survives and reports poison met on the way. */
int tarn_pmem_read(const struct tarn_pmem_disk *disk, unsigned long long offset, void *target, tarn_size_t length);

/* Makes [offset, offset+length) storable: asks the platform to clear bad sectors in it. Fails, changing nothing a reader
 * could see, when the disk is read-only, a sector cannot be cleared, or a page would stay unmapped because bad sectors
 * lie in it outside the range. May sleep. */
int tarn_pmem_begin_write(const struct tarn_pmem_disk *disk, unsigned long long offset, unsigned long long length);
/* Stores after tarn_pmem_begin_write(); durable after the next flush. */
int tarn_pmem_write(const struct tarn_pmem_disk *disk, unsigned long long offset, const void *source,
		    tarn_size_t length);
/* Forgets the bad sectors that lie wholly in [offset, offset+length), all of which has been stored. Until this call
 * readers see them as bad, not as whatever clearing left there. */
void tarn_pmem_end_write(const struct tarn_pmem_disk *disk, unsigned long long offset, unsigned long long length);

/* Stores zeroes, healing bad sectors on the way. May sleep; pauses on long ranges. */
int tarn_pmem_zero(const struct tarn_pmem_disk *disk, unsigned long long offset, unsigned long long length);
/* The contents no longer matter: bad sectors are healed (and read zero) where that is possible, good ones are left as
 * they are. Fails only for a range outside the disk or a read-only disk. May sleep. */
int tarn_pmem_discard(const struct tarn_pmem_disk *disk, unsigned long long offset, unsigned long long length);

enum tarn_pmem_access {
	TARN_PMEM_ACCESS,   /* the pages will be loaded from and stored to */
	TARN_PMEM_RECOVERY, /* they will be overwritten by way of tarn_pmem_begin_write() */
};
/* How many pages from `page` on can be accessed in one piece; never more than `pages`, which is what the caller could
 * use. 0: `page` lies outside. poison_errno: `page` itself is bad (TARN_PMEM_ACCESS only; recovery gets one page). */
long tarn_pmem_reach(const struct tarn_pmem_disk *disk, unsigned long long page, long pages,
		     enum tarn_pmem_access access);

/* The hardware reported [physical, physical+length) as unreadable. Clips it to the disk and makes it known as bad; `real`
 * is 0 for a test's injection, which leaves the memory readable and is only translated. Returns 0 with the range in disk
 * offsets, or -ENXIO when none of it belongs to the disk. */
int tarn_pmem_failure(const struct tarn_pmem_disk *disk, unsigned long long physical, unsigned long long length,
		      int real, unsigned long long *disk_offset, unsigned long long *disk_length);

/* Makes everything stored so far durable. May sleep. */
int tarn_pmem_flush(const struct tarn_pmem_disk *disk);

/* ---- what the core needs: supplied by pmem/linux/media.c or by a test ---------------------------------------- */

/* Looks for the first bad sector in [sector, sector+sectors); sectors > 0. Returns 1 and the bad run's part from
 * there on (which may reach beyond the range), or 0. */
int tarn_media_first_bad(void *media, unsigned long long sector, unsigned long long sectors,
			 unsigned long long *first, unsigned long long *count);
/* Adds to and removes from the list of bad sectors. */
void tarn_media_add_bad(void *media, unsigned long long sector, unsigned long long sectors);
void tarn_media_forget_bad(void *media, unsigned long long sector, unsigned long long sectors);
/* Asks the platform to clear poison from whole sectors. Returns how many bytes, from the start, are clear now, or a
 * negative errno. Their contents are undefined. May sleep. */
long long tarn_media_clear_poison(void *media, unsigned long long offset, unsigned long long length);
/* Is any page of [page, page+pages) marked by the kernel as failed, hence perhaps not mapped? */
int tarn_media_is_blocked(void *media, unsigned long long page, unsigned long long pages);
/* Makes such pages usable again. */
void tarn_media_unblock(void *media, unsigned long long page, unsigned long long pages);
/* Copies from pmem; returns how many bytes at the end could not be read. */
tarn_size_t tarn_media_load(void *media, void *target, const void *source, tarn_size_t length);
/* Everything stored so far is durable when this returns 0. May sleep. */
int tarn_media_flush(void *media);
/* A good moment to let others run. */
void tarn_media_pause(void *media);

#ifdef __cplusplus
}
#endif
#endif
