# SPDX-License-Identifier: GPL-2.0
"""The guest's initramfs: cpio archives in "newc" form, made without cpio or root.

The kernel unpacks several archives one after the other, so there are two: the large one (busybox and kernel modules,
unpacked) is kept in build/guest and made anew only when one of its files changes; the small one belongs to one run.
"""

import contextlib
import glob
import hashlib
import lzma
import os
import stat

BUSYBOX = "/bin/busybox"


def cpio_entry(number, name, mode, data=b"", device=(0, 0)):
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return pad(head) + pad(data)


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def archive(entries):
    """entries: (name, mode, data, device) tuples, directories before what is in them."""
    parts = [cpio_entry(number + 1, *entry) for number, entry in enumerate(entries)]
    return b"".join(parts) + cpio_entry(0, "TRAILER!!!", 0)


def directory(name):
    return name, stat.S_IFDIR | 0o755, b"", (0, 0)


def regular(name, data, mode=0o644):
    return name, stat.S_IFREG | mode, data, (0, 0)


def module_data(path):
    """A module as insmod wants it. Debian's 6.12 compresses its modules with xz."""
    with open(path, "rb") as file:
        data = file.read()
    return lzma.decompress(data) if path.endswith(".xz") else data


class Initramfs:
    def __init__(self, cache_dir, release, init, modules):
        self.cache_dir, self.release, self.init, self.modules = cache_dir, release, init, modules

    @staticmethod
    def module_name(path):
        name = os.path.basename(path)
        return name[:-3] if name.endswith(".xz") else name

    def with_files(self, files):
        """The parts of the image: what is kept, and these files (name: text) in /tarn."""
        entries = [regular(f"tarn/{name}", text.encode()) for name, text in files.items()]
        return [self.kept_part(), archive(entries)]

    def kept_part(self):
        """Named by the identity of each file that goes into it, so a new kernel or init makes a new one."""
        sources = [BUSYBOX, self.init, os.path.realpath(__file__)] + self.modules
        identity = "".join(f"{path} {os.stat(path).st_size} {os.stat(path).st_mtime_ns}\n" for path in sources)
        key = hashlib.sha256(identity.encode()).hexdigest()[:16]
        path = f"{self.cache_dir}/initramfs-{self.release}-{key}"
        try:
            with open(path, "rb") as file:
                os.utime(path)
                return file.read()
        except FileNotFoundError:
            pass
        os.makedirs(self.cache_dir, exist_ok=True)
        data = archive(self.kept_entries())
        with open(f"{path}.{os.getpid()}", "wb") as file:
            file.write(data)
        os.rename(f"{path}.{os.getpid()}", path)
        self.drop_old()
        return data

    def drop_old(self):
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            images = sorted(glob.glob(f"{self.cache_dir}/initramfs-*"), key=os.path.getmtime)
            for old in images[:-12]:
                os.unlink(old)

    def kept_entries(self):
        with open(self.init, "rb") as file:
            init = file.read()
        with open(BUSYBOX, "rb") as file:
            busybox = file.read()
        entries = [directory(name) for name in ("bin", "dev", "tarn", "tarn/modules")]
        entries.append(("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
        entries.append(regular("init", init, 0o755))
        entries.append(regular("tarn/init", init, 0o755))
        entries.append(regular("tarn/busybox", busybox, 0o755))
        entries.append(("bin/busybox", stat.S_IFLNK | 0o777, b"/tarn/busybox", (0, 0)))
        for path in self.modules:
            entries.append(regular("tarn/modules/" + self.module_name(path), module_data(path)))
        return entries
