"""Training fields: pieces of many generated slides, as a network gets them from a slide reader."""

from __future__ import annotations

import io
import itertools
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsi_seg.children import spawning
from wsi_seg.demo.dye_colours import Stain
from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIELD_MPP = 2.0
"""Working resolution of the demo model in micrometres per pixel."""

FINENESS = 2
"""Fields are drawn this many times finer, and averaged."""


def stream_fields(
    first_seed: int, count: int, side: int, workers: int = 1
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield one field of each of the slides `first_seed`, `first_seed` + 1, ..., drawn in other processes.

    Parameters
    ----------
    first_seed : int
        Seed of the first slide.
    count : int
        Number of fields.
    side : int
        Side in pixels of `FIELD_MPP`.
    workers : int
        Processes that draw.

    Yields
    ------
    rgb, labels
        As of `draw_field`.
    """
    seeds = range(first_seed, first_seed + count)
    with ProcessPoolExecutor(workers, spawning()) as pool:
        yield from pool.map(draw_field, seeds, itertools.repeat(side))


def draw_field(seed: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one field from somewhere on slide `seed`, in a stain of its own.

    It is drawn at 1 um per pixel and averaged to `FIELD_MPP`, as when a slide is read; at one of the two
    resolutions it goes through JPEG. A label is the class at the pixel's centre.

    Returns
    -------
    rgb : ndarray, shape (side, side, 3), uint8
    labels : ndarray, shape (side, side), uint8
    """
    rng = np.random.default_rng([seed, 0xF1E1D])
    width_um, height_um = rng.uniform(2600, 6000), rng.uniform(2000, 5000)
    everywhere = bool(rng.random() < 0.55)
    tissue = Tissue(
        seed, width_um, height_um, Stain.random(seed, spread=1.2), everywhere, bool(rng.random() < 0.5)
    )
    fine_side = side * FINENESS
    mpp = FIELD_MPP / FINENESS
    x0, y0 = (int(rng.uniform(0, max(extent / mpp - fine_side, 1))) for extent in (width_um, height_um))
    fine, fine_labels = tissue.render(Rect(y0, x0, y0 + fine_side, x0 + fine_side), mpp)
    quality, stored_fine = int(rng.integers(65, 96)), bool(rng.random() < 0.5)
    rgb = Image.fromarray(fine)
    if stored_fine:
        rgb = _through_jpeg(rgb, quality)
    rgb = rgb.reduce(FINENESS)
    if not stored_fine:
        rgb = _through_jpeg(rgb, quality)
    return np.asarray(rgb), fine_labels[FINENESS // 2 :: FINENESS, FINENESS // 2 :: FINENESS]


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=quality)
    return Image.open(stored).convert("RGB")
