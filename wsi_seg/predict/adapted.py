"""What is done to a slide's stain, and what a record states of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.slides.restain import Restaining

if TYPE_CHECKING:
    from pydantic import JsonValue

    from wsi_seg.results.record import RunRecord

ADAPT = "adapt"
"""What labels depend on by this name, if a slide was to be adapted: the rows of the map; or `LEFT`."""

LEFT = "left as it is"


def stated(restain: Restaining | None) -> JsonValue:
    """Return what a record states of the stain that a slide is turned into."""
    rows: list[JsonValue] = []
    for row in () if restain is None else restain.rows:
        numbers: list[JsonValue] = [*row]
        rows.append(numbers)
    return rows or LEFT


@dataclass(frozen=True)
class Adaptation:
    """What is done to a slide's stain.

    Attributes
    ----------
    restain : Restaining or None
        None if the slide is left as it is.
    line : str
        What is done, in words.
    """

    restain: Restaining | None
    line: str


def begun(record: RunRecord | None) -> Adaptation | None:
    """Return what the run did that a record is of; None if there is none, or it did not adapt."""
    rows = None if record is None else record.labels.get(ADAPT)
    if rows is None:
        return None
    if rows == LEFT:
        return Adaptation(None, f"stain {LEFT}, as when the run was started")
    try:
        return Adaptation(
            Restaining.of_rows(np.array(rows, np.int64)), "stain adapted as when the run was started"
        )
    except (TypeError, ValueError, OverflowError):  # of no form known here: the run is refused as another
        return None
