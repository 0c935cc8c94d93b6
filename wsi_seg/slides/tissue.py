"""Where the tissue is: a mask from an overview of the slide.

Glass, pen marks, dust and the gaps that the file only fills are left out. Pale tissue is kept, and so is fat,
the white inside of tissue. When in doubt a pixel counts as tissue: the mask only saves work, the network
decides.
"""

from __future__ import annotations

import hashlib
import math
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy import ndimage
from skimage import filters

from wsi_seg.errors import OutputError
from wsi_seg.files.files import replacing
from wsi_seg.slides.coarse import MASK_REMEDY, CoarseMask, MaskSeal
from wsi_seg.slides.mask_objects import within, without_cut_objects, without_small_objects
from wsi_seg.slides.picture import DECODE_ERRORS, verify_png
from wsi_seg.slides.recorded import find_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.slide import SlidePixels

FACTOR_KEY = "label pixels per mask pixel"
BRIGHT = 180
DARK_MEDIAN = 80
CHROMA_RANGE = (0.02, 0.03)
"""Bounds, in optical density, for the threshold between glass and tissue."""

NEUTRAL = 0.12
"""Chroma per density up to which a pixel is grey or black: dust, coverslip edge, black pen."""

PIXEL_UM = 16.0
SMALLEST_UM2 = 20_000.0
LARGEST_HOLE_UM2 = 1_000_000.0
CLOSING_UM = 60.0
MARGIN_UM = 50.0


class TissueMask(CoarseMask):
    """The tissue mask."""

    @property
    def seal(self) -> MaskSeal:
        """The identity of this mask."""
        height, width = self.mask.shape
        digest = hashlib.sha256(self.mask.astype(np.uint8).tobytes()).hexdigest()
        return MaskSeal(sha256=digest, size=(width, height), factor=self.factor)

    def save(self, path: Path) -> None:
        """Write the mask as a PNG, white for tissue, that also says its factor.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        note = PngInfo()
        note.add_text(FACTOR_KEY, str(self.factor))
        with replacing(path) as partial:
            Image.fromarray(self.mask.astype(np.uint8) * 255).save(partial, format="PNG", pnginfo=note)

    @classmethod
    def load(cls, path: Path, seal: MaskSeal | None) -> TissueMask:
        """Read a mask that `save` wrote.

        Parameters
        ----------
        path : Path
        seal : MaskSeal or None
            The identity that the mask must have; None for a result that does not record it.

        Raises
        ------
        OutputError
            If it is missing, damaged, or another mask.
        """
        try:
            verify_png(path)
            with Image.open(path) as image:
                found = cls(np.asarray(image.convert("L")) >= 128, int(image.info[FACTOR_KEY]))
        except FileNotFoundError as error:
            raise OutputError(f"{path}: the tissue mask is missing: {MASK_REMEDY}") from error
        except (*DECODE_ERRORS, Image.DecompressionBombError) as error:
            raise OutputError(f"{path}: the tissue mask is damaged: {MASK_REMEDY}") from error
        if seal is not None and found.seal != seal:
            raise OutputError(
                f"{path}: not the tissue mask that the labels were made with "
                f"({found.seal.difference_to(seal)}): "
                f"{MASK_REMEDY}"
            )
        return found

    @classmethod
    def of(
        cls,
        overview: SlidePixels,
        mpp: tuple[float, float],
        factor: int,
        recorded: Callable[[], NDArray[np.bool_]] | None = None,
    ) -> TissueMask:
        """Find the tissue in an overview.

        A finer overview is reduced to pixels of about `PIXEL_UM`, which is enough for a mask.

        Parameters
        ----------
        overview : SlidePixels
        mpp : (float, float)
            Micrometres per overview pixel.
        factor : int
            Label pixels per overview pixel.
        recorded : callable, optional
            Returns what `find_recorded` finds in the overview; asked for as late as possible, if at all.
        """
        step = int(2 ** max(0, round(math.log2(PIXEL_UM / max(mpp)))))
        rgb, present = _reduced(overview, step)
        pixel_um = (mpp[0] * step, mpp[1] * step)
        mask = find_tissue(rgb, present, pixel_um)
        if recorded is not None and step == 1:
            mask &= recorded()
        else:
            mask &= find_recorded(rgb, present, pixel_um)
        for rect in overview.unreadable:
            # Unreadable parts of the overview may be tissue: the finer level decides, or reports them.
            mask[rect.in_cells(step).slices] = True
        return cls(mask, factor * step)


def _reduced(overview: SlidePixels, step: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the mean of the recorded pixels in each square of step x step, and where there are any."""
    if step == 1:
        return overview.rgb, overview.present
    alpha = overview.present.astype(np.uint8) * 255
    # Pillow weighs colours by alpha.
    rgba = np.asarray(Image.fromarray(np.dstack([overview.rgb, alpha])).reduce(step))
    return rgba[..., :3], rgba[..., 3] > 0


