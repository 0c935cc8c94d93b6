"""Results come in turn, whoever worked on them, and errors where their result would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from wsi_seg.results.polygons.in_order import in_order

pytestmark = pytest.mark.usefixtures("_ends")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def _ends() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("ahead", [0, 1, 5, 100])
def test_results_come_in_turn(pool: ThreadPoolExecutor, ahead: int) -> None:
    assert list(in_order(pool, lambda x: x * x, range(50), ahead)) == [x * x for x in range(50)]


def test_without_threads_it_is_a_map() -> None:
    assert list(in_order(None, lambda x: -x, range(5), 3)) == [0, -1, -2, -3, -4]


def test_whoever_takes_works_while_the_threads_are_busy(pool: ThreadPoolExecutor) -> None:
    """The pool's one thread waits for what only the caller can do."""
    others = threading.Semaphore(0)

    def work(number: int) -> str:
        if number == 0:
            assert others.acquire(timeout=10)
        else:
            others.release()
        return threading.current_thread().name

    first, second = in_order(pool, work, range(2), 2)

    assert first != second == threading.main_thread().name


@pytest.mark.parametrize("failing", [0, 3, 9])
def test_an_error_comes_where_its_result_would(pool: ThreadPoolExecutor, failing: int) -> None:
    def work(number: int) -> int:
        if number == failing:
            raise ValueError(number)
        return number

    results = in_order(pool, work, range(10), 2)

    assert list(islice(results, failing)) == list(range(failing))
    with pytest.raises(ValueError, match=str(failing)):
        next(results)


def test_no_more_are_begun_than_may_wait(pool: ThreadPoolExecutor) -> None:
    begun = []

    def items() -> Iterator[int]:
        for number in range(20):
            begun.append(number)
            yield number

    for taken, _ in enumerate(in_order(pool, lambda x: x, items(), 3)):
        assert len(begun) <= taken + 5
