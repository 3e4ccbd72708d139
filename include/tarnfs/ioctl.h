/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What ioctl(2) takes on any file or directory of a mounted tarnfs, beside what the kernel has for every file system.
 */
#ifndef TARNFS_IOCTL_H
#define TARNFS_IOCTL_H

/* Makes the file system as many blocks of 4096 bytes large, or as large as the device was when it was mounted (0); the size
 * that it has then is returned there. EINVAL: smaller than it is. ENOSPC: larger than the device. EFBIG: larger than mkfs has
 * left room for. CAP_SYS_ADMIN. */
#define TARNFS_IOC_GROW 0xc008da01u /* _IOWR(0xda, 1, __u64) */

/* Shuts the file system down: from then on every operation but statfs(2), stat(2) of what is in memory, and unmounting fails
 * with EIO. The same number and arguments as XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN. CAP_SYS_ADMIN. */
#define TARNFS_IOC_SHUTDOWN 0x8004587du /* _IOR('X', 125, __u32) */
#define TARNFS_SHUTDOWN_SYNC 0	     /* after everything has been made durable, what is stored through mappings included */
#define TARNFS_SHUTDOWN_LOGFLUSH 1   /* at once; every operation that has returned is durable */
#define TARNFS_SHUTDOWN_NOLOGFLUSH 2 /* the same: there is no log in memory that could be left unwritten */

#endif
