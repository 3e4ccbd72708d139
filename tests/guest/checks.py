# SPDX-License-Identifier: GPL-2.0
"""For the posix-*.test scripts: checks that print TAP, errors by name, and system calls Python does not have."""

import contextlib
import ctypes
import errno
import os
import subprocess
import sys
import traceback

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4


def check(name):
    """Decorator: runs the function now and prints its result. What it raises is why it failed."""
    def run(function):
        try:
            function()
            print(f"ok - {name}")
        except Exception:  # everything a test can stumble over is its failure
            print(f"not ok - {name}")
            print("# " + traceback.format_exc().strip().replace("\n", "\n# "))
        sys.stdout.flush()
    return run


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


@contextlib.contextmanager
def raises(name):
    """The block must fail with this errno ("ENOENT")."""
    try:
        yield
    except OSError as error:
        if error.errno != getattr(errno, name):
            raise AssertionError(f"got {errno.errorcode.get(error.errno)}, wanted {name}") from error
        return
    raise AssertionError(f"succeeded, wanted {name}")


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def link_open_file(fd, new):
    """linkat(2) of /proc/self/fd/N, following it: gives an open file a name."""
    if libc.linkat(AT_FDCWD, f"/proc/self/fd/{fd}".encode(), AT_FDCWD, os.fsencode(new), AT_SYMLINK_FOLLOW) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def touch(path, contents=b""):
    with open(path, "wb") as file:
        file.write(contents)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def drop_caches():
    """Names and inodes that nobody uses have to be read again."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2")


def shell(command, **options):
    """Runs a line of shell; returns its output. Raises with it when the command fails."""
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def user(uid, gid, groups=()):
    """The block runs with another user's rights."""
    saved = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(saved)


def kernel_log_since(mark):
    """What the kernel said after log_mark(mark)."""
    text = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return text[text.rindex(mark):] if mark in text else text


def log_mark(mark):
    with open("/dev/kmsg", "w") as kmsg:
        kmsg.write(mark + "\n")


# ---- the media, for tests that damage it -------------------------------------------------------------------

BLOCK = 4096
INODE_BYTES = 256


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Media:
    """An unmounted device: blocks, the superblock's fields and inode records, to look at and to change."""

    FIELDS = {"magic": (0, 8), "version": (12, 4), "compat": (96, 8), "ro_compat": (104, 8), "incompat": (112, 8),
              "blocks": (120, 8), "first_data": (192, 8), "system_block": (184, 8),
              "replica": (200, 8)}

    def __init__(self, path):
        self.path = path

    def read(self, offset, length):
        with open(self.path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)

    def write(self, offset, data):
        with open(self.path, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, offset)
            os.fsync(file.fileno())

    def field(self, name, block=0):
        offset, size = self.FIELDS[name]
        return int.from_bytes(self.read(block * BLOCK + offset, size), "little")

    def replica(self):
        return self.field("replica")

    def set_super(self, seal=True, at=None, **fields):
        """Changes fields of both superblocks (or of those in `at`), with the right checksum unless seal is False."""
        for block in at or (0, self.replica()):
            data = bytearray(self.read(block * BLOCK, BLOCK))
            for name, value in fields.items():
                offset, size = self.FIELDS[name]
                data[offset:offset + size] = value.to_bytes(size, "little")
            if seal:
                data[8:12] = bytes(4)
                data[8:12] = crc32c(data).to_bytes(4, "little")
            self.write(block * BLOCK, data)

    def record_offset(self, inode):
        """Of an inode of the first chunk."""
        assert 0 < inode < 64
        return (self.field("first_data") + 2) * BLOCK + inode * INODE_BYTES

    def damage(self, offset, length=8):
        """Inverts some bytes."""
        self.write(offset, bytes(255 - b for b in self.read(offset, length)))
