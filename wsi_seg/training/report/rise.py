"""Whether a training was still getting better when it ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.training.report.contents import HistoryRow

RISE = 0.01
"""Mean IoU by which the last validations must be above all before, for them to count as rising."""

FEWEST = 3
"""Validations without which nothing can be said."""


class Rise(NamedTuple):
    """The best mean IoU among the last third of the validations, and among those before."""

    late: float
    early: float

    @property
    def rising(self) -> bool:
        """Whether more time would probably help."""
        return self.late > self.early + RISE


def rise_of(history: Sequence[HistoryRow]) -> Rise | None:
    """Compare the validations of the last stage; None if there are too few of them."""
    last = history[-1].stage if history else 1
    scores = [row.val_miou for row in history if row.stage == last and row.val_miou is not None]
    scores = [score for score in scores if math.isfinite(score)]
    if len(scores) < FEWEST:
        return None
    late = max(1, len(scores) // 3)
    return Rise(max(scores[-late:]), max(scores[:-late]))
