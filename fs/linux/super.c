// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: mounting, remounting, unmounting, statfs, freezing, and the module.
 *
 * The whole device is mapped once, by dax_direct_access at mount; the core works on that mapping. The block
 * device's page cache is an alias of the same memory that we do not look at: it is written out and dropped at
 * mount and at unmount.
 */
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/shrinker.h>
#include <linux/statfs.h>

#include "fs/file_core.h"
#include "fs/linux/glue.h"
#include "tarnfs/superblock.h"

/* Into the log of the mount (the kernel's, where the caller of mount has none). */
#define tarn_refuse(sb, fc, format, ...) errorf(fc, "tarnfs (%pg): " format, (sb)->s_bdev, ##__VA_ARGS__)

/* ---- the device --------------------------------------------------------------------------------------- */

static int tarn_enter_unless(const struct super_block *sb, enum tarn_stop stop)
{
	const struct tarn_super *super = tarn_super(sb);
	int entered = dax_read_lock();

	if (likely(READ_ONCE(super->stopped) < stop && dax_alive(super->dax)))
		return entered;
	dax_read_unlock(entered);
	return -EIO;
}

int tarn_enter(const struct super_block *sb)
{
	return tarn_enter_unless(sb, TARN_SHUT_DOWN);
}

int tarn_enter_device(const struct super_block *sb)
{
	return tarn_enter_unless(sb, TARN_GONE);
}

void tarn_leave(int entered)
{
	dax_read_unlock(entered);
}

int tarn_check(struct super_block *sb, int error)
{
	if (unlikely(error == -EUCLEAN) && READ_ONCE(tarn_super(sb)->errors) == TARN_ERRORS_PANIC && sb->s_root)
		panic("tarnfs (%pg): damage found, and errors=panic", sb->s_bdev);
	if (unlikely(error == -EUCLEAN || error == -EIO || error == -EROFS) && !sb_rdonly(sb) &&
	    READ_ONCE(tarn_super(sb)->stopped) == TARN_RUNS && tarn_fs_is_read_only(tarn_fs(sb))) {
		sb->s_flags |= SB_RDONLY; /* the core has said why */
		/* From now on the VFS's syncfs() visits no inode, so what is dirty in mappings stays so. */
		errseq_set(&sb->s_wb_err, error);
	}
	return error;
}

/*
 * Held while a failure is dealt with, and to stop being the holder: dax calls the holder with nothing that
 * keeps the super block alive. Innermost but for what tarn_file_unmap_all and debugfs take (whose users are waited for:
 * they take nothing of ours but tarn_debug_lock); s_umount may be held outside it, not taken inside.
 */
static DEFINE_MUTEX(tarn_failure_lock);

/*
 * Memory went bad under us, or the device goes away. Never -EOPNOTSUPP: the caller would then handle the page
 * as one of the page cache. What is removed whole must not be touched again; the caller waits for those
 * between tarn_enter and tarn_leave before the memory goes.
 */
static void tarn_handle_failure(struct super_block *sb, u64 offset, u64 length)
{
	if (length == U64_MAX) {
		tarn_error(sb, "the device is being removed while mounted");
		WRITE_ONCE(tarn_super(sb)->stopped, TARN_GONE);
		tarn_debug_remove(sb); /* another device may get the name now */
	} else {
		tarn_error(sb, "memory failure at byte %llu, %llu bytes", offset - tarn_super(sb)->dax_offset,
			   length);
	}
	tarn_file_unmap_all(sb);
}

/* Also called while mounting or unmounting: nothing is mapped then. */
static int tarn_notify_failure(struct dax_device *dax, u64 offset, u64 length, int flags)
{
	struct super_block *sb;

	mutex_lock(&tarn_failure_lock);
	sb = dax_holder(dax);
	if (sb)
		tarn_handle_failure(sb, offset, length);
	mutex_unlock(&tarn_failure_lock);
	return 0;
}

