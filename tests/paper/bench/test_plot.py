"""Where names find room, and that a picture comes of a report."""

from __future__ import annotations

import numpy as np
from helpers.reports import make_report
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import NonlinearConstraint, minimize

from wsi_seg.paper.bench.plot import draw_throughput, spread_out

GAP = 10.0
places = st.lists(st.floats(0, 100), max_size=8).map(sorted)


@given(places)
def test_names_keep_their_order_and_their_distance(wanted: list[float]) -> None:
    found = np.array(spread_out(wanted, GAP))
    assert len(found) == len(wanted)
    assert (np.diff(found) >= GAP - 1e-9).all()
    if (np.diff(wanted) >= GAP).all():
        np.testing.assert_allclose(found, wanted)


def test_names_move_as_little_as_may_be() -> None:
    wanted = np.array([0, 3, 3, 30, 36, 70.0])

    def moved(y: NDArray[np.float64]) -> float:
        return float(((y - wanted) ** 2).sum())

    apart = NonlinearConstraint(np.diff, GAP, np.inf)
    best = minimize(moved, wanted, constraints=apart, method="SLSQP")
    np.testing.assert_allclose(spread_out(list(wanted), GAP), best.x, atol=1e-3)


def test_every_network_that_ran_is_named_once_in_every_panel() -> None:
    figure = draw_throughput(make_report())
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "1024 x 512, cpu, float32, network alone",
        "512 x 512, cpu, bfloat16, as predict runs it",
    ]
    for axes in figure.axes:
        assert sorted(text.get_text() for text in axes.texts) == ["ESPNet", "PSPNet-101"]
