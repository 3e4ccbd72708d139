// SPDX-License-Identifier: GPL-2.0
/*
 * The block device: bios, limits, sysfs attributes.
 *
 * Everything is done in the submitter's context and may sleep (flushes, clearing poison). A bio's segments
 * may have any length and alignment; the byte offset is counted here, not taken from bi_sector, which is
 * rounded.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/kstrtox.h>
#include <linux/libnvdimm.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "tarn_pmem.h"

/* So that a request for zeroes on a large device can be interrupted between bios. */
#define TARN_ZERO_SECTORS ((64u << 20) / SECTOR_SIZE)
/* Discards cost nothing, whatever their length. */
#define TARN_DISCARD_SECTORS (UINT_MAX >> SECTOR_SHIFT)

static int tarn_bio_read(struct tarn_pmem *pmem, struct bio *bio, u64 offset)
{
	struct bio_vec segment;
	struct bvec_iter iter;
	int rc = tarn_pmem_begin_read(&pmem->core, offset, bio->bi_iter.bi_size);

	if (rc)
		return rc;
	bio_for_each_segment (segment, bio, iter) {
		void *target = bvec_kmap_local(&segment);

		rc = tarn_pmem_read(&pmem->core, offset, target, segment.bv_len);
		kunmap_local(target);
		if (rc)
			return rc;
		flush_dcache_page(segment.bv_page);
		offset += segment.bv_len;
	}
	return 0;
}

static int tarn_bio_write(struct tarn_pmem *pmem, struct bio *bio, u64 offset)
{
	u64 at = offset;
	struct bio_vec segment;
	struct bvec_iter iter;
	int rc = tarn_pmem_begin_write(&pmem->core, offset, bio->bi_iter.bi_size);

	if (rc)
		return rc;
	bio_for_each_segment (segment, bio, iter) {
		void *source;

		flush_dcache_page(segment.bv_page);
		source = bvec_kmap_local(&segment);
		rc = tarn_pmem_write(&pmem->core, at, source, segment.bv_len);
		kunmap_local(source);
		if (rc)
			return rc;
		at += segment.bv_len;
	}
	tarn_pmem_end_write(&pmem->core, offset, bio->bi_iter.bi_size);
	return 0;
}

static int tarn_bio_transfer(struct tarn_pmem *pmem, struct bio *bio)
{
	u64 offset = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	u64 length = bio->bi_iter.bi_size;

	if (!length)
		return 0;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return tarn_bio_read(pmem, bio, offset);
	case REQ_OP_WRITE:
		return tarn_bio_write(pmem, bio, offset);
	case REQ_OP_WRITE_ZEROES:
		return tarn_pmem_zero(&pmem->core, offset, length);
	case REQ_OP_DISCARD:
		return tarn_pmem_discard(&pmem->core, offset, length);
	default:
		return -EOPNOTSUPP;
	}
}

static int tarn_bio_serve(struct tarn_pmem *pmem, struct bio *bio)
{
	int rc = 0;

	if (bio->bi_opf & REQ_PREFLUSH)
		rc = tarn_pmem_flush(&pmem->core);
	if (!rc)
		rc = tarn_bio_transfer(pmem, bio);
	if (!rc && (bio->bi_opf & REQ_FUA))
		rc = tarn_pmem_flush(&pmem->core);
	return rc;
}

static void tarn_submit_bio(struct bio *bio)
{
	struct gendisk *disk = bio->bi_bdev->bd_disk;
	bool account = blk_queue_io_stat(disk->queue);
	unsigned long start = 0;

	if (account)
		start = bio_start_io_acct(bio);
	bio->bi_status = errno_to_blk_status(tarn_bio_serve(disk->private_data, bio));
	if (account)
		bio_end_io_acct(bio, start);
	bio_endio(bio);
}

/* The last user of the disk is gone. */
static void tarn_free_disk(struct gendisk *disk)
{
	tarn_pmem_free(disk->private_data);
}

static const struct block_device_operations tarn_disk_operations = {
	.owner = THIS_MODULE,
	.submit_bio = tarn_submit_bio,
	.free_disk = tarn_free_disk,
};

static ssize_t write_cache_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct tarn_pmem *pmem = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%d\n", dax_write_cache_enabled(pmem->dax));
}

static ssize_t write_cache_store(struct device *dev, struct device_attribute *attr, const char *buf,
				 size_t length)
{
	struct tarn_pmem *pmem = dev_to_disk(dev)->private_data;
	bool on;
	int rc = kstrtobool(buf, &on);

	if (rc)
		return rc;
	dax_write_cache(pmem->dax, on);
	return length;
}
static DEVICE_ATTR_RW(write_cache);

static struct attribute *tarn_dax_attributes[] = {
	&dev_attr_write_cache.attr,
	NULL,
};

static const struct attribute_group tarn_dax_group = {
	.name = "dax",
	.attrs = tarn_dax_attributes,
};

static const struct attribute_group *tarn_disk_groups[] = {
	&tarn_dax_group,
	NULL,
};

void tarn_disk_update_read_only(struct tarn_pmem *pmem)
{
	nvdimm_check_and_set_ro(pmem->disk);
	pmem->core.memory.read_only = get_disk_ro(pmem->disk);
}

static struct gendisk *tarn_disk_alloc(struct tarn_pmem *pmem)
{
	const struct tarn_pmem_limits limits = {
		.sector_bytes = pmem_sector_size(pmem->ndns),
		.zero_sectors = TARN_ZERO_SECTORS,
		.discard_sectors = TARN_DISCARD_SECTORS,
	};
	struct gendisk *disk = tarn_compat_alloc_disk(&limits, dev_to_node(pmem->dev));

	if (IS_ERR(disk))
		return disk;
	disk->fops = &tarn_disk_operations;
	disk->private_data = pmem;
	disk->bb = &pmem->bad;
	nvdimm_namespace_disk_name(pmem->ndns, disk->disk_name);
	set_capacity(disk, pmem->geometry.data_bytes >> SECTOR_SHIFT);
	return disk;
}

int tarn_disk_create(struct tarn_pmem *pmem)
{
	struct gendisk *disk = tarn_disk_alloc(pmem);
	int rc;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	rc = dax_add_host(pmem->dax, disk);
	if (rc)
		goto put;
	rc = device_add_disk(pmem->dev, disk, tarn_disk_groups);
	if (rc)
		goto remove_host;
	pmem->disk = disk;
	pmem->bad_state = sysfs_get_dirent(disk_to_dev(disk)->kobj.sd, "badblocks");
	tarn_disk_update_read_only(pmem);
	return 0;

remove_host:
	dax_remove_host(disk);
put:
	put_disk(disk); /* never added: does not call tarn_free_disk() */
	return rc;
}

/*
 * First the holder of the dax device is told and no new direct access begins; then the disk goes, which lets
 * those bios finish that have begun and refuses others; then the last stores are made durable. Frees pmem,
 * now or when the last user of the disk is gone.
 */
void tarn_disk_destroy(struct tarn_pmem *pmem)
{
	dax_remove_host(pmem->disk);
	kill_dax(pmem->dax);
	del_gendisk(pmem->disk);
	if (tarn_pmem_flush(&pmem->core))
		dev_warn(pmem->dev, "the last flush failed: recent writes may not be durable\n");
	if (tarn_dax_in_use(pmem))
		dev_warn(pmem->dev,
			 "%s was unbound while in use: its memory stays reserved until it is unmounted\n",
			 pmem->disk->disk_name);
	else if (!tarn_memory_is_pinned(pmem))
		tarn_memory_detach(pmem);
	put_disk(pmem->disk);
}
