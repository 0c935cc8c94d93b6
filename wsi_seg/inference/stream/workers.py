"""The workers of a Dask cluster: whether they are there, still there, and can do the work."""

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
"""How long the scheduler may take to answer: it too loads what its tasks are made of, PyTorch among them."""

ANSWER_SECONDS = 120
"""How long the first worker may take to answer: it has to load PyTorch, maybe over a network."""

OTHERS_SECONDS = 10
"""How long the others may take after it: they may be busy, and check themselves with each region."""

LOOK_SECONDS = 3.0
"""How long is waited for anything before it is looked whether there is still something to wait for."""

SHOWN = 4
"""Workers that an error names at most."""

LOADED_FIRST = "wsi_seg.inference.stream.software:Software"
"""What a worker is to load before it gets a task of ours: if it cannot read that, it ends without a word."""

GPU = "GPU"

T = TypeVar("T")

LOST = (CancelledError, CommClosedError, OSError, TimeoutError)
"""What Dask raises where the connection to the scheduler is lost."""


@dataclass(frozen=True)
class Workers:
    """The workers of a cluster that regions may go to.

    Attributes
    ----------
    scheduler : str
        Its address.
    heard : dict of str to float
        By address, when the scheduler heard of the worker last, by its own clock.
    idle : frozenset of str
        Those that take no work, as their memory is full, and have none.
    threads : int
    resources : dict or None
        What a task is to reserve.
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
            # Named by what all releases have, to schedulers of other releases too.
            identity = client.scheduler.identity  # type: ignore[union-attr]
            info = client.sync(identity, callback_timeout=SCHEDULER_SECONDS)
        workers = info["workers"]
        # GPU work is held to the GPUs where workers declare them.
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
    """Ask all workers which device they use, ``cpu`` or ``cuda``; so learn that they can do the work.

    Raises
    ------
    DeviceError
        If workers do not have that device.
    SchedulerError
        If there are no workers, some have other software than the client, or not the same device.
    """
    workers = Workers.of(client)
    if not workers.heard:
        raise SchedulerError(f"{workers.scheduler}: no workers there: start some, and run again")
    with scheduler_kept(client):
        kinds = _answers(client, device, workers)
    first, kind = next(iter(kinds.items()))
    for name, other in kinds.items():
        if kind != other:
            raise SchedulerError(
                f"worker {name}: would use {other}, and {first} {kind}, which gives other labels: give "
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
        try:
            done = wait(list(asked), timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            found = Workers.of(client)
            continue
        for future in done:
            name = asked.pop(future)
            with suppress(TimeoutError):  # it is gone again
                answer = result_of(client, future, name)
                if isinstance(answer, str):
                    answers[name] = answer
                    until = min(until, time.monotonic() + OTHERS_SECONDS)
                else:  # it can load what it is asked with
                    asked[client.submit(introduce, software, device, workers=[name], pure=False)] = name
    if answers:
        return answers
    gone = [name for name in workers.heard if name not in found.heard]
    if gone:
        raise SchedulerError(
            f"worker {gone[0]}: was lost while it loaded wsi-seg {__version__}: give it more memory "
            "(--memory-limit), see that it has the same wsi-seg as here, or look into its log, and run again"
        )
    raise no_workers(workers, found)


def result_of(client: Client, future: Future[T], name: str | None = None) -> T:
    """Return what a task returned; say who failed, where it is not the task itself that says so.

    Parameters
    ----------
    client : Client
    future : Future
        One that is done.
    name : str, optional
        Which worker it was; Dask does not say it.

    Raises
    ------
    SchedulerError
        If the task took its workers down, or cannot be loaded where it was to run.
    TimeoutError
        If its worker was lost before it could be asked: the task is done again.
    """
    try:
        return future.result(LOOK_SECONDS)
    except KilledWorker as error:
        raise SchedulerError(
            f"worker {error.last_worker.address}: was lost, as all others were that tried the same region: "
            f"give workers more memory, or a smaller --batch-size, see that all have the same wsi-seg "
            f"{__version__} as here, and run again"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise _lost(_scheduler(client)) from error
    except RuntimeError as error:
        if "deserialization of the task graph" not in str(error):
            raise
        raise SchedulerError(
            f"{_scheduler(client)}: the scheduler cannot load wsi-seg {__version__} or what it needs: "
            "install the same there as here, start it again, and run again"
        ) from error
    except (ImportError, AttributeError) as error:
        if _scheduler(client).startswith("inproc://"):
            raise
        if name is None:  # it joined late: ask all who are there now
            _answers(client, "cpu", Workers.of(client))
        raise SchedulerError(
            f"worker {name or 'that is gone by now'}: cannot load the wsi-seg {__version__} that the run was "
            f"begun with ({error}): install the same there, and run again"
        ) from error


@contextmanager
def scheduler_kept(client: Client) -> Iterator[None]:
    """Turn whatever Dask says when the scheduler is lost into one line.

    Raises
    ------
    SchedulerError
        If it is.
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
    """Return the error that no worker is left to do the work, or none that takes any."""
    names = ", ".join(sorted(before.heard)[:SHOWN]) + (", ..." if len(before.heard) > SHOWN else "")
    if now.idle and now.idle == now.heard.keys():
        what = f"worker {names}: takes no work, as its memory is full: give it more (--memory-limit)"
    elif now.heard:
        what = f"worker {names}: does not answer any more: look after it"
    else:
        what = f"{now.scheduler}: all workers are lost ({names}): look into their logs, start some again"
    return SchedulerError(f"{what}, and run the same command: finished regions are kept")


def _stuck(worker: dict[str, Any]) -> bool:
    """Return whether a worker is paused and has nothing to finish."""
    return worker["status"] == "paused" and not worker["metrics"].get("executing", 0)


def _scheduler(client: Client) -> str:
    """Return the scheduler's address, while there is a connection to it."""
    return "Dask" if client.scheduler is None else str(client.scheduler.address)
