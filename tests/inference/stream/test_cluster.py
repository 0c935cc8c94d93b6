"""The cluster that a run starts or connects to is the run's alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def test_the_cluster_does_not_keep_what_was_sent() -> None:
    # Dask keeps 1,000 messages between its parts, and a region's job is in one: memory grew with a slide.
    with local_cluster(1) as client:
        client.gather(client.map(str, range(100)))
        assert isinstance(client.cluster, LocalCluster)
        (worker,) = client.cluster.workers.values()
        assert client.cluster.scheduler is not None
        kept = [stream.recent_message_log for stream in client.cluster.scheduler.stream_comms.values()]
        kept += [worker.batched_stream.recent_message_log, worker.state.stimulus_log]
        assert all(0 < len(log) <= 10 for log in kept)


STOPPED = """
import time
from wsi_seg.inference.stream.cluster import local_cluster
with local_cluster(1) as client:
    futures = client.map(lambda number: time.sleep(0.3) or number, range(20), pure=False)
    print("begun", flush=True)
    print(sum(client.gather(futures)), flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a system that can stop a process")
def test_a_process_that_was_stopped_goes_on(tmp_path: Path) -> None:
    # As where a laptop sleeps. Dask's five minutes are one second here, of which it makes five.
    code = tmp_path / "stopped.py"
    code.write_text(STOPPED)
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1s"}
    with subprocess.Popen(
        [sys.executable, code], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGSTOP)
            time.sleep(7)
            process.send_signal(signal.SIGCONT)
            assert process.communicate(timeout=60)[0] == "190\n"
        finally:
            process.kill()
