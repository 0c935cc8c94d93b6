"""A run from Python leaves the process as it was: its threads, its settings, what it draws at random."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import matplotlib as mpl
import numpy as np
import pytest
import torch
import zarr
from helpers.networks import CONVOLUTIONS
from helpers.results import Recorder
from PIL import Image

from wsi_seg.errors import NoSchedulerError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings

LIBRARIES = ("Dask-Offload", "zarr_io", "asyncio_")
"""Threads that Dask and Zarr start once a process, and keep."""


def settings(model: Path, **run: Any) -> PredictSettings:
    labels = LabelSettings(patch=192, overlap=64, region_cores=2)
    return PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=2, **run))


def in_a_new_thread(ask: Callable[[], int]) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


def state(loggers: set[str]) -> dict[str, Any]:
    """All that is one for a process, and that somebody might set."""
    convolutions = CONVOLUTIONS
    return {
        "torch's threads": (torch.get_num_threads(), in_a_new_thread(torch.get_num_threads)),
        "torch's settings": (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.backends.cudnn.benchmark,
            convolutions.fp32_precision,
        ),
        "random": (  # Python's own, Dask draws from
            torch.get_rng_state().tolist(),
            [str(part) for part in np.random.get_state()],  # noqa: NPY002
        ),
        "loggers": {
            name: (one.level, list(one.handlers), one.disabled, one.propagate)
            for name, one in ((name, logging.getLogger(name)) for name in sorted(loggers))
        },
        "logging": logging.root.manager.disable,
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook),
        "environment": dict(os.environ),
        "matplotlib": dict(mpl.rcParams),
        "Pillow": Image.MAX_IMAGE_PIXELS,
        "dask": dict(dask.config.config),
        "zarr": dict(zarr.config.config),
    }


def ours(before: set[threading.Thread]) -> list[str]:
    """The names of threads that stay since then, but for those that libraries keep."""
    added = [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.name.startswith(LIBRARIES)
    ]
    for thread in added:  # one that was told to end may need a moment
        thread.join(10)
    return [thread.name for thread in added if thread.is_alive()]


@pytest.fixture(scope="module", autouse=True)
def first(slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have libraries imported, and what they start once a process started."""
    predict_slide(slide_path, tmp_path_factory.mktemp("first") / "out", settings(model_path))


def test_a_run_leaves_the_process_as_it_was(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    gc.collect()  # a cluster of another test takes its loggers' handlers along when it goes
    loggers = set(logging.root.manager.loggerDict)
    logging.getLogger("distributed.worker").setLevel(logging.WARNING)  # as somebody else may have set it
    threads, before = set(threading.enumerate()), state(loggers)
    predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert ours(threads) == []
    after = state(loggers)
    assert {name for name in before if before[name] != after[name]} == set()


def test_a_run_that_breaks_off_does_so_too(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    class Stop(Recorder):
        def advance(self, megapixels: float) -> None:
            raise KeyboardInterrupt

    loggers = set(logging.root.manager.loggerDict)
    threads, before = set(threading.enumerate()), state(loggers)
    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide_path, tmp_path / "out", settings(model_path), Stop())
    assert ours(threads) == []
    assert {name for name, was in before.items() if state(loggers)[name] != was} == set()


def test_so_does_one_that_finds_no_scheduler(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsi_seg.inference.stream.cluster.CONNECT_SECONDS", 0.1)
    loggers = set(logging.root.manager.loggerDict)
    before = state(loggers)["loggers"]
    with pytest.raises(NoSchedulerError):
        predict_slide(slide_path, tmp_path / "out", settings(model_path, scheduler="tcp://127.0.0.1:9"))
    assert state(loggers)["loggers"] == before
