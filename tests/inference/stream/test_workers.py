"""Clusters that lose workers or their scheduler, or have workers that cannot do the work: in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from distributed import Client, Future, KilledWorker, LocalCluster

from wsi_seg.errors import SchedulerError
from wsi_seg.inference.stream import cluster as connecting
from wsi_seg.inference.stream import regions as stream
from wsi_seg.inference.stream import watch, workers
from wsi_seg.inference.stream.cluster import remote_cluster
from wsi_seg.inference.stream.software import Software
from wsi_seg.inference.stream.workers import probe
from wsi_seg.slides.lattice import Lattice

LATTICE = Lattice(2048, 2048, 256, 0, 1)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Two workers that talk over TCP, as those on other machines do."""
    with (
        connecting._quiet(),
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),  # closing waits for a lost scheduler
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with remote_cluster(cluster.scheduler_address) as client:
        yield client


def _slow(job: None, row: int, column: int) -> tuple[int, int]:
    time.sleep(0.1)
    return row, column


def _absent(job: None, row: int, column: int) -> None:
    raise ModuleNotFoundError("No module named 'wsi_seg.inference.stream.job'")


def _absent_here(software: Software, device: str) -> str:
    raise ModuleNotFoundError("No module named 'wsi_seg'")


def _unknown(job: None, row: int, column: int) -> None:
    raise RuntimeError("Error during deserialization of the task graph. This frequently occurs if ...")


def _killed(job: None, row: int, column: int) -> None:
    raise KilledWorker("region", SimpleNamespace(address="tcp://127.0.0.1:9"), 3)  # type: ignore[arg-type]


def records(client: Client, during: Callable[[], object]) -> int:
    """Do regions, and something else after the second; return how many were done."""
    done = 0
    for _ in stream.run_regions(client, None, LATTICE.regions(), print):  # type: ignore[arg-type]
        done += 1
        if done == 2:
            during()
    return done


def scheduler_of(cluster: LocalCluster) -> Any:
    """The scheduler, which runs in this process."""
    assert cluster.scheduler is not None
    return cluster.scheduler


def test_a_worker_that_is_lost_costs_nothing(
    client: Client, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "process_region", _slow)
    assert records(client, lambda: cluster.scale(1)) == 64


def test_an_answer_that_is_cancelled_is_asked_for_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without time to spare, Dask ends its own waits so, and then fails in `sync`."""
    monkeypatch.setattr(stream, "process_region", _slow)
    cancelled = iter([True])
    answer: Any = Future._result

    async def cancelled_once(future: Any, raiseit: bool = True) -> object:
        if next(cancelled, False):
            raise asyncio.CancelledError
        return await answer(future, raiseit)

    monkeypatch.setattr(Future, "_result", cancelled_once)
    assert records(client, lambda: None) == 64


def test_when_all_workers_are_lost_the_run_ends_with_their_names(
    client: Client, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "process_region", _slow)
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(watch, "LOST_SECONDS", 1.0)
    name = next(iter(scheduler_of(cluster).workers))
    with pytest.raises(SchedulerError, match=rf"all workers are lost \(.*{name}.*run the same command"):
        records(client, lambda: cluster.scale(0))


def test_when_the_scheduler_is_lost_one_line_says_so(
    client: Client, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "process_region", _slow)
    address = cluster.scheduler_address
    with pytest.raises(SchedulerError, match=rf"{address}: the Dask scheduler was lost"):
        records(client, lambda: cluster.sync(scheduler_of(cluster).close))
    assert capfd.readouterr().err == ""


def test_a_region_that_takes_its_workers_down_is_told_with_the_last_one(
    client: Client, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "process_region", _killed)
    with pytest.raises(SchedulerError, match=r"^worker tcp://127\.0\.0\.1:9: was lost.*more memory"):
        records(client, lambda: None)


def test_a_scheduler_without_the_package_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "process_region", _unknown)
    with pytest.raises(SchedulerError, match=r"^tcp://.*: the scheduler cannot load wsi-seg"):
        records(client, lambda: None)


def test_a_worker_that_joined_without_the_package_is_named(
    client: Client, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "process_region", _absent)
    monkeypatch.setattr(workers, "introduce", _absent_here)
    names = "|".join(scheduler_of(cluster).workers)
    with pytest.raises(SchedulerError, match=rf"^worker ({names}): cannot load wsi-seg .*No module named"):
        records(client, lambda: None)


def test_a_worker_with_other_software_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        @staticmethod
        def here() -> Software:
            return replace(Software.here(), wsi_seg="0.0.1 (12345678)")

    monkeypatch.setattr(workers, "Software", Other)
    with pytest.raises(SchedulerError, match=r"^worker tcp://.*: has wsi-seg .* with wsi-seg 0\.0\.1"):
        probe(client, "cpu")


class _Unreadable:
    """What a worker cannot unpickle, as one cannot whose wsi-seg lacks the module it is of."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return import_module, ("wsi_seg.inference.not_there",)


def test_a_worker_that_cannot_read_its_tasks_is_named_and_not_lost(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsi_seg.inference.stream.workers.Software.here", _Unreadable)
    monkeypatch.setattr(workers, "LOADED_FIRST", "wsi_seg.inference.not_there:Software")
    with pytest.raises(
        SchedulerError, match=r"^worker tcp://.*: cannot load wsi-seg .*No module named .*not_there"
    ):
        probe(client, "cpu")


def test_all_workers_say_what_they_compute_with(client: Client) -> None:
    assert probe(client, "cpu") == "cpu"


def test_without_workers_it_is_said_at_once(client: Client, cluster: LocalCluster) -> None:
    cluster.scale(0)
    while scheduler_of(cluster).workers:
        time.sleep(0.05)
    with pytest.raises(SchedulerError, match=r"tcp://.*: has no workers: start some"):
        probe(client, "cpu")


def test_workers_of_two_kinds_are_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_answers", lambda *_: {"tcp://a:1": "cpu", "tcp://b:1": "cuda"})
    with pytest.raises(SchedulerError, match=r"worker tcp://b:1: uses cuda, but tcp://a:1 uses cpu"):
        probe(client, "auto")
