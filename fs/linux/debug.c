// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs, for each mount, "name value" a line:
 *
 *   tarnfs/DEVICE/persist  what has been stored, written back and fenced while counting was on. Writing 1 turns that on, 0 off
 *   tarnfs/DEVICE/dax      faults, and what is mapped and dirty: always counted
 *
 * Without debugfs there is nothing to see, and nothing else changes.
 *
 * A file that is being read or written when the mount goes is waited for (debugfs_remove).
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include "cxxrt/linux/persist.h"
#include "fs/file_core.h"
#include "fs/linux/glue.h"

static struct dentry *tarn_debug_root;
/* One change of a switch at a time. Nothing is taken inside but what static_branch_inc takes. */
static DEFINE_MUTEX(tarn_debug_lock);

static int tarn_persist_show(struct seq_file *seq, void *unused)
{
	const struct tarn_backing *backing = seq->private;
	struct tarn_persist_counts counts;

	tarn_persist_counts_read(backing, &counts);
	seq_printf(seq, "counting %d\n", READ_ONCE(backing->counting));
	seq_printf(seq, "fences %llu\n", counts.fences);
	seq_printf(seq, "device_flushes %llu\n", counts.device_flushes);
	seq_printf(seq, "lines_written_back %llu\n", counts.lines_written_back);
	seq_printf(seq, "bytes_streamed %llu\n", counts.bytes_streamed);
	seq_printf(seq, "bytes_journal %llu\n", counts.bytes_journal);
	return 0;
}

static int tarn_persist_open(struct inode *inode, struct file *file)
{
	return single_open(file, tarn_persist_show, inode->i_private);
}

static ssize_t tarn_persist_write(struct file *file, const char __user *buffer, size_t length, loff_t *position)
{
	struct tarn_backing *backing = ((struct seq_file *)file->private_data)->private;
	bool counting;
	int error = kstrtobool_from_user(buffer, length, &counting);

	if (error)
		return error;
	mutex_lock(&tarn_debug_lock);
	tarn_persist_set_counting(backing, counting);
	mutex_unlock(&tarn_debug_lock);
	return length;
}

static const struct file_operations tarn_persist_operations = {
	.owner = THIS_MODULE,
	.open = tarn_persist_open,
	.read = seq_read,
	.write = tarn_persist_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int tarn_dax_show(struct seq_file *seq, void *unused)
{
	static const char *const names[TARN_COUNTS] = {
		[TARN_COUNT_READ] = "faults_4k_read",
		[TARN_COUNT_WRITE] = "faults_4k_write",
		[TARN_COUNT_MKWRITE] = "faults_4k_mkwrite",
		[TARN_COUNT_COPY] = "faults_4k_copy",
		[TARN_COUNT_HUGE_READ] = "faults_2m_read",
		[TARN_COUNT_HUGE_WRITE] = "faults_2m_write",
		[TARN_COUNT_HUGE_MKWRITE] = "faults_2m_mkwrite",
		[TARN_COUNT_AROUND] = "pages_around",
		[TARN_COUNT_FALLBACK_UNALIGNED] = "fallback_unaligned",
		[TARN_COUNT_FALLBACK_END] = "fallback_end",
		[TARN_COUNT_FALLBACK_ENTRIES] = "fallback_entries",
		[TARN_COUNT_FALLBACK_SCATTERED] = "fallback_scattered",
		[TARN_COUNT_FALLBACK_NO_SPACE] = "fallback_no_space",
		[TARN_COUNT_FALLBACK_NO_MEMORY] = "fallback_no_memory",
		[TARN_COUNT_ENTRIES] = "entries_4k",
		[TARN_COUNT_HUGE_ENTRIES] = "entries_2m",
		[TARN_COUNT_RECLAIMED] = "entries_reclaimed",
	};
	struct tarn_fs *fs = seq->private;
	unsigned long long dirty;
	int i;

	for (i = 0; i < TARN_COUNTS; i++)
		if (names[i])
			seq_printf(seq, "%s %llu\n", names[i], tarn_fs_counted(fs, i));
	dirty = tarn_fs_counted(fs, TARN_COUNT_DIRTY) + tarn_fs_counted(fs, TARN_COUNT_HUGE_DIRTY) * TARN_HUGE_BLOCKS;
	seq_printf(seq, "dirty_bytes %llu\n", dirty << PAGE_SHIFT);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tarn_dax);

/* As is usual, nobody cares whether debugfs works: an error pointer for a parent is taken for what it is. */
void tarn_debug_add(struct super_block *sb)
{
	struct tarn_super *super = tarn_super(sb);

	super->debug = debugfs_create_dir(sb->s_id, tarn_debug_root);
	debugfs_create_file("persist", 0600, super->debug, &super->backing, &tarn_persist_operations);
	debugfs_create_file("dax", 0400, super->debug, super->fs, &tarn_dax_fops);
}

void tarn_debug_remove(struct super_block *sb)
{
	debugfs_remove(tarn_super(sb)->debug);
	tarn_super(sb)->debug = NULL;
}

void tarn_debug_init(void)
{
	tarn_debug_root = debugfs_create_dir("tarnfs", NULL);
}

void tarn_debug_exit(void)
{
	debugfs_remove(tarn_debug_root);
}
