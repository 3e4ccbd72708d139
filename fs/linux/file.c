// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: the contents of regular files: read, write, seek, truncate, fallocate, sync. Nothing here uses the
 * page cache; O_DIRECT is accepted and means nothing more than its absence.
 *
 * Locks: i_rwsem -> invalidate_lock -> the core's. The core says which it wants at each function (fs/file_core.h).
 */
#include <linux/fs.h>
#include <linux/falloc.h> /* includes nothing of what it needs on 6.1 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "fs/file_core.h"
#include "fs/linux/file.h"
#include "fs/linux/glue.h"

/* A write that may not wait need not be O_DIRECT: a mode of the open file until 6.10, a flag of the operations since. */
#ifdef FMODE_BUF_WASYNC
#define TARN_FMODE_WRITE_NOWAIT FMODE_BUF_WASYNC
#else
#define TARN_FMODE_WRITE_NOWAIT 0
#endif

/* ---- the caller's memory ---------------------------------------------------------------------------------- */

/* Copying past the cache loads several bytes at a time and stops up to three before a page that is not resident (6.12:
 * copy_to_nontemporal). The rest of the last page is copied byte by byte: else who faults in what comes next would find
 * these resident, copy none of them, and come back for ever. */
static size_t tarn_copy_last_bytes(struct iov_iter *from, void *media, size_t length)
{
	char bytes[128];
	size_t copied = _copy_from_iter(bytes, min(length, sizeof(bytes)), from);

	memcpy_flushcache(media, bytes, copied);
	return copied;
}

tarn_size_t tarn_user_copy_in(const struct tarn_device *device, struct tarn_user *from, void *media,
			      tarn_size_t length)
{
	struct iov_iter *source = (struct iov_iter *)from;
	size_t copied;

	pagefault_disable();
	copied = _copy_from_iter_flushcache(media, length, source);
	if (copied < length)
		copied += tarn_copy_last_bytes(source, media + copied, length - copied);
	pagefault_enable();
	tarn_persist_count(device, bytes_streamed, copied);
	return copied;
}

/* A reader that is being killed gets no more: the core then ends the call. */
tarn_size_t tarn_user_copy_out(struct tarn_user *to, const void *media, tarn_size_t length)
{
	cond_resched();
	return fatal_signal_pending(current) ? 0 : _copy_mc_to_iter(media, length, (struct iov_iter *)to);
}

tarn_size_t tarn_user_zero_out(struct tarn_user *to, tarn_size_t length)
{
	cond_resched();
	return fatal_signal_pending(current) ? 0 : iov_iter_zero(length, (struct iov_iter *)to);
}

/* ---- read ------------------------------------------------------------------------------------------------- */

static ssize_t tarn_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t got;
	int entered;

	if (!iov_iter_count(to))
		return 0;
	if (!(iocb->ki_flags & IOCB_NOWAIT))
		inode_lock_shared(inode);
	else if (!inode_trylock_shared(inode))
		return -EAGAIN;
	entered = tarn_enter(inode->i_sb);
	got = entered;
	if (entered >= 0) {
		got = tarn_file_read(tarn_core(inode), iocb->ki_pos, iov_iter_count(to), (struct tarn_user *)to);
		tarn_leave(entered);
	}
	inode_unlock_shared(inode);
	if (got > 0)
		iocb->ki_pos += got;
	file_accessed(iocb->ki_filp);
	return got < 0 ? tarn_check(inode->i_sb, got) : got;
}

static loff_t tarn_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	enum tarn_seek what = whence == SEEK_DATA ? TARN_SEEK_DATA : TARN_SEEK_HOLE;
	loff_t found;
	int entered;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	if (offset < 0)
		return -ENXIO;
	inode_lock_shared(inode);
	entered = tarn_enter(inode->i_sb);
	found = entered;
	if (entered >= 0) {
		found = tarn_file_seek(tarn_core(inode), offset, what);
		tarn_leave(entered);
	}
	inode_unlock_shared(inode);
	return found < 0 ? tarn_check(inode->i_sb, found) : vfs_setpos(file, found, inode->i_sb->s_maxbytes);
}

/* ---- write ------------------------------------------------------------------------------------------------ */

/* One step: the source is faulted in first, because the core copies with page faults disabled. Zero: what was faulted in
 * went again before it was copied. */
static ssize_t tarn_write_step(struct inode *inode, struct tarn_write *write, struct iov_iter *from)
{
	size_t length = min_t(size_t, write->length, TARN_WRITE_STEP);
	ssize_t wrote;
	int entered;

	if (fault_in_iov_iter_readable(from, length) == length)
		return -EFAULT;
	entered = tarn_enter(inode->i_sb);
	if (entered < 0)
		return entered;
	wrote = tarn_file_write(tarn_core(inode), write);
	tarn_leave(entered);
	return wrote;
}

