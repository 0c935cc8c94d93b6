"""One look at a whole slide, and what it tells: where tissue is, and what the scanner recorded.

Prediction, training and evaluation all ask here, so that tissue is the same to them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.slides.coarse import CoarseMask
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.recorded import find_recorded, recorded_in
from wsi_seg.slides.slide import SlidePixels
from wsi_seg.slides.tissue import TissueMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.slide import Slide

BANDS = 4
"""Pieces of the overview that are read at a time."""


@dataclass(frozen=True)
class Overview:
    """A slide at no more than `wsi_seg.slides.frames.OVERVIEW_SIDE` pixels a side; read when first asked for.

    Attributes
    ----------
    slide : Slide
    label_frames : Frames
        The label frame whose overview this is.
    """

    slide: Slide
    label_frames: Frames

    @property
    def factor(self) -> int:
        """Label pixels per overview pixel along each side."""
        return int(2**self.label_frames.overview_level)

    @property
    def frames(self) -> Frames:
        """The overview's own frame."""
        return self.label_frames.coarsened(self.factor)

    @cached_property
    def pixels(self) -> SlidePixels:
        """All of the slide; unreadable parts are in overview pixels."""
        frames = self.frames
        width, height = frames.label_size
        step = -(-height // BANDS)
        bands = [Rect(y, 0, min(y + step, height), width) for y in range(0, height, step)]
        # All else waits for the overview: let no core be idle meanwhile.
        with ThreadPoolExecutor(len(bands), thread_name_prefix="overview") as pool:
            parts = list(pool.map(lambda band: self.slide.read(band, frames), bands))
        return SlidePixels(
            rgb=np.concatenate([part.rgb for part in parts]),
            present=np.concatenate([part.present for part in parts]),
            unreadable=tuple(sorted({rect for part in parts for rect in part.unreadable})),
        )

    @cached_property
    def _at_first_sight(self) -> NDArray[np.bool_]:
        """What the scanner recorded, slits between its fields included."""
        return find_recorded(self.pixels.rgb, self.pixels.present, self.frames.label_mpp)

    @cached_property
    def recorded(self) -> CoarseMask:
        """What the scanner recorded and the file does not fill in; what cannot be read counts as recorded."""
        recorded = recorded_in(self.slide, self.pixels, self._at_first_sight, self.frames)
        return CoarseMask(recorded, self.factor)

    @cached_property
    def tissue(self) -> TissueMask:
        """Where tissue is, so far as the scanner recorded it.

        The mask is coarser than the overview, unless parts of the slide are only filled in: slits between
        scanned fields, which are no tissue, are too narrow for a coarse one.
        """
        pixels = self.pixels
        with ThreadPoolExecutor(1, thread_name_prefix="overview") as beside:
            seeking = beside.submit(lambda: self.recorded)
            found = TissueMask.of(pixels, self.frames.label_mpp, self.factor, lambda: self._at_first_sight)
            recorded = seeking.result().mask
        if recorded.all():
            return found
        return TissueMask(found.at(Rect(0, 0, *recorded.shape), self.factor) & recorded, self.factor)
