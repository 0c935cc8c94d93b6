"""Too few file handles or threads, or too little memory: recognised in the errors of many libraries."""

from __future__ import annotations

import errno
from enum import StrEnum

from wsi_seg.errors import DeviceError


class Shortage(StrEnum):
    """What is missing, and the remedy."""

    FILES = (
        "too few file handles: allow more, for example with `ulimit -n 4096`, or give a smaller --workers, "
        "and run the "
        "same command again"
    )
    THREADS = (
        "no more threads or processes may be started: allow more, for example with `ulimit -u 4096`, and "
        "more memory "
        "if `ulimit -v` limits it, and run the same command again"
    )
    MEMORY = (
        "too little memory: end other programs, raise the limit (`ulimit -v`), or give a smaller --workers "
        "or --batch-size, and run the same command again"
    )


NUMBERS = {
    errno.EMFILE: Shortage.FILES,
    errno.ENFILE: Shortage.FILES,
    errno.EAGAIN: Shortage.THREADS,
    errno.ENOMEM: Shortage.MEMORY,
}

WORDS = {
    "Too many open files": Shortage.FILES,
    "start new thread": Shortage.THREADS,
    "Resource temporarily unavailable": Shortage.THREADS,
    "Cannot allocate memory": Shortage.MEMORY,
    "can't allocate memory": Shortage.MEMORY,
    "cannot allocate memory": Shortage.MEMORY,
    "failed to map segment": Shortage.MEMORY,
    "bad_alloc": Shortage.MEMORY,
    "bad allocation": Shortage.MEMORY,
}
"""Parts of messages of libraries: OpenSlide, PyTorch, the dynamic linker, C++. Their types vary."""


LEAST_BYTES = 1_000_000_000
"""Bytes of address space. With less, libraries crash or hang while they are imported."""


def check_memory() -> None:
    """Refuse a limit on memory (`ulimit -v`) that is too small for the libraries.

    Raises
    ------
    DeviceError
        If there is such a limit.
    """
    try:
        import resource
    except ModuleNotFoundError:  # where there are no such limits
        return
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_BYTES:
        raise DeviceError(
            f"too little memory is allowed ({allowed // 1024} kB by `ulimit -v`): allow 4 GB, for example "
            "with "
            "`ulimit -v 4000000`, and run the same command again"
        )


def shortage(error: BaseException) -> Shortage | None:
    """Return the shortage behind an error, or behind one of its causes, if there is one.

    Errors that already name it, such as `DeviceError`, are not searched.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    if any(isinstance(link, DeviceError) for link in chain):
        return None
    return next(filter(None, map(_in, chain)), None)


def _in(error: BaseException) -> Shortage | None:
    if isinstance(error, MemoryError):
        return Shortage.MEMORY
    if isinstance(error, OSError) and error.errno in NUMBERS:
        return NUMBERS[error.errno]
    said = str(error)
    return next((what for words, what in WORDS.items() if words in said), None)
