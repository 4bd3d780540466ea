"""What the recording tests record: families of processes that map, share, move, copy and drop memory.

Needs only the standard library, prints one line, and exits with 3.
"""

import ctypes
import mmap
import os
import subprocess
import sys
import threading

PAGE = 4096
PROT_NONE, PROT_READ, PROT_WRITE = 0, 1, 2
MREMAP_MAYMOVE, MREMAP_FIXED, MADV_DONTNEED = 1, 2, 4

libc = ctypes.CDLL(None, use_errno=True)
for name, arguments in (("mmap", 6), ("mremap", 5)):
    getattr(libc, name).restype = ctypes.c_void_p
    getattr(libc, name).argtypes = (ctypes.c_size_t,) * arguments
for name in ("mprotect", "munmap", "madvise"):
    getattr(libc, name).argtypes = (ctypes.c_size_t,) * 3


def map_pages(n_pages: int) -> int:
    return libc.mmap(
        0, n_pages * PAGE, PROT_READ | PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 2**64 - 1, 0
    )


def write_pages(start: int, pages: range) -> None:
    for page in pages:
        ctypes.c_char.from_address(start + page * PAGE).value = b"x"


def change_layout(start: int) -> None:
    """Split, drop, move and refill parts of 64 mapped pages."""
    libc.mprotect(start + 8 * PAGE, 4 * PAGE, PROT_READ)
    libc.munmap(start + 20 * PAGE, 3 * PAGE, 0)
    libc.madvise(start + 30 * PAGE, 5 * PAGE, MADV_DONTNEED)
    target = map_pages(16)
    libc.mremap(start + 40 * PAGE, 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)
    libc.mprotect(start + 8 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE)
    write_pages(start, range(30, 33))


def descend(start: int, depth: int) -> None:
    """Fork two children at each level; each copies some pages and changes its layout."""
    children = []
    for child in range(2):
        pid = os.fork()
        if pid == 0:
            write_pages(start, range(child, 8, 2))
            if depth:
                descend(start, depth - 1)
            else:
                change_layout(start)
            os._exit(depth)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def run_threads(start: int) -> None:
    threads = [threading.Thread(target=write_pages, args=(start, range(n, 64, 8))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


start = map_pages(64)
write_pages(start, range(0, 64, 2))
descend(start, 2)
run_threads(map_pages(64))
subprocess.run(["/bin/sh", "-c", "true | cat; (exit 1)"], check=False)
if (pid := os.fork()) == 0:  # an exec by a thread that is not the leader
    thread = threading.Thread(target=os.execv, args=("/bin/sh", ["sh", "-c", "exit 0"]))
    thread.start()
    thread.join()
os.waitpid(pid, 0)
if (pid := os.fork()) == 0:  # a death by signal
    os.kill(os.getpid(), 9)
os.waitpid(pid, 0)
change_layout(start)
print("done")
sys.exit(3)
