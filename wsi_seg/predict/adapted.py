"""How slide and network are brought nearer to each other, and what a record states of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.slides.restain import Restaining

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from wsi_seg.results.record import RunRecord

ADAPT = "adapt"
"""What labels depend on by this name, if a slide was to be adapted to: see `Adaptation.stated`."""

LEFT = "left as it is"


@dataclass(frozen=True)
class Adaptation:
    """What is done to a slide's stain, and to the network.

    Attributes
    ----------
    restain : Restaining or None
        None if the stain is left as it is.
    statistics : bytes or None
        Of the network's normalisations, as `wsi_seg.models.renormalised.statistics_of` gives them; None if
        they are those of training.
    line : str
        What is done, in words.
    """

    restain: Restaining | None
    statistics: bytes | None
    line: str

    @property
    def stated(self) -> JsonValue:
        """What a record states: the rows of the map, or `LEFT`; with the statistics' digest, if there are."""
        rows: list[JsonValue] = []
        for row in () if self.restain is None else self.restain.rows:
            numbers: list[JsonValue] = [*row]
            rows.append(numbers)
        stain = rows or LEFT
        if self.statistics is None:
            return stain
        return {"stain": stain, "normalisations": hashlib.sha256(self.statistics).hexdigest()}


def begun(record: RunRecord | None, statistics: Path) -> Adaptation | None:
    """Return what the run did that a record is of; None if it did not adapt, or if that is not known.

    Parameters
    ----------
    record : RunRecord or None
    statistics : Path
        Where such a run keeps the statistics of the normalisations.
    """
    stated = None if record is None else record.labels.get(ADAPT)
    rows, content = stated, None
    if isinstance(stated, dict):
        rows = stated.get("stain")
        try:
            content = statistics.read_bytes()
        except OSError:  # measured anew: the run is refused if they come out otherwise
            return None
    if rows is None:
        return None
    line = "adapted as when the run was started"
    if rows == LEFT:
        found = Adaptation(None, content, line if content else f"{LEFT}, as when the run was started")
    else:
        try:
            found = Adaptation(Restaining.of_rows(np.array(rows, np.int64)), content, line)
        except (TypeError, ValueError, OverflowError):  # of no form known here: refused as another
            return None
    return found if found.stated == stated else None