/* Before the flag is seen a fault may still map something: it holds invalidate_lock, which un-mapping waits for. */
void tarn_shut_down(struct super_block *sb)
{
	struct tarn_super *super = tarn_super(sb);

	tarn_fs_shut_down(super->fs);
	cmpxchg(&super->stopped, TARN_RUNS, TARN_SHUT_DOWN);
	tarn_file_unmap_all(sb);
}

static const struct dax_holder_operations tarn_holder_operations = {
	.notify_failure = tarn_notify_failure,
};

/* Dirty pages of the block device would later be written over ours; clean ones would show old contents to
 * readers. */
static int tarn_drop_block_cache(struct block_device *bdev)
{
	int error = sync_blockdev(bdev);

	invalidate_bdev(bdev);
	return error;
}

/* The kernel keeps a reference for ever when it finds that there is a holder already: so that is looked for first. */
static struct dax_device *tarn_hold_dax(struct super_block *sb, u64 *offset)
{
	struct dax_device *held = NULL, *dax = fs_dax_get_by_bdev(sb->s_bdev, offset, NULL, NULL);

	if (dax && !dax_holder(dax))
		held = fs_dax_get_by_bdev(sb->s_bdev, offset, sb, &tarn_holder_operations);
	fs_put_dax(dax, NULL);
	return held;
}

static int tarn_get_dax(struct super_block *sb, struct fs_context *fc)
{
	struct tarn_super *super = tarn_super(sb);

	super->dax = tarn_hold_dax(sb, &super->dax_offset);
	if (super->dax)
		return 0;
	if (!blk_queue_dax(bdev_get_queue(sb->s_bdev)))
		tarn_refuse(sb, fc, "not a DAX-capable device: persistent memory is needed, see tarn_pmem");
	else
		tarn_refuse(sb, fc, "no DAX: partition not page-aligned, or another one of this device mounted");
	return -EINVAL;
}

/* A known bad block ends a mapping, or prevents it. Such a device is refused: the core reads its structures by plain
 * loads, and the kernel does not survive one from a bad line. */
static int tarn_map_device(struct super_block *sb, struct fs_context *fc)
{
	struct tarn_super *super = tarn_super(sb);
	long pages = bdev_nr_bytes(sb->s_bdev) >> PAGE_SHIFT;
	void *address;
	pfn_t pfn;
	int entered = dax_read_lock();
	long mapped = dax_direct_access(super->dax, super->dax_offset >> PAGE_SHIFT, pages, DAX_ACCESS,
					&address, &pfn);

	dax_read_unlock(entered);
	if (mapped < 0) {
		tarn_refuse(sb, fc, "the device cannot be mapped: error %ld (bad blocks?)", mapped);
		return mapped;
	}
	if (!pages || mapped < pages) {
		tarn_refuse(sb, fc, "only %ld of %ld pages map as one piece: bad blocks, or a device made of pieces",
			    mapped, pages);
		return -EINVAL;
	}
	if (!pfn_t_devmap(pfn)) {
		tarn_refuse(sb, fc, "memory has no struct pages: use tarn_pmem, or fsdax mode (see ndctl)");
		return -EINVAL;
	}
	super->device = (struct tarn_device){
		.base = address,
		.blocks = pages,
		.class_ = dax_synchronous(super->dax) ? TARN_DEVICE_SYNC : TARN_DEVICE_FLUSH,
		.write_back = dax_write_cache_enabled(super->dax),
		.read_only = bdev_read_only(sb->s_bdev),
		.first_pfn = pfn_t_to_pfn(pfn),
		.handle = &super->backing,
	};
	strscpy(super->device.name, sb->s_id, sizeof(super->device.name));
	super->backing.bdev = sb->s_bdev;
	return tarn_persist_counts_create(&super->backing);
}

/* ---- mount and unmount -------------------------------------------------------------------------------- */

