"""What is measured beside areas, borders and components."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from wsi_seg.errors import UsageError

BANDS_UM = (0.0, 100.0, 500.0)
"""Ends of the bands around a class's border, unless others are asked for."""

MOST_ENDS = 100


@dataclass(frozen=True)
class MeasureSettings:
    """What is measured.

    Attributes
    ----------
    distance_to : str or None
        The class whose border distances are measured from; None for no distances.
    bands_um : tuple of float
        Ends of the bands, in micrometres from the border, ascending: two ends make one band.

    Raises
    ------
    UsageError
        If these are no bands.
    """

    distance_to: str | None = None
    bands_um: tuple[float, ...] = BANDS_UM

    def __post_init__(self) -> None:
        ends = self.bands_um
        sound = all(math.isfinite(end) and end >= 0 for end in ends)
        if not (sound and 2 <= len(ends) <= MOST_ENDS and all(low < high for low, high in pairwise(ends))):
            given = ",".join(f"{end:g}" for end in ends)
            raise UsageError(
                f"--bands {given}: give 2 to {MOST_ENDS} ends, rising from 0 on, such as 0,100,500"
            )

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """The two ends of each band; none without a class to measure from."""
        if self.distance_to is None:
            return ()
        return tuple(pairwise(self.bands_um))
