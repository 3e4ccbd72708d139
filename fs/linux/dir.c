// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: reading directories. An entry's position is its key in the directory's tree, which
 * never changes: entries made or removed meanwhile move no others. Entries go through a page of our own, so
 * that no lock of the core is held while they are copied to the caller's memory, which may be a mapping of a
 * file on this file system.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/sched/signal.h>

#include "fs/linux/glue.h"

/* Returns false when the caller's buffer is full. */
static bool tarn_emit(struct dir_context *ctx, const void *buffer, int used)
{
	int at = 0;

	while (at < used) {
		const struct tarn_dir_entry *entry = buffer + at;

		ctx->pos = entry->cookie;
		if (!dir_emit(ctx, entry->name, entry->length, entry->number, entry->type))
			return false;
		ctx->pos = entry->cookie + 1;
		at += ALIGN(offsetof(struct tarn_dir_entry, name) + entry->length, 8);
	}
	return true;
}

static int tarn_read_entries(struct inode *dir, loff_t position, void *buffer)
{
	int used, entered = tarn_enter(dir->i_sb);

	if (entered < 0)
		return entered;
	used = tarn_dir_read(tarn_core(dir), max_t(u64, position, TARN_COOKIE_FIRST), buffer, PAGE_SIZE);
	tarn_leave(entered);
	return tarn_check(dir->i_sb, used);
}

static int tarn_iterate(struct file *file, struct dir_context *ctx)
{
	void *buffer;
	int used;

	if (!dir_emit_dots(file, ctx))
		return 0;
	buffer = (void *)__get_free_page(GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	do {
		used = tarn_read_entries(file_inode(file), ctx->pos, buffer);
		if (used > 0 && fatal_signal_pending(current))
			used = -EINTR;
	} while (used > 0 && tarn_emit(ctx, buffer, used));
	free_page((unsigned long)buffer);
	return min(used, 0);
}

/* Positions reach further than file sizes do. */
static loff_t tarn_dir_seek(struct file *file, loff_t offset, int whence)
{
	return generic_file_llseek_size(file, offset, whence, LLONG_MAX, i_size_read(file_inode(file)));
}

const struct file_operations tarn_dir_operations = {
	.llseek = tarn_dir_seek,
	.read = generic_read_dir,
	.iterate_shared = tarn_iterate,
	.fsync = tarn_fsync_metadata,
	.unlocked_ioctl = tarn_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
