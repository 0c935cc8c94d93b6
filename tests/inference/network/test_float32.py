from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from helpers.networks import CONVOLUTIONS

from wsi_seg.inference.network.float32 import float32_proper

WAIT = 20


@pytest.fixture(autouse=True, params=["tf32", "ieee"])
def before(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the setting is to other code."""
    own = CONVOLUTIONS.fp32_precision
    CONVOLUTIONS.fp32_precision = request.param
    yield request.param
    CONVOLUTIONS.fp32_precision = own


def test_one_after_another_and_within_another(before: str) -> None:
    for _ in range(2):
        with float32_proper(), float32_proper():
            assert CONVOLUTIONS.fp32_precision == "ieee"
        assert CONVOLUTIONS.fp32_precision == before


def test_two_threads_that_overlap(before: str) -> None:
    """The first comes in, the second comes in, the first goes, the second goes."""
    second_in, first_out = threading.Event(), threading.Event()
    seen = []

    def second() -> None:
        with float32_proper():
            second_in.set()
            assert first_out.wait(WAIT)
            seen.append(CONVOLUTIONS.fp32_precision)

    other = threading.Thread(target=second)
    with float32_proper():
        other.start()
        assert second_in.wait(WAIT)
    first_out.set()
    other.join()
    assert seen == ["ieee"]
    assert CONVOLUTIONS.fp32_precision == before


def test_an_error_puts_it_back(before: str) -> None:
    with pytest.raises(ValueError, match="of the network"), float32_proper():
        raise ValueError("of the network")
    assert CONVOLUTIONS.fp32_precision == before
