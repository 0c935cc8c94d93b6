"""Too few file handles, threads or too little memory, told from errors that speak of it in many ways."""

from __future__ import annotations

import errno
from enum import StrEnum

from wsi_seg.errors import DeviceError


class Shortage(StrEnum):
    """What there is too little of, and what to do about it."""

    FILES = (
        "too few file handles: allow more, as by `ulimit -n 4096`, or give a smaller --workers, and run the "
        "same command again"
    )
    THREADS = (
        "no more threads or processes may be started: allow more, as by `ulimit -u 4096`, and more memory "
        "where `ulimit -v` bounds it, and run the same command again"
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
"""What libraries put into messages of whatever type: OpenSlide, PyTorch, the dynamic linker, C++."""


LEAST_BYTES = 1_000_000_000
"""Of address space. With less, libraries crash or wait for ever while they are imported."""


def check_memory() -> None:
    """Refuse a limit on memory (`ulimit -v`) that libraries do not survive.

    Raises
    ------
    DeviceError
        If there is one.
    """
    try:
        import resource
    except ModuleNotFoundError:  # where there are no such limits
        return
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_BYTES:
        raise DeviceError(
            f"too little memory is allowed ({allowed // 1024} kB by `ulimit -v`): allow 4 GB, as by "
            "`ulimit -v 4000000`, and run the same command again"
        )


def shortage(error: BaseException) -> Shortage | None:
    """Tell whether an error, or one that it comes from, is for want of something that the machine gives.

    Errors that say so themselves, as `DeviceError`, are left as they are.
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
