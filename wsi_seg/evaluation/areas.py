"""Score the annotated parts of a slide: parts without annotations are neither read nor segmented."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.evaluation import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from wsi_seg.data.truth import SlideTruth
    from wsi_seg.progress import Progress
    from wsi_seg.slides.lattice import Rect


@dataclass(frozen=True)
class Comparison:
    """The labels of a slide, and its truth.

    Attributes
    ----------
    name : str
        Name of the slide.
    truth : SlideTruth
    classes : int
        Number of the truth's classes.
    read : callable
        Returns the label values of a rectangle in label pixels; called from several threads.
    near : callable
        Returns which pixels of a rectangle are near an outline; called from several threads.
    table : uint8 array, shape (256,)
        The truth's class index for each label value.
    """

    name: str
    truth: SlideTruth
    classes: int
    read: Callable[[Rect], NDArray[np.uint8]]
    near: Callable[[Rect], NDArray[np.bool_]]
    table: NDArray[np.uint8]

    def score(self, rects: Iterable[Rect], progress: Progress) -> Tally:
        """Compare rectangle by rectangle; rectangles without a pixel of known class are not read.

        Parameters
        ----------
        rects : iterable of Rect
            In label pixels; a few of them are held at a time.
        progress : Progress
            Receives the rectangles and their pixels of known class.
        """
        known = {rect: int(np.count_nonzero(self.truth.read(rect) != IGNORE)) for rect in rects}
        annotated = [rect for rect, pixels in known.items() if pixels]
        total = Tally.empty(self.name, self.classes)
        progress.begin(self.name, len(annotated), 0, sum(known.values()) / 1e6)
        threads = ThreadPoolExecutor(min(4, (os.cpu_count() or 1) + 1), thread_name_prefix="evaluate")
        try:
            for rect, part in zip(annotated, threads.map(self._part, annotated), strict=True):
                total = total + part
                progress.advance(known[rect] / 1e6)
        finally:
            # After an error or an interruption, no other rectangle is started.
            threads.shutdown(cancel_futures=True)
            progress.end()
        return total

    def _part(self, rect: Rect) -> Tally:
        part = Tally.empty(self.name, self.classes)
        part.add(self.truth.read(rect), self.read(rect), self.table, self.near(rect))
        return part
