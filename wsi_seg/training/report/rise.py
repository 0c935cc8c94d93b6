"""Whether a training was still getting better when it ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wsi_seg.training.report.limits import Rise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.training.report.contents import HistoryRow

FEWEST = 3
"""Validations without which nothing can be said."""


def rise_of(history: Sequence[HistoryRow]) -> Rise | None:
    """Compare the validations of the last stage; None if there are too few of them."""
    last = history[-1].stage if history else 1
    scores = [row.val_miou for row in history if row.stage == last and row.val_miou is not None]
    scores = [score for score in scores if math.isfinite(score)]
    if len(scores) < FEWEST:
        return None
    late = max(1, len(scores) // 3)
    return Rise(max(scores[-late:]), max(scores[:-late]))
