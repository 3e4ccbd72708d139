// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: tarnfs/DEVICE/persist of each mount, "name value" a line: what has been stored, written back and fenced while
 * counting was on. Writing 1 turns that on, 0 off. Without debugfs there is nothing to see, and nothing else changes.
 *
 * A file that is being read or written when the mount goes is waited for (debugfs_remove).
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include "cxxrt/linux/persist.h"
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

/* As is usual, nobody cares whether debugfs works: an error pointer for a parent is taken for what it is. */
void tarn_debug_add(struct super_block *sb)
{
	struct tarn_super *super = tarn_super(sb);

	super->debug = debugfs_create_dir(sb->s_id, tarn_debug_root);
	debugfs_create_file("persist", 0600, super->debug, &super->backing, &tarn_persist_operations);
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
