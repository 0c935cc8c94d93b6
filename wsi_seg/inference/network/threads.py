"""Threads that compute on a share of the cores, while others keep theirs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

import torch


def computing_threads(count: int, cores: int, name: str) -> ThreadPoolExecutor:
    """Start threads in which PyTorch computes on a number of cores.

    PyTorch keeps that number for each thread, but the last one that any thread has set is what new threads
    get. So all of these are started, and then the caller's number is set again.

    Parameters
    ----------
    count : int
        Threads.
    cores : int
        For each of them.
    name : str
        How the threads' names begin.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, name, _compute_on, (cores,))
    together = Barrier(count)
    wait([pool.submit(together.wait) for _ in range(count)])
    torch.set_num_threads(before)
    return pool


def _compute_on(cores: int) -> None:
    torch.get_num_threads()  # from now on the thread has a number of its own
    torch.set_num_threads(cores)
