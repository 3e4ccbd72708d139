# SPDX-License-Identifier: GPL-2.0
"""pin.py FILE: puts the first page of FILE into a pipe, which keeps a reference to the page itself, and lets go of the
file. Makes the file "pinned" then; when "release" exists, takes the page out of the pipe: status 0 if it is unchanged."""
import ctypes, mmap, os, sys, time

PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


fd = os.open(sys.argv[1], os.O_RDWR)
wanted = os.pread(fd, PAGE, 0)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
address = libc.mmap(None, PAGE, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
out, into = os.pipe()
piece = Piece(address, PAGE)
if libc.vmsplice(into, ctypes.byref(piece), 1, 0) != PAGE:
    sys.exit("vmsplice: " + os.strerror(ctypes.get_errno()))
libc.munmap(address, PAGE)
os.close(fd)
open("pinned", "w").close()
while not os.path.exists("release"):
    time.sleep(0.05)
sys.exit(os.read(out, PAGE) != wanted)
