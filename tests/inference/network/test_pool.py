from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tissue_rgb

from wsi_seg.inference.network import pool
from wsi_seg.inference.network.pool import SegmenterPool
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.bundle import load_bundle

CPU = torch.device("cpu")


def test_it_gives_what_one_segmenter_gives(model_path: Path) -> None:
    bundle = load_bundle(model_path)
    batches = [tissue_rgb(128, 128, seed)[None] for seed in range(5)]
    alone = [Segmenter(bundle, CPU)(batch, margin=16, confidence=True) for batch in batches]
    together = SegmenterPool(bundle, CPU)
    with ThreadPoolExecutor(5) as callers:
        found = list(callers.map(lambda batch: together(batch, margin=16, confidence=True), batches))
    for one, other in zip(alone, found, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.confidence is not None
        assert other.confidence is not None
        np.testing.assert_array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize(("cores", "side_by_side", "each"), [(1, 1, 1), (2, 2, 1), (16, 2, 8)])
def test_networks_share_the_cores(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, side_by_side: int, each: int
) -> None:
    meeting = threading.Barrier(side_by_side, timeout=20)
    inside, threads = [], []

    class Meeting(Segmenter):
        def __call__(self, *_: object) -> None:  # type: ignore[override]
            inside.append(self)
            threads.append(self.threads)
            meeting.wait()

    monkeypatch.setattr(pool, "Segmenter", Meeting)
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        together = SegmenterPool(load_bundle(model_path), CPU)
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(before)
    with ThreadPoolExecutor(6) as callers:
        list(callers.map(together, [tissue_rgb(64, 64)[None]] * 6))
    assert len(set(inside)) == side_by_side
    assert set(threads) == {each}
