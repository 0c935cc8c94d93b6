"""Why a window is suggested, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.suggestion.choosing import Chosen

SURE = 0.1
"""Mean doubt of a window up to which the network is called sure of it."""

OR = 0.2
"""Share of the doubt that a class has to have to be named."""

MOSTLY, PARTLY = 0.5, 0.125
"""Shares of a window that is unlike anything outlined."""


def reason(chosen: Chosen, names: Sequence[str]) -> str:
    """Say why a window was chosen, such as "Invasive or Stroma, unlike anything outlined"."""
    leaning = chosen.looked.leaning
    order = np.argsort(-leaning, kind="stable")
    best, second = names[order[0]], names[order[1]]
    if chosen.looked.unsure <= SURE:
        classes = f"taken for {best}"
    elif leaning[order[1]] >= OR:
        classes = f"{best} or {second}"
    else:
        classes = f"perhaps {best}"
    if chosen.unlike is None or chosen.unlike < PARTLY:
        return classes
    return f"{classes}, {'' if chosen.unlike >= MOSTLY else 'partly '}unlike anything outlined"
