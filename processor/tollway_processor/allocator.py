"""How this process's C allocator treats request bodies; the engine has an allocator of its own."""

from __future__ import annotations

import ctypes
import platform

# mallopt(3), <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 256 << 10


def give_back_large_blocks() -> bool:
    """Let bodies go back to the system when they are freed; return whether that was possible.

    glibc raises its mmap threshold to the largest block freed so far, so that after a flood the
    holes of large bodies stay resident: 867 MiB after rest instead of 500.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = (
        (_M_MMAP_THRESHOLD, _LARGE_BYTES),
        (_M_TRIM_THRESHOLD, _LARGE_BYTES),
        (_M_ARENA_MAX, 2),
    )
    return all([bool(mallopt(option, value)) for option, value in wanted])