static void tarn_apply_errors(const struct tarn_super *super)
{
	tarn_fs_set_on_damage(super->fs, super->errors == TARN_ERRORS_CONTINUE ? TARN_DAMAGE_CONTINUE :
										 TARN_DAMAGE_READ_ONLY);
}

static int tarn_open_fs(struct super_block *sb, struct fs_context *fc)
{
	struct tarn_super *super = tarn_super(sb);
	enum tarn_access access = super->no_recovery ? TARN_AS_IT_IS :
				  sb_rdonly(sb)	     ? TARN_READ_ONLY :
						       TARN_READ_WRITE;
	const char *why = "the device is being removed";
	int error, entered = tarn_enter(sb);

	if (entered >= 0) {
		error = tarn_fs_open(&super->device, access, &super->fs, &why);
		tarn_leave(entered);
	} else {
		error = entered;
	}
	if (error) {
		tarn_refuse(sb, fc, "%s", why);
		return error;
	}
	if (tarn_fs_is_read_only(super->fs) && !sb_rdonly(sb)) {
		warnf(fc, "tarnfs (%pg): damaged: mounted read-only, run fsck.tarnfs", sb->s_bdev);
		sb->s_flags |= SB_RDONLY;
	}
	tarn_apply_errors(super);
	return 0;
}

