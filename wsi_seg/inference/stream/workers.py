"""The workers of a Dask cluster: whether they are there, answer, and can do the work."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import KilledWorker, wait
from distributed.comm.core import CommClosedError

from wsi_seg import __version__
from wsi_seg.errors import SchedulerError, WsiSegError
from wsi_seg.inference.stream.job import introduce
from wsi_seg.inference.stream.software import Software

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Future

SCHEDULER_SECONDS = 120
"""Seconds within which the scheduler must answer: it loads the tasks' modules, too, including PyTorch."""

ANSWER_SECONDS = 120
"""Seconds within which the first worker must answer: it has to load PyTorch, perhaps over a network."""

OTHERS_SECONDS = 10
"""Seconds for the other workers after the first: they may be busy, and check themselves with each region."""

LOOK_SECONDS = 3.0
"""Seconds between checks that there is still something to wait for."""

SHOWN = 4
"""Largest number of workers that an error names."""

LOADED_FIRST = "wsi_seg.inference.stream.software:Software"
"""A worker must load this before it gets a task: if it cannot read a task, it ends without a message."""

GPU = "GPU"

T = TypeVar("T")

LOST = (CancelledError, CommClosedError, OSError, TimeoutError)
"""What Dask raises where the connection to the scheduler is lost."""


@dataclass(frozen=True)
class Workers:
    """The workers of a cluster that can take regions.

    Attributes
    ----------
    scheduler : str
        Address of the scheduler.
    heard : dict of str to float
        For each worker's address, when the scheduler last heard from it, by the scheduler's clock.
    idle : frozenset of str
        Workers without work that take none, as their memory is full.
    threads : int
    resources : dict or None
        What a task must reserve.
    """

    scheduler: str
    heard: dict[str, float]
    idle: frozenset[str]
    threads: int
    resources: dict[str, int] | None

    @classmethod
    def of(cls, client: Client) -> Workers:
        """Ask the scheduler.

        Raises
        ------
        SchedulerError
            If it does not answer.
        """
        address = _scheduler(client)
        with scheduler_kept(client):
            # This call exists in all releases, as the scheduler may be of another one.
            identity = client.scheduler.identity  # type: ignore[union-attr]
            info = client.sync(identity, callback_timeout=SCHEDULER_SECONDS)
        workers = info["workers"]
        # If workers declare GPUs, tasks must reserve one.
        gpus = {name: worker for name, worker in workers.items() if worker.get("resources", {}).get(GPU)}
        chosen = gpus or workers
        return cls(
            scheduler=address,
            heard={name: worker["last_seen"] for name, worker in chosen.items()},
            idle=frozenset(name for name, worker in chosen.items() if _stuck(worker)),
            threads=sum(worker["nthreads"] for worker in chosen.values()),
            resources={GPU: 1} if gpus else None,
        )


def probe(client: Client, device: str) -> str:
    """Ask all workers which device they use, ``cpu`` or ``cuda``; an answer shows that they can work.

    Raises
    ------
    DeviceError
        If workers do not have that device.
    SchedulerError
        If there are no workers, or some have other software than the client, or different devices.
    """
    workers = Workers.of(client)
    if not workers.heard:
        raise SchedulerError(f"{workers.scheduler}: has no workers: start some, and run again")
    with scheduler_kept(client):
        kinds = _answers(client, device, workers)
    first, kind = next(iter(kinds.items()))
    for name, other in kinds.items():
        if kind != other:
            raise SchedulerError(
                f"worker {name}: uses {other}, but {first} uses {kind}, which gives other labels: give "
                "--device cpu, or start workers that have a GPU with --resources GPU=1"
            )
    return kind


def _answers(client: Client, device: str, workers: Workers) -> dict[str, str]:
    """Return the device of each worker that answers in time: at least one."""
    software = Software.here()
    asked: dict[Future[Any], str] = {
        client.submit(resolve_name, LOADED_FIRST, workers=[name], pure=False): name for name in workers.heard
    }
    answers: dict[str, str] = {}
    until = time.monotonic() + ANSWER_SECONDS
    found = workers
    while asked and found.heard.keys() & set(asked.values()) and time.monotonic() < until:
        done = first_done(client, list(asked))
        if not done:
            found = Workers.of(client)
        for future in done:
            name = asked.pop(future)
            with suppress(TimeoutError):  # it is already lost again
                answer = result_of(client, future, name)
                if isinstance(answer, str):
                    answers[name] = answer
                    until = min(until, time.monotonic() + OTHERS_SECONDS)
                else:  # it can load our task
                    asked[client.submit(introduce, software, device, workers=[name], pure=False)] = name
    if answers:
        return answers
    gone = [name for name in workers.heard if name not in found.heard]
    if gone:
        raise SchedulerError(
            f"worker {gone[0]}: was lost while it loaded wsi-seg {__version__}: give it more memory "
            "(--memory-limit), check that it has the same wsi-seg as here, or read its log, and run again"
        )
    raise no_workers(workers, found)


