from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from wsi_seg.inference.network.threads import computing_threads


def of_a_new_thread() -> int:
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def numbers(pool: ThreadPoolExecutor, count: int) -> list[int]:
    together = threading.Barrier(count, timeout=20)

    def number() -> int:
        together.wait()
        return torch.get_num_threads()

    return [each.result() for each in [pool.submit(number) for _ in range(count)]]


def test_they_have_their_cores_and_all_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        pool = computing_threads(3, 2, "some")
        assert numbers(pool, 3) == [2, 2, 2]
        assert torch.get_num_threads() == 6
        assert of_a_new_thread() == 6
    finally:
        torch.set_num_threads(before)
    assert numbers(pool, 3) == [2, 2, 2]
