# SPDX-License-Identifier: GPL-2.0
"""The kernels a guest can boot: where their images and modules are, and an image that boots fast.

A bzImage unpacks itself first, which under emulation takes longer than the rest of the boot. QEMU can also start the
kernel proper (an ELF file) through its PVH entry, so the payload is unpacked here, once, and kept.
"""

import glob
import lzma
import os
import re
import struct
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# Where everything built lands: ours and what `make` makes.
BUILD = os.path.join(ROOT, os.environ.get("TARN_BUILD") or "build")
TOOLS = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


class NoKernel(Exception):
    """The kernel asked for, or a part of it, is not on this machine."""


class Kernel:
    """A kernel to boot: its image, its release and where its modules are."""

    def __init__(self, name, cache_dir):
        self.name = name
        self.modules_dir = ""
        if name == "debug":
            self.image, self.release, self.modules_dir = (debug_kernel(w) for w in ("vmlinux", "release", "modules"))
        else:
            image = newest_image(name)
            self.release = os.path.basename(image)[len("vmlinuz-"):]
            self.image = unpacked_image(image, self.release, cache_dir)
        if not os.path.isdir(f"{self.modules_dir}/lib/modules/{self.release}"):
            raise NoKernel(f"the modules of kernel {self.release} are not installed")

    def module_files(self, names):
        """The files to load, in order, for these modules: what they need first, what is built in left out."""
        files = []
        for name in names:
            run = subprocess.run(["modprobe", "-C", "/dev/null", "-d", self.modules_dir or "/", "-S", self.release,
                                  "--show-depends", name], capture_output=True, text=True, env=TOOLS)
            if run.returncode != 0:
                raise NoKernel(f"kernel {self.release} has no module {name}: {run.stderr.strip()}")
            for line in run.stdout.splitlines():
                words = line.split()
                if words[0] == "insmod" and words[1] not in files:
                    files.append(words[1])
        return files


def newest_image(series):
    if os.path.exists(f"/boot/vmlinuz-{series}"):
        return f"/boot/vmlinuz-{series}"
    if not re.fullmatch(r"\d+\.\d+", series):
        raise NoKernel(f"--kernel takes 6.1, 6.12 or debug, not '{series}'")
    images = [p for p in glob.glob(f"/boot/vmlinuz-{series}[.-]*") if not re.search(r"-(rt|cloud)-", p)]
    if not images:
        raise NoKernel(f"no kernel {series} in /boot; scripts/setup installs it")
    return max(images, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])


def debug_kernel(what):
    run = subprocess.run([f"{ROOT}/scripts/debug-kernel", f"--{what}"], capture_output=True, text=True)
    if run.returncode != 0:
        raise NoKernel("the debug kernel is not built; run scripts/debug-kernel (8 minutes, once)")
    return run.stdout.strip()


def module_needs(path):
    run = subprocess.run(["modinfo", "-F", "depends", path], capture_output=True, text=True, env=TOOLS)
    return [name for name in run.stdout.strip().split(",") if name]


def build_debug_modules():
    """Both modules and their KUnit suites for the debug kernel, which is built first if need be."""
    kernel = subprocess.run([f"{ROOT}/scripts/debug-kernel"], stdout=subprocess.PIPE, text=True)
    if kernel.returncode != 0:
        raise NoKernel("the debug kernel cannot be built")
    make = subprocess.run(["make", "-C", ROOT, f"BUILD={BUILD}", f"KDIR={kernel.stdout.strip()}",
                           "CONFIG_TARNFS_DEBUG=y", "CONFIG_TARNFS_KUNIT_TEST=m", "modules", "tools"])
    if make.returncode != 0:
        raise NoKernel("the modules do not build for the debug kernel")


def unpacked_image(image, release, cache_dir):
    """The kernel proper out of a bzImage, or the bzImage itself where that cannot be had."""
    path = f"{cache_dir}/vmlinux-{release}"
    if os.path.exists(path) and os.path.getmtime(path) >= os.path.getmtime(image):
        return path
    with open(image, "rb") as file:
        elf = unpack(payload(file.read()))
    if not elf.startswith(b"\x7fELF"):
        return image
    os.makedirs(cache_dir, exist_ok=True)
    with open(f"{path}.{os.getpid()}", "wb") as file:
        file.write(elf)
    os.rename(f"{path}.{os.getpid()}", path)
    return path


def payload(image):
    """The compressed kernel in a bzImage: see Documentation/x86/boot.rst, fields 0x1f1, 0x248 and 0x24c."""
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    return image[start:start + length]


def unpack(data):
    try:
        if data.startswith(b"\xfd7zXZ"):
            return lzma.LZMADecompressor().decompress(data)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            # The four bytes after the frame, its size, make zstd fail at the end of what it has written.
            return subprocess.run(["zstd", "-dcq"], input=data[:-4], capture_output=True).stdout
    except (lzma.LZMAError, FileNotFoundError):
        pass
    return b""