def first_done(client: Client, futures: list[Future[T]]) -> set[Future[T]]:
    """Wait a short time, and return the futures that are done."""
    with client.as_current():
        try:
            return set(wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return set()


def result_of(client: Client, future: Future[T], name: str | None = None) -> T:
    """Return what a task returned; name the worker that failed, unless the task's own error does.

    Parameters
    ----------
    client : Client
    future : Future
        A future that is done.
    name : str, optional
        The worker's address, which Dask does not report.

    Raises
    ------
    SchedulerError
        If the task's workers died, or if a worker or the scheduler cannot load the task.
    TimeoutError
        If its worker was lost before it could be asked: the task runs again.
    """
    try:
        return future.result(LOOK_SECONDS)
    except KilledWorker as error:
        raise SchedulerError(
            f"worker {error.last_worker.address}: was lost, like all others that tried the same region: "
            f"give workers more memory, or a smaller --batch-size, check that all have the same wsi-seg "
            f"{__version__} as here, and run again"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise _lost(_scheduler(client)) from error
    except UnboundLocalError as error:
        if future.status == "error":  # the task's own
            raise
        # So Dask ends a wait that is cancelled, as happens at its limit on a machine without time to spare.
        raise TimeoutError(f"{name or 'a worker'}: the answer was not there in time") from error
    except RuntimeError as error:
        if "deserialization of the task graph" not in str(error):
            raise
        raise SchedulerError(
            f"{_scheduler(client)}: the scheduler cannot load wsi-seg {__version__} or what it needs: "
            "install the same versions there as here, start it again, and run again"
        ) from error
    except (ImportError, AttributeError) as error:
        if _scheduler(client).startswith("inproc://"):
            raise
        if name is None:  # it joined late: ask all workers that are there now
            _answers(client, "cpu", Workers.of(client))
        raise SchedulerError(
            f"worker {name or '(already lost)'}: cannot load wsi-seg {__version__}, with which the run was "
            f"started ({error}): install the same version there, and run again"
        ) from error


@contextmanager
def scheduler_kept(client: Client) -> Iterator[None]:
    """Turn Dask's errors about a lost scheduler into one line.

    Raises
    ------
    SchedulerError
        If the scheduler is lost.
    """
    address = _scheduler(client)
    try:
        yield
    except WsiSegError:
        raise
    except LOST as error:
        raise _lost(address) from error
    except Exception as error:
        if client.status == "running":
            raise
        raise _lost(address) from error


def _lost(address: str) -> SchedulerError:
    return SchedulerError(
        f"{address}: the Dask scheduler was lost, or does not answer: start it again, and run the same "
        "command: finished regions are kept"
    )


def no_workers(before: Workers, now: Workers) -> SchedulerError:
    """Return the error for the case that no worker is left, or none takes work."""
    names = ", ".join(sorted(before.heard)[:SHOWN]) + (", ..." if len(before.heard) > SHOWN else "")
    if now.idle and now.idle == now.heard.keys():
        what = f"worker {names}: takes no work, as its memory is full: give it more (--memory-limit)"
    elif now.heard:
        what = f"worker {names}: no longer answers: check this worker"
    else:
        what = f"{now.scheduler}: all workers are lost ({names}): read their logs, start some again"
    return SchedulerError(f"{what}, and run the same command: finished regions are kept")


def _stuck(worker: dict[str, Any]) -> bool:
    """Return whether a worker is paused and has nothing to finish."""
    return worker["status"] == "paused" and not worker["metrics"].get("executing", 0)


def _scheduler(client: Client) -> str:
    """Return the scheduler's address, if it is still connected."""
    return "Dask" if client.scheduler is None else str(client.scheduler.address)