def find_tissue(
    rgb: NDArray[np.uint8], present: NDArray[np.bool_], mpp: tuple[float, float]
) -> NDArray[np.bool_]:
    """Find the tissue in an overview.

    Parameters
    ----------
    rgb : uint8 array, shape (height, width, 3)
    present : bool array, shape (height, width)
        Where the scanner recorded pixels.
    mpp : (float, float)
        Micrometres per overview pixel in x and y.

    Returns
    -------
    bool array, shape (height, width)
    """
    if not present.any():
        return np.zeros_like(present)
    red, green, blue = (np.ascontiguousarray(plane) for plane in np.moveaxis(rgb, 2, 0))
    brightest = reduce(np.maximum, (red, green, blue))
    if np.median(brightest[present]) < DARK_MEDIAN:
        found = _fluorescent(brightest, present)
    else:
        found = _stained((red, green, blue), present)
    return _tidy(found, mpp) & present


def _stained(planes: Sequence[NDArray[np.uint8]], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Separate stained tissue from glass by colour: dyes absorb unevenly; glass, shadows and dust evenly."""
    red, green, blue = density = _optical_density(planes, present)
    chroma = reduce(np.maximum, density) - reduce(np.minimum, density)
    otsu: float = filters.threshold_otsu(np.clip(chroma[present], 0, 0.3))
    threshold = float(np.clip(otsu, *CHROMA_RANGE))
    # Tissue stains absorb green most, or, for brown chromogens, blue; pens absorb red, or spare green.
    blue_pen = (red > 1.15 * green) & (red > 0.25) & (red > 1.5 * blue)
    green_pen = (green < 0.75 * np.minimum(red, blue)) & (red > 0.2)
    pen = ndimage.binary_dilation(ndimage.binary_opening(blue_pen | green_pen), iterations=2)
    coloured = chroma > NEUTRAL * (red + green + blue) / 3
    stained: NDArray[np.bool_] = (chroma > threshold) & coloured & present & ~pen
    return stained


def _optical_density(
    planes: Sequence[NDArray[np.uint8]], present: NDArray[np.bool_]
) -> list[NDArray[np.float32]]:
    darkest = reduce(np.minimum, planes)
    glass = present & (darkest > BRIGHT) & (reduce(np.maximum, planes) - darkest < 20)
    # With too little glass in sight, its colour is assumed to be a neutral white.
    enough = glass.mean() > 0.005
    density = []
    for plane in planes:
        white = np.float32(np.median(plane[glass]) if enough else 243)
        smooth = ndimage.gaussian_filter(plane.astype(np.float32), 1.0)
        density.append(np.clip(-np.log((smooth + 1) / (white + 1)), 0, None))
    return density


def _fluorescent(brightness: NDArray[np.uint8], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    smooth = ndimage.gaussian_filter(np.where(present, brightness, 0).astype(np.float32), 1.0)
    values = smooth[present]
    if values.max() - values.min() < 4:
        return np.zeros_like(present)
    threshold: float = filters.threshold_triangle(values)
    return (smooth > threshold) & present


def _tidy(found: NDArray[np.bool_], mpp: tuple[float, float]) -> NDArray[np.bool_]:
    """Drop specks, close gaps and small holes, and leave a margin."""
    pixel_um2 = mpp[0] * mpp[1]
    side_um = pixel_um2**0.5
    closing = max(1, round(CLOSING_UM / side_um))
    margin = max(1, round(MARGIN_UM / side_um))
    smallest = max(4, round(SMALLEST_UM2 / pixel_um2))
    hole = max(4, round(LARGEST_HOLE_UM2 / pixel_um2))
    padded = np.pad(found, closing + 1)
    closed = ~within(~within(padded, closing), closing)
    kept = (closed | padded)[closing + 1 : -closing - 1, closing + 1 : -closing - 1]
    kept = without_small_objects(kept, max_size=smallest - 1)
    if not kept.any():
        return np.zeros_like(found)
    # Glass at the slide's edge is not a hole in the tissue, however little of it is in sight.
    holes = without_cut_objects(~kept)
    kept |= holes & ~without_small_objects(holes, max_size=hole)
    return within(kept, margin)