static int tarn_write_end(struct inode *inode, struct tarn_write *write)
{
	int error, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	error = tarn_file_write_end(tarn_core(inode), write);
	i_size_write(inode, tarn_file_size(tarn_core(inode)));
	tarn_leave(entered);
	return error;
}

static ssize_t tarn_write_locked(struct inode *inode, loff_t offset, struct iov_iter *from)
{
	struct tarn_write write = {
		.offset = offset,
		.length = iov_iter_count(from),
		.from = (struct tarn_user *)from,
	};
	ssize_t wrote = 0, done = 0;
	int error;

	tarn_inode_times(inode, &write.times);
	while (write.length && wrote >= 0) {
		wrote = tarn_write_step(inode, &write, from);
		if (wrote > 0) {
			write.offset += wrote;
			write.length -= wrote;
			done += wrote;
		}
		if (wrote >= 0 && write.length && fatal_signal_pending(current))
			wrote = -EINTR;
		cond_resched();
	}
	error = tarn_check(inode->i_sb, tarn_write_end(inode, &write));
	if (error)
		return error;
	return done ? done : tarn_check(inode->i_sb, wrote);
}

/* Who must not wait gets what is there overwritten, and nothing else: neither space nor privileges change. */
static bool tarn_may_write_now(struct inode *inode, loff_t offset, size_t length)
{
	int may, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return true; /* it fails at once */
	may = IS_NOSEC(inode) && tarn_file_is_overwrite(tarn_core(inode), offset, length);
	tarn_leave(entered);
	return may;
}

static ssize_t tarn_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	ssize_t wrote;

	if (!(iocb->ki_flags & IOCB_NOWAIT))
		inode_lock(inode);
	else if (!inode_trylock(inode))
		return -EAGAIN;
	wrote = generic_write_checks(iocb, from);
	if (wrote > 0 && (iocb->ki_flags & IOCB_NOWAIT) && !tarn_may_write_now(inode, iocb->ki_pos, wrote))
		wrote = -EAGAIN;
	if (wrote > 0) {
		int error = file_remove_privs(file);

		if (!error)
			error = file_update_time(file);
		wrote = error ? error : tarn_write_locked(inode, iocb->ki_pos, from);
	}
	inode_unlock(inode);
	if (wrote <= 0)
		return wrote;
	iocb->ki_pos += wrote;
	return generic_write_sync(iocb, wrote);
}

/* ---- truncate --------------------------------------------------------------------------------------------- */

/* A pin on a page that would go holds truncation and punching off; how long is up to whoever pinned it, so the wait is a
 * nap at a time and a signal ends it. */
#define TARN_PIN_NAP_MS 2

static int tarn_wait_for_pin(void)
{
	schedule_timeout_interruptible(msecs_to_jiffies(TARN_PIN_NAP_MS));
	return signal_pending(current) ? -ERESTARTSYS : 0;
}

/* What private mappings have copied goes too, now that it is certain. */
static void tarn_unmap_copies_behind(struct inode *inode, loff_t size)
{
	tarn_wait_for_zero_copies();
	unmap_mapping_range(inode->i_mapping, round_up(size, PAGE_SIZE), 0, 1);
}

static int tarn_resize_once(struct inode *inode, loff_t size, const struct tarn_times *times)
{
	struct address_space *mapping = inode->i_mapping;
	bool shrinks = size < i_size_read(inode);
	int error, entered;

	filemap_invalidate_lock(mapping);
	if (shrinks)
		unmap_mapping_range(mapping, round_up(size, PAGE_SIZE), 0, 0);
	entered = tarn_enter(inode->i_sb);
	error = entered;
	if (entered >= 0) {
		error = tarn_check(inode->i_sb, tarn_file_resize(tarn_core(inode), size, times));
		tarn_leave(entered);
	}
	if (!error) {
		i_size_write(inode, size);
		if (shrinks)
			tarn_unmap_copies_behind(inode, size);
	}
	filemap_invalidate_unlock(mapping);
	return error;
}

/* The times are the VFS inode's first, as for a write: who logs them while blocks are being freed logs these. Somebody may
 * have read them before, and log them after us: dirty, they are logged once more. */
