"""How this process's C allocator treats request bodies; the engine has an allocator of its own."""

from __future__ import annotations

import ctypes
import platform

# mallopt(3), <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 256 << 10


_libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def give_back_large_blocks() -> bool:
    """Let bodies go back to the system when they are freed; return whether that was possible.

    glibc raises its mmap threshold to the largest block freed so far, so that after a flood the
    holes of large bodies stay resident: 867 MiB after rest instead of 500.
    """
    if _libc is None:
        return False
    wanted = (
        (_M_MMAP_THRESHOLD, _LARGE_BYTES),
        (_M_TRIM_THRESHOLD, _LARGE_BYTES),
        (_M_ARENA_MAX, 2),
    )
    return all([bool(_libc.mallopt(option, value)) for option, value in wanted])


def give_back_holes() -> bool:
    """Return free pages between blocks in use to the system; return whether there were any.

    gRPC takes messages in by small pieces of many sizes, which the threshold above does not reach.
    """
    return _libc is not None and bool(_libc.malloc_trim(0))
