"""Work on some items at a time, in threads, and take the results in the items' order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    pool: Executor | None, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Yield the result of each item in turn.

    The thread that takes them works too while it would wait: Python lets one thread run at a time, so that
    one which only waits and hands on costs the others more than it gives.

    Parameters
    ----------
    pool : Executor, optional
        Threads that work beside the caller's.
    work : callable
    items : iterable
        Taken as they are needed.
    ahead : int
        Results that may wait to be taken, or be at work, before another item is begun.
    """
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            # One that is there goes on before the next item is waited for.
            while len(waiting) > ahead or (waiting and waiting[0][1].done()):
                yield _first(waiting, work)
        while waiting:
            yield _first(waiting, work)
    finally:
        for _, future in waiting:
            future.cancel()


def _first(waiting: deque[tuple[Item, Future[Result]]], work: Callable[[Item], Result]) -> Result:
    """Remove the first and return its result; until it is there, work on what no thread has begun."""
    while not waiting[0][1].done():
        for place, (item, future) in enumerate(waiting):
            if future.cancel():
                waiting[place] = item, _done(work, item)
                break
        else:
            break
    return waiting.popleft()[1].result()


def _done(work: Callable[[Item], Result], item: Item) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(work(item))
    except Exception as error:  # raised where the result is taken
        future.set_exception(error)
    return future