static int tarn_resize(struct inode *inode, loff_t size)
{
	struct timespec64 mtime = inode_get_mtime(inode), ctime = inode_get_ctime(inode), now = current_time(inode);
	bool changes = size != i_size_read(inode);
	struct tarn_times times;
	int error;

	if (changes) {
		inode_set_mtime_to_ts(inode, now);
		inode_set_ctime_to_ts(inode, now);
	}
	tarn_inode_times(inode, &times);
	do
		error = tarn_resize_once(inode, size, &times);
	while (error == -EBUSY && !(error = tarn_wait_for_pin()));
	if (error && changes) {
		inode_set_mtime_to_ts(inode, mtime);
		inode_set_ctime_to_ts(inode, ctime);
	}
	if (changes)
		mark_inode_dirty_sync(inode);
	return error;
}

#define TARN_OTHER_ATTRIBUTES (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_ATIME_SET | ATTR_MTIME_SET)

static int tarn_file_setattr(tarn_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int error = setattr_prepare(idmap, dentry, attr);

	if (error)
		return error;
	if (attr->ia_valid & ATTR_SIZE) {
		bool changes = attr->ia_size != i_size_read(inode);

		error = tarn_resize(inode, attr->ia_size);
		if (error || (changes && !(attr->ia_valid & TARN_OTHER_ATTRIBUTES)))
			return error;
	}
	return tarn_setattr_attributes(idmap, inode, attr);
}

/* Direct I/O is what all I/O is: to the byte. But programs give these numbers to posix_memalign(3), which takes no less. */
enum { TARN_DIO_ALIGN = sizeof(void *) };

static int tarn_file_getattr(tarn_idmap *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
			     unsigned int query_flags)
{
	int error = tarn_getattr(idmap, path, stat, request_mask, query_flags);

	if (!error && (request_mask & STATX_DIOALIGN)) {
		stat->dio_mem_align = TARN_DIO_ALIGN;
		stat->dio_offset_align = TARN_DIO_ALIGN;
		stat->result_mask |= STATX_DIOALIGN;
	}
	return error;
}

/* ---- fallocate -------------------------------------------------------------------------------------------- */

static int tarn_fallocate_steps(struct inode *inode, struct tarn_fallocate *request)
{
	int more = 1;

	while (more > 0) {
		int entered = tarn_enter(inode->i_sb);

		if (entered < 0)
			return entered;
		more = tarn_file_fallocate(tarn_core(inode), request);
		if (!more)
			i_size_write(inode, tarn_file_size(tarn_core(inode)));
		tarn_leave(entered);
		if (more > 0 && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return more;
}

static bool tarn_fallocate_shifts(const struct tarn_fallocate *request)
{
	return request->kind == TARN_FALLOCATE_COLLAPSE || request->kind == TARN_FALLOCATE_INSERT;
}

static int tarn_fallocate_locked(struct inode *inode, struct tarn_fallocate *request)
{
	bool clears = request->kind != TARN_FALLOCATE_KEEP;
	int error;

	do {
		if (clears)
			filemap_invalidate_lock(inode->i_mapping);
		if (tarn_fallocate_shifts(request))
			unmap_mapping_range(inode->i_mapping, request->offset, 0, 0);
		error = tarn_fallocate_steps(inode, request);
		if (!error && request->kind == TARN_FALLOCATE_COLLAPSE)
			tarn_unmap_copies_behind(inode, i_size_read(inode));
		if (clears)
			filemap_invalidate_unlock(inode->i_mapping);
	} while (error == -EBUSY && !(error = tarn_wait_for_pin()));
	return tarn_check(inode->i_sb, error);
}

/* Nothing is shared: to unshare is to allocate. */
static int tarn_fallocate_kind(int mode)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_UNSHARE_RANGE:
		return TARN_FALLOCATE_KEEP;
	case FALLOC_FL_PUNCH_HOLE:
		return TARN_FALLOCATE_PUNCH;
	case FALLOC_FL_ZERO_RANGE:
		return TARN_FALLOCATE_ZERO;
	case FALLOC_FL_COLLAPSE_RANGE:
		return TARN_FALLOCATE_COLLAPSE;
	case FALLOC_FL_INSERT_RANGE:
		return TARN_FALLOCATE_INSERT;
	default:
		return -EOPNOTSUPP;
	}
}

/* As the limit of the process has it (RLIMIT_FSIZE). What would be too large altogether is the core's business. */
static int tarn_fallocate_size_ok(struct inode *inode, int mode, loff_t offset, loff_t length)
{
	loff_t size = i_size_read(inode), after = size;

	if (mode & FALLOC_FL_INSERT_RANGE)
		after += min(length, inode->i_sb->s_maxbytes - size);
	else if (!(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_COLLAPSE_RANGE)))
		after = offset + length;
	return after > size ? inode_newsize_ok(inode, after) : 0;
}

