"""Slides without colour: black or grey throughout, or in one channel alone."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wsi_seg.slides.slide import SlidePixels

NOISE = 16
"""Grey values by which compression may make the channels of one grey differ, or black differ from 0."""

FEWEST = 1e-4
"""Share of the pixels that may differ more in a slide without colour."""

FAINT = 24
"""A slide whose brightness varies by less holds no picture: it is not called grey."""


def only_channel(overview: SlidePixels) -> str | None:
    """Return the only channel of a slide, if there is only one: "grey", "red", "green" or "blue"; or "black".

    Stained tissue has colour in every overview, and glass alone has no picture.

    Parameters
    ----------
    overview : SlidePixels
        All of the slide.
    """
    channels = [overview.rgb[..., i][overview.present] for i in range(3)]
    if not channels[0].size:
        return None
    brightest = reduce(np.maximum, channels)
    low, high = np.quantile(brightest.astype(np.int16), (FEWEST, 1 - FEWEST))
    if high <= NOISE:
        return "black"
    if high - low < FAINT:
        return None
    if _share(brightest - reduce(np.minimum, channels)) <= FEWEST:
        return "grey"
    lit = [
        name
        for name, channel in zip(("red", "green", "blue"), channels, strict=True)
        if _share(channel) > FEWEST
    ]
    return lit[0] if len(lit) == 1 else None


def _share(values: np.ndarray) -> float:
    return float((values > NOISE).mean())
