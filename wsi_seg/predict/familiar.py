"""How familiar a slide is to the model: some patches of its tissue, beside what the model remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsi_seg.inference.fast.deepest import can_average
from wsi_seg.inference.stream.region import mirrored
from wsi_seg.inference.tissue.comparison import STAIN, UNKNOWN, compare
from wsi_seg.inference.tissue.patch_looks import Looks, patch_side
from wsi_seg.inference.tissue.sight import sight_by_kernels, sight_by_pytorch
from wsi_seg.results.familiarity import Verdict
from wsi_seg.slides.sampled import fullest, squares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.inference.tissue.patch_looks import Sight
    from wsi_seg.predict.plan import Plan
    from wsi_seg.results.familiarity import Familiarity
    from wsi_seg.slides.lattice import Rect

PATCHES = 24
"""They take about a second of one core."""

REMEDY = "if it is such tissue in another stain, try --adapt"
"""Not every slide of other colours is: a fluorescence slide is not."""


def familiarity(plan: Plan) -> Familiarity | None:
    """Compare a slide with what its model remembers; None if it has no tissue.

    Parameters
    ----------
    plan : Plan

    Raises
    ------
    SlideError
        If the slide can no longer be opened.
    """
    tissue = plan.bundle.tissue
    if tissue is None:
        return UNKNOWN
    with plan.timed("familiarity"):
        patches = patches_of(plan)
        if plan.restain is not None:
            patches = [plan.restain(patch) for patch in patches]
        looks = Looks.at(patches, _sight(plan))
        found = compare(looks, tissue, plan.frames.label_mpp[0], plan.slide.mpp[0])
        return found if plan.adaptation is not None else _with_remedy(found)


def _with_remedy(found: Familiarity | None) -> Familiarity | None:
    """Name `--adapt` where a slide that is unfamiliar differs in what it may change."""
    if found is None or found.verdict == Verdict.FAMILIAR:
        return found
    if not any(what.startswith(STAIN) for what in found.differs):
        return found
    return found.model_copy(update={"line": f"{found.line}; {REMEDY}"})


def _sight(plan: Plan) -> Sight:
    if plan.by_kernels and can_average(plan.bundle.architecture.config):
        return sight_by_kernels(plan.model)
    return sight_by_pytorch(plan.model.network, plan.bundle.input)


def patches_of(plan: Plan) -> list[NDArray[np.uint8]]:
    """Read some patches of a slide's tissue, within the regions of interest, as the scanner recorded it."""
    return list(_readable(plan, _places(plan)))


def _places(plan: Plan) -> list[Rect]:
    """Choose where to look: evenly from the tissue, within the regions of interest."""
    mask = plan.find_tissue()
    places = squares(plan.frames.label_size, patch_side(plan.bundle.architecture.config))
    if plan.regions is not None:
        corners = np.array([(p.x0, p.y0, p.x1, p.y1) for p in places]).T
        inside = shapely.intersects(plan.regions.geometry_label, shapely.box(*corners))
        places = [place for place, meets in zip(places, inside, strict=True) if meets]

    def share(place: Rect) -> float:
        part = mask.mask[place.in_cells(mask.factor).slices]
        return float(part.mean()) if part.size else 0.0

    return fullest(places, share, PATCHES)


def _readable(plan: Plan, places: list[Rect]) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of places that can be read, mirrored at the slide's edges."""
    width, height = plan.frames.label_size
    for place in places:
        seen = place.clipped(width, height)
        pixels = plan.slide.read(seen, plan.frames)
        if pixels.unreadable or pixels.present.mean() < 0.5:
            continue
        rows, columns = mirrored(0, place.height, seen.height), mirrored(0, place.width, seen.width)
        yield pixels.rgb[rows[:, None], columns]