static int tarn_open_root(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root = tarn_iget(sb, TARN_ROOT_INODE);

	if (IS_ERR(root)) {
		tarn_refuse(sb, fc, "the root directory cannot be read");
		return PTR_ERR(root);
	}
	if (!S_ISDIR(root->i_mode)) {
		tarn_refuse(sb, fc, "the root inode is not a directory");
		iput(root);
		return -EUCLEAN;
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static void tarn_set_limits(struct super_block *sb)
{
	sb->s_magic = TARNFS_STATFS_MAGIC;
	sb->s_op = &tarn_super_operations;
	sb->s_export_op = &tarn_export_operations;
	sb->s_maxbytes = TARN_FILE_SIZE_MAX;
	sb->s_max_links = TARN_LINK_MAX;
	sb->s_time_gran = 1;
	sb->s_xattr = tarn_xattr_handlers;
	sb->s_flags |= SB_POSIXACL | SB_NOSEC;
}

static void tarn_put(struct super_block *sb)
{
	struct tarn_super *super = tarn_super(sb);

	mutex_lock(&tarn_failure_lock);
	tarn_debug_remove(sb);
	mutex_unlock(&tarn_failure_lock);
	if (super->fs) {
		int entered = tarn_enter_device(sb);

		if (entered < 0)
			tarn_fs_abandon(super->fs);
		tarn_fs_close(super->fs);
		if (entered >= 0)
			tarn_leave(entered);
	}
	mutex_lock(&tarn_failure_lock);
	fs_put_dax(super->dax, sb);
	mutex_unlock(&tarn_failure_lock);
	tarn_persist_counts_destroy(&super->backing);
	sb->s_fs_info = NULL;
	kfree(super);
}

static int tarn_fill_super(struct super_block *sb, struct fs_context *fc)
{
	int error;

	tarn_set_limits(sb);
	if (tarn_super(sb)->no_recovery && !sb_rdonly(sb)) {
		tarn_refuse(sb, fc, "norecovery changes nothing, so it needs ro");
		return -EINVAL;
	}
	if (!sb_set_blocksize(sb, TARNFS_BLOCK_SIZE)) {
		tarn_refuse(sb, fc, "the device does not take blocks of %d bytes", TARNFS_BLOCK_SIZE);
		return -EINVAL;
	}
	error = tarn_drop_block_cache(sb->s_bdev);
	if (error) {
		tarn_refuse(sb, fc, "the block cache cannot be written out: error %d", error);
		return error;
	}
	error = tarn_get_dax(sb, fc);
	if (!error)
		error = tarn_map_device(sb, fc);
	if (!error)
		error = tarn_open_fs(sb, fc);
	if (error)
		return error;
	tarn_set_uuid(sb, tarn_fs_uuid(tarn_fs(sb)), 16);
	error = tarn_open_root(sb, fc);
	if (error)
		return error;
	/* The device may go meanwhile, and take the directory away. */
	mutex_lock(&tarn_failure_lock);
	if (READ_ONCE(tarn_super(sb)->stopped) != TARN_GONE)
		tarn_debug_add(sb);
	mutex_unlock(&tarn_failure_lock);
	return 0;
}

static void tarn_put_super(struct super_block *sb)
{
	tarn_put(sb);
	tarn_drop_block_cache(sb->s_bdev);
}

/* A mount that failed half-way has no root, and put_super is not called. */
static void tarn_kill_sb(struct super_block *sb)
{
	/* Who began to un-map while there were mappings holds inodes; without mappings nobody takes any. */
	mutex_lock(&tarn_failure_lock);
	mutex_unlock(&tarn_failure_lock);
	if (!sb->s_root && sb->s_fs_info)
		tarn_put(sb);
	kill_block_super(sb);
}

/* ---- mounting and remounting --------------------------------------------------------------------------- */

static int tarn_get_tree(struct fs_context *fc)
{
	return get_tree_bdev(fc, tarn_fill_super);
}

static int tarn_change_access(struct super_block *sb, struct fs_context *fc, bool read_only)
{
	int error, entered;

	if (!read_only && tarn_super(sb)->no_recovery) {
		tarn_refuse(sb, fc, "mounted with norecovery: unmount, and mount without");
		return -EINVAL;
	}
	if (!read_only && bdev_read_only(sb->s_bdev)) {
		tarn_refuse(sb, fc, "the device is read-only");
		return -EROFS;
	}
	/* Becoming read-write frees orphans. Only a forced remount leaves open ones behind. */
	if (!read_only && atomic_long_read(&sb->s_remove_count)) {
		tarn_refuse(sb, fc,
			    "removed files are still open: cannot be made read-write before they are closed");
		return -EBUSY;
	}
	entered = tarn_enter(sb);
	if (entered < 0)
		return entered;
	error = tarn_fs_set_access(tarn_fs(sb), read_only ? TARN_READ_ONLY : TARN_READ_WRITE);
	tarn_leave(entered);
	if (error)
		tarn_refuse(sb, fc, "cannot be made %s: error %d, see the kernel log",
			    read_only ? "read-only" : "read-write", error);
	return error;
}

static int tarn_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct tarn_super *super = tarn_super(sb);
	const struct tarn_super *wanted = fc->s_fs_info;
	bool read_only = fc->sb_flags & SB_RDONLY;
	int error = 0;

	sync_filesystem(sb);
	if (wanted->no_recovery && !super->no_recovery) {
		tarn_refuse(sb, fc, "norecovery comes too late: the journals have been replayed");
		return -EINVAL;
	}
	if (read_only != sb_rdonly(sb))
		error = tarn_change_access(sb, fc, read_only);
	if (!error && wanted->errors) {
		WRITE_ONCE(super->errors, wanted->errors);
		tarn_apply_errors(super);
	}
	return error;
}

static void tarn_free_context(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations tarn_context_operations = {
	.parse_param = tarn_parse_param,
	.get_tree = tarn_get_tree,
	.reconfigure = tarn_reconfigure,
	.free = tarn_free_context,
};

static int tarn_init_fs_context(struct fs_context *fc)
{
	fc->s_fs_info = kzalloc(sizeof(struct tarn_super), GFP_KERNEL);
	if (!fc->s_fs_info)
		return -ENOMEM;
	fc->ops = &tarn_context_operations;
	return 0;
}

/* ---- super operations --------------------------------------------------------------------------------- */

static int tarn_statfs(struct dentry *dentry, struct kstatfs *buffer)
{
	struct super_block *sb = dentry->d_sb;
	struct tarn_statistics statistics;

	tarn_fs_statistics(tarn_fs(sb), &statistics);
	buffer->f_type = TARNFS_STATFS_MAGIC;
	buffer->f_bsize = TARNFS_BLOCK_SIZE;
	buffer->f_frsize = TARNFS_BLOCK_SIZE;
	buffer->f_blocks = statistics.blocks;
	buffer->f_bfree = statistics.free;
	buffer->f_bavail = statistics.available;
	buffer->f_files = statistics.inodes;
	buffer->f_ffree = statistics.free_inodes;
	buffer->f_namelen = TARN_NAME_MAX;
	buffer->f_fsid = uuid_to_fsid(sb->s_uuid.b);
	return 0;
}

static int tarn_call_fs(struct super_block *sb, int (*call)(struct tarn_fs *fs))
{
	int error, entered = tarn_enter(sb);

	if (entered < 0)
		return entered;
	error = tarn_check(sb, call(tarn_fs(sb)));
	tarn_leave(entered);
	return error;
}

static int tarn_sync_fs(struct super_block *sb, int wait)
{
	return wait ? tarn_call_fs(sb, tarn_fs_sync) : 0;
}

/* The VFS has synced everything. After this the media needs no replay: it may be copied. */
static int tarn_freeze_fs(struct super_block *sb)
{
	return tarn_call_fs(sb, tarn_fs_settle);
}

static int tarn_unfreeze_fs(struct super_block *sb)
{
	return 0;
}

/*
 * Memory is short, or drop_caches was asked for. The VFS's shrinker of the mount calls these two, the second with s_umount
 * held and never out of an allocation that must not re-enter file systems; it is gone before kill_sb. The first may run
 * without a lock at any time between.
 */
static long tarn_nr_cached_objects(struct super_block *sb, struct shrink_control *control)
{
	return tarn_fs_reclaimable(tarn_fs(sb));
}

static long tarn_free_cached_objects(struct super_block *sb, struct shrink_control *control)
{
	int entered = tarn_enter(sb);
	long freed;

	if (entered < 0)
		return 0;
	freed = tarn_fs_reclaim(tarn_fs(sb), control->nr_to_scan);
	tarn_leave(entered);
	return freed;
}

const struct super_operations tarn_super_operations = {
	.alloc_inode = tarn_alloc_inode,
	.free_inode = tarn_free_inode,
	.evict_inode = tarn_evict_inode,
	.write_inode = tarn_write_inode,
	.put_super = tarn_put_super,
	.sync_fs = tarn_sync_fs,
	.freeze_fs = tarn_freeze_fs,
	.unfreeze_fs = tarn_unfreeze_fs,
	.statfs = tarn_statfs,
	.show_options = tarn_show_options,
	.nr_cached_objects = tarn_nr_cached_objects,
	.free_cached_objects = tarn_free_cached_objects,
};

/* ---- module ------------------------------------------------------------------------------------------- */

static struct file_system_type tarn_type = {
	.owner = THIS_MODULE,
	.name = "tarnfs",
	.fs_flags = FS_REQUIRES_DEV | FS_ALLOW_IDMAP,
	.init_fs_context = tarn_init_fs_context,
	.parameters = tarn_parameters,
	.kill_sb = tarn_kill_sb,
};
MODULE_ALIAS_FS("tarnfs");

static int __init tarn_init(void)
{
	int error = tarn_inode_cache_create();

	if (error)
		return error;
	tarn_debug_init();
	error = register_filesystem(&tarn_type);
	if (error) {
		tarn_debug_exit();
		tarn_inode_cache_destroy();
	}
	return error;
}

static void __exit tarn_exit(void)
{
	unregister_filesystem(&tarn_type);
	tarn_debug_exit();
	tarn_inode_cache_destroy();
	tarn_huge_zero_destroy();
}

module_init(tarn_init);
module_exit(tarn_exit);
MODULE_DESCRIPTION("DAX file system for persistent memory");
MODULE_LICENSE("GPL");