static long tarn_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
	struct inode *inode = file_inode(file);
	int error, kind = tarn_fallocate_kind(mode);
	struct tarn_fallocate request = {
		.offset = offset,
		.length = length,
		.kind = kind,
		.keep_size = !!(mode & FALLOC_FL_KEEP_SIZE),
	};

	if (kind < 0)
		return kind;
	inode_lock(inode);
	error = tarn_fallocate_size_ok(inode, mode, offset, length);
	if (!error)
		error = file_modified(file);
	if (!error) {
		tarn_inode_times(inode, &request.times);
		error = tarn_fallocate_locked(inode, &request);
	}
	inode_unlock(inode);
	if (!error && ((file->f_flags & O_DSYNC) || IS_SYNC(inode)))
		error = vfs_fsync_range(file, offset, offset + length - 1, !(file->f_flags & __O_SYNC));
	return error;
}

/* ---- sync ------------------------------------------------------------------------------------------------- */

/* Sizes, blocks and names are durable as they happen; what is left are stores through mappings, and times. */
static int tarn_fsync(struct file *file, loff_t first, loff_t last, int datasync)
{
	struct inode *inode = file_inode(file);
	struct tarn_times times;
	int error, entered = tarn_enter(inode->i_sb);

	if (entered < 0)
		return entered;
	error = tarn_file_sync(tarn_core(inode), first, last);
	if (!error && !datasync && !sb_rdonly(inode->i_sb)) {
		tarn_inode_times(inode, &times);
		error = tarn_inode_write_times(tarn_core(inode), &times);
	}
	tarn_leave(entered);
	tarn_check(inode->i_sb, error);
	return error ? error : file_check_and_advance_wb_err(file);
}

/* Also for WB_SYNC_NONE all of it: sync() and syncfs() may ask for nothing more. */
static int tarn_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct super_block *sb = mapping->host->i_sb;
	loff_t first = wbc->range_cyclic ? 0 : wbc->range_start;
	loff_t last = wbc->range_cyclic ? LLONG_MAX : wbc->range_end;
	int error, entered = tarn_enter(sb);

	if (entered < 0)
		return entered;
	error = tarn_check(sb, tarn_file_sync(tarn_core(mapping->host), first, last));
	tarn_leave(entered);
	if (error)
		mapping_set_error(mapping, error);
	return error;
}

/* A read or write that may not wait (RWF_NOWAIT, io_uring) is tried; there is no page cache to read ahead into. */
static int tarn_open(struct inode *inode, struct file *file)
{
	file->f_mode |= FMODE_NOWAIT | TARN_FMODE_WRITE_NOWAIT;
	return generic_file_open(inode, file);
}

/* The last user of a mapping is gone: entries of clean pages are not needed any more. */
static int tarn_release(struct inode *inode, struct file *file)
{
	int dirty, entered;

	if (mapping_mapped(inode->i_mapping))
		return 0;
	entered = tarn_enter(inode->i_sb);
	if (entered < 0)
		return 0;
	dirty = tarn_file_trim(tarn_core(inode));
	tarn_leave(entered);
	if (dirty)
		__mark_inode_dirty(inode, I_DIRTY_PAGES);
	return 0;
}

/* ---- operation tables ------------------------------------------------------------------------------------- */

const struct address_space_operations tarn_file_aops = {
	.writepages = tarn_writepages,
	.dirty_folio = noop_dirty_folio,
	.direct_IO = noop_direct_IO, /* its presence allows O_DIRECT */
};

const struct inode_operations tarn_file_inode_operations = {
	.setattr = tarn_file_setattr,
	.getattr = tarn_file_getattr,
	.fiemap = tarn_fiemap,
	.fileattr_get = tarn_fileattr_get,
	.fileattr_set = tarn_fileattr_set,
	.listxattr = tarn_listxattr,
	.get_inode_acl = tarn_get_inode_acl,
	.set_acl = tarn_set_acl,
};

const struct file_operations tarn_file_operations = {
	.llseek = tarn_llseek,
	.read_iter = tarn_read_iter,
	.write_iter = tarn_write_iter,
	.mmap = tarn_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.open = tarn_open,
	.release = tarn_release,
	.fsync = tarn_fsync,
	.fallocate = tarn_fallocate,
	.unlocked_ioctl = tarn_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	.splice_read = copy_splice_read,
#else
	.splice_read = generic_file_splice_read, /* reads through read_iter */
#endif
	.splice_write = iter_file_splice_write,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	.fop_flags = FOP_MMAP_SYNC | FOP_BUFFER_WASYNC,
#else
	.mmap_supported_flags = MAP_SYNC,
#endif
};
