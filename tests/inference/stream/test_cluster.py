"""The cluster that a run starts or connects to is the run's alone."""

from __future__ import annotations

import os

import dask
import pytest
from dask.base import get_scheduler
from dask.delayed import delayed
from distributed import Client, LocalCluster, default_client

from wsi_seg.inference.stream.cluster import local_cluster, remote_cluster
from wsi_seg.inference.stream.workers import first_done


def test_it_does_not_become_dasks_default() -> None:
    """Also where two overlap, and the first to be opened is closed first."""
    first, second = local_cluster(1), local_cluster(1)
    with first, second:
        check_nothing_is_default()
    one, other = local_cluster(1), local_cluster(1)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    check_nothing_is_default()
    other.__exit__(None, None, None)
    check_nothing_is_default()


def check_nothing_is_default() -> None:
    assert dask.config.get("scheduler", None) is None
    assert get_scheduler() is None  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match="No clients found"):
        default_client()
    assert delayed(os.getpid)().compute(scheduler="sync") == os.getpid()


def test_a_default_client_of_the_user_stays_the_default() -> None:
    """Each waits for futures of its own, though the other is the default."""
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as theirs,
        Client(theirs) as client,
        remote_cluster(theirs.scheduler_address) as beside,
        local_cluster(1) as ours,
    ):
        assert default_client() is client
        for one in (ours, beside):
            future = one.submit(pow, 2, 3, pure=False)
            while not (done := first_done(one, [future])):
                pass
            assert {each.result() for each in done} == {8}
        assert default_client() is client
    assert dask.config.get("scheduler", None) is None
