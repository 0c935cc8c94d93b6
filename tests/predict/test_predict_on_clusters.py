"""Predictions whose regions are handed to workers, one of which may fail."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster
from helpers.predictions import settings
from helpers.results import Recorder, fingerprints

from wsi_seg.errors import KernelsError, NoSchedulerError, SchedulerError
from wsi_seg.inference.network import choice as network
from wsi_seg.inference.stream.job import _open_job, _open_model
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.predict_slide import connect, predict_on, predict_slide
from wsi_seg.settings import RunSettings


def test_a_worker_that_cannot_do_as_the_others_says_so(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here() -> None:
        raise KernelsError("no C++ compiler")

    monkeypatch.setattr(network, "load_kernels", none_here)
    fingerprint = load_bundle(model_path).fingerprint
    with pytest.raises(SchedulerError, match=r"a worker .*: no C\+\+ compiler: give --compile no"):
        _open_model.__wrapped__(model_path, fingerprint, "cpu", "float32", "compiled", None)


def test_an_unreachable_scheduler_is_named(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsi_seg.inference.stream.cluster.CONNECT_SECONDS", 1)
    run = RunSettings(scheduler="tcp://127.0.0.1:1")
    with pytest.raises(NoSchedulerError, match=r"127\.0\.0\.1:1"):
        predict_slide(slide_path, tmp_path / "out", settings(model_path, run=run))


def test_few_regions_are_in_flight_at_a_time(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    class Watch(Recorder):
        most = 0

        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            self.most = max(self.most, len(client.futures))

    watch = Watch()
    with connect(settings(model_path, run=RunSettings(workers=2))) as client:
        predict_on(
            client, slide_path, tmp_path / "out", load_bundle(model_path), settings(model_path), watch, ""
        )
    assert watch.regions == 24
    assert watch.most <= 2 * 2


@pytest.mark.slow
def test_gpu_work_is_held_to_workers_that_declare_one(
    result: Path, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    workers = {
        "plain": {"cls": Nanny, "options": {"nthreads": 2}},
        "gpu": {"cls": Nanny, "options": {"nthreads": 2, "resources": {"GPU": 1}}},
    }
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}}
    with SpecCluster(workers, scheduler) as cluster, Client(cluster) as client:
        client.wait_for_workers(2)
        file = tmp_path / "scheduler.json"
        client.write_scheduler_file(str(file))
        run = RunSettings(scheduler=str(file), device="cpu")
        predict_slide(slide_path, tmp_path / "out", settings(model_path, run=run))
        done_by = client.run(_regions_done_here)
        resources = {w: i["resources"] for w, i in client.scheduler_info()["workers"].items()}
    assert {bool(resources[w]) for w in done_by} == {True, False}
    assert all((count > 0) == bool(resources[worker]) for worker, count in done_by.items())
    assert fingerprints(tmp_path / "out") == fingerprints(result)


def _regions_done_here() -> int:
    """How many times this process opened a job; a worker that did no region never did."""
    return int(_open_job.cache_info().misses)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(
    result: Path, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    class KillOne(Recorder):
        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            if self.regions == 4:
                os.kill(pids.pop(), signal.SIGKILL)

    heard = KillOne()
    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1")
        with Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
            run = RunSettings(scheduler=cluster.scheduler_address)
            predict_slide(slide_path, tmp_path / "out", settings(model_path, run=run), heard)
    assert len(pids) == 2
    assert heard.regions == 24
    assert fingerprints(tmp_path / "out") == fingerprints(result)
