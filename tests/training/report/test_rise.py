"""Whether the validations were still rising."""

from __future__ import annotations

import math

import pytest

from wsi_seg.training.report.contents import HistoryRow
from wsi_seg.training.report.rise import rise_of


def history(*scores: float, stage: int = 1) -> list[HistoryRow]:
    """A validation every ten steps, with a row of loss alone between them."""
    rows = []
    for number, score in enumerate(scores):
        rows.append(HistoryRow(10 * number + 5, 0, 1.0, 1e-3, 0.5, stage=stage))
        rows.append(HistoryRow(10 * number + 10, 0, 1.0, 1e-3, 0.5, 0.4, score, stage=stage))
    return rows


@pytest.mark.parametrize(
    ("scores", "rising"),
    [
        ((0.2, 0.3, 0.4, 0.45, 0.5, 0.55), True),
        ((0.2, 0.5, 0.55, 0.55, 0.55, 0.555), False),
        ((0.2, 0.6, 0.5, 0.5, 0.5, 0.55), False),
        ((0.2, 0.3, 0.4), True),
        ((0.5, 0.4, 0.3), False),
        ((0.2, math.nan, 0.3, 0.4), True),
    ],
)
def test_the_last_third_is_compared_with_what_came_before(scores: tuple[float, ...], rising: bool) -> None:
    rise = rise_of(history(*scores))
    assert rise is not None
    assert rise.rising is rising


def test_of_few_validations_nothing_is_said() -> None:
    assert rise_of([]) is None
    assert rise_of(history(0.2, 0.9)) is None
    assert rise_of(history(0.2, math.nan, 0.9)) is None


def test_only_the_last_stage_counts() -> None:
    rows = [*history(0.1, 0.2, 0.3), *history(0.6, 0.6, 0.6, stage=2)]
    rise = rise_of(rows)
    assert rise is not None
    assert (rise.early, rise.late) == (0.6, 0.6)
