"""The resolution that suits the outlined structures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.annotations.annotation_files import AnnotationFiles
from wsi_seg.data.named_classes import is_ignored
from wsi_seg.data.pairs import SlidePair
from wsi_seg.data.truth import TruthSettings
from wsi_seg.models.classes import name_key
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STRUCTURE_PX = 128
"""Side of a typical structure, in label pixels, at the recommended resolution: large enough for a fine
outline,
and small enough that a network that sees a few hundred pixels also sees the surroundings."""

LEAST_PX = 32
"""Smallest side of a typical structure, however short the training: a smaller one can hardly be outlined."""

FINEST_UM = 0.5
COARSEST_UM = 2.0
"""The finest and the coarsest recommendation: at 0.5 um a nucleus is 15 pixels across, at 2 um it is still a
dot,
by which tissue can be recognised."""

SEEN_MM2 = 600.0
"""Tissue that a training has to see, in all its patches together, to be worth its resolution. The same number
of
pixels at half the mpp shows a quarter of the tissue, and a network learns from the amount of tissue it
sees."""


@dataclass(frozen=True)
class Outlined:
    """The measures of the outlined structures that determine a resolution.

    Attributes
    ----------
    slide_mpp : float
        Micrometres per pixel of the coarsest slide.
    side_um : float
        Side of a typical shape of the class with the smallest shapes; infinite if nothing was outlined. A
        shape's side is the square root of its area. A class's typical shape is that at the median of the
        class's area: half of the area is in smaller shapes.
    """

    slide_mpp: float
    side_um: float

    @classmethod
    def on(
        cls,
        pairs: Sequence[SlidePair | tuple[Path, Path]],
        mpp: float | None = None,
        settings: TruthSettings | None = None,
        files: AnnotationFiles | None = None,
        series: int | None = None,
    ) -> Self:
        """Measure the outlined structures on slides; for parameters and errors see `recommend_mpp`."""
        settings, files = settings or TruthSettings(), files or AnnotationFiles()
        slide_mpp = 0.0
        areas_um2: dict[str, list[float]] = {}
        for pair in (SlidePair(*pair) for pair in pairs):
            given = pair.mpp if pair.mpp is not None else mpp
            with Slide(pair.slide, given, series=pair.series_or(series)) as slide:
                x, y = slide.mpp
            slide_mpp = max(slide_mpp, x, y)
            for shape in files.read(pair.annotations).shapes:
                name = shape.class_name
                if name is not None and not is_ignored(name) and not settings.is_roi(name):
                    areas_um2.setdefault(name_key(name), []).append(shape.geometry.area * x * y)
        side_um = min((_typical(areas) ** 0.5 for areas in areas_um2.values()), default=math.inf)
        return cls(slide_mpp, side_um)

    def recommended_mpp(self, megapixels: float = math.inf) -> float:
        """Recommend a resolution, in micrometres per pixel, for a training that sees so many megapixels."""
        wanted = min(max(self.side_um / STRUCTURE_PX, FINEST_UM), COARSEST_UM)
        if megapixels < math.inf:
            seen_um = (SEEN_MM2 / megapixels) ** 0.5  # at 1 um, a megapixel is a square millimetre
            wanted = max(wanted, min(seen_um, self.side_um / LEAST_PX, COARSEST_UM))
        return float(self.slide_mpp * 2 ** max(0, round(math.log2(wanted / self.slide_mpp))))

    def why(self, megapixels: float = math.inf) -> str:
        """Describe the recommended resolution, and the effect of the time."""
        mpp, at_leisure = self.recommended_mpp(megapixels), self.recommended_mpp()
        reason = "chosen for the outlined structures"
        if mpp > at_leisure:
            reason = f"as the time is short: with more --minutes it would be {at_leisure:.4g}"
        return f"{mpp:.4g} um per pixel, {reason}; use --working-mpp to choose another"


def recommend_mpp(
    pairs: Sequence[SlidePair | tuple[Path, Path]],
    mpp: float | None = None,
    settings: TruthSettings | None = None,
    megapixels: float = math.inf,
    files: AnnotationFiles | None = None,
    series: int | None = None,
) -> float:
    """Recommend a working resolution for slides from the structures outlined on them.

    The class of the smallest structures decides: its typical shape should be `STRUCTURE_PX` wide, within the
    limits `FINEST_UM` and `COARSEST_UM`. For a short training, the recommendation is the resolution at which
    it sees `SEEN_MM2` of tissue, within the same limits, as long as the typical shape stays `LEAST_PX` wide.
    The result is the nearest of the coarsest slide's own mpp and its multiples by powers of two, where
    pyramid levels lie and pixels need no interpolation.

    Thus 1.87 for lesions of hundreds of micrometres on a slide of 0.467 um, 1 for glands of 100 um, and 0.5
    for nuclei on a slide of 0.25 um; and 2 for the glands if there are two minutes on a CPU.

    Parameters
    ----------
    pairs : sequence of SlidePair
    mpp : float, optional
        Micrometres per slide pixel, for slides where neither the file nor the pair states it.
    settings : TruthSettings, optional
        Names the class, if any, of regions of interest, which are not structures.
    megapixels : float
        The pixels that a training sees, in all its patches together.
    files : AnnotationFiles, optional
        Keeps the files that are read here, so that they need not be read again.
    series : int, optional
        Which of the slide files' images.

    Returns
    -------
    float
        Micrometres per pixel; never finer than any of the slides.

    Raises
    ------
    SlideError, MppError
        If a slide cannot be opened, or its resolution is not known.
    AnnotationError
        If an annotation file cannot be read.
    """
    return Outlined.on(pairs, mpp, settings, files, series).recommended_mpp(megapixels)


def _typical(areas: Sequence[float]) -> float:
    """Return the area of the shape at the median of the total area, from the smallest shape up."""
    ordered = np.sort(areas)
    return float(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)])
