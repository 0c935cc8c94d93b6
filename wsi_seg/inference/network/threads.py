"""Threads in which PyTorch uses a share of the cores; other threads keep their own number."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

import torch


def computing_threads(count: int, cores: int, name: str) -> ThreadPoolExecutor:
    """Start threads in which PyTorch computes on a given number of cores.

    PyTorch keeps this number for each thread, and new threads take the number that any thread set last. So
    all threads are started first, and then the caller's number is set again.

    Parameters
    ----------
    count : int
        Number of threads.
    cores : int
        Number of cores for each of them.
    name : str
        Beginning of the threads' names.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, name, _compute_on, (cores,))
    together = Barrier(count)
    wait([pool.submit(together.wait) for _ in range(count)])
    torch.set_num_threads(before)
    return pool


def _compute_on(cores: int) -> None:
    torch.get_num_threads()  # from here on, the thread has a number of its own
    torch.set_num_threads(cores)
