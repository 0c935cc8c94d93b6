"""A generated H&E-like breast slide with exact truth, drawn block by block.

Every pixel is a pure function of the tissue's seed and its place: a block is drawn without any other, and
neighbours join exactly. `anatomy` makes the layout, `paint` the texture, `populations` the cells, and `stain`
the colours; this module combines them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.anatomy import lay_out
from wsi_seg.demo.cells import CELL_REACH, draw_cells, join
from wsi_seg.demo.dye_colours import Dyes, Stain, blur, blur_margin
from wsi_seg.demo.noise import noise
from wsi_seg.demo.paint import Scene, paint
from wsi_seg.demo.populations import SNAP_REACH, Populations, dust
from wsi_seg.demo.tissue_layout import NODE_UM, Ground
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.demo.cells import Cells
    from wsi_seg.demo.noise import Floats

GENERATOR_VERSION = 1
"""It is increased whenever the same seed would give other pixels."""

BLOCK = 512
"""Side in pixels of the blocks in which a rectangle is drawn, so that they fit the processor's cache."""


@dataclass(frozen=True)
class Tissue:
    """A generated slide.

    Parameters
    ----------
    seed : int
        Seed of the slide.
    width_um, height_um : float
        Size of the slide in micrometres.
    stain : Stain
        The laboratory's stain and the scanner.
    tissue_everywhere : bool
        Whether there is no glass around the tissue.
    pen : bool
        Whether there is a pen mark over the top-left corner.
    """

    seed: int
    width_um: float
    height_um: float
    stain: Stain = field(default_factory=Stain)
    tissue_everywhere: bool = False
    pen: bool = False

    @property
    def ground(self) -> Ground:
        """The values from which the layout is drawn."""
        return Ground(self.seed, self.width_um, self.height_um, self.tissue_everywhere)

    def render(self, rect: Rect, mpp: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw a rectangle.

        Parameters
        ----------
        rect : Rect
            In pixels of `mpp` micrometres; pixel (0, 0) is the slide's top-left one.
        mpp : float
            Micrometres per pixel.

        Returns
        -------
        rgb : ndarray, shape (height, width, 3), uint8
        labels : ndarray, shape (height, width), uint8
            Class ids of the schema ``breast-biopsy`` at the pixels' centres.
        """
        rgb = np.empty((rect.height, rect.width, 3), np.uint8)
        labels = np.empty((rect.height, rect.width), np.uint8)
        for y0 in range(rect.y0, rect.y1, BLOCK):
            for x0 in range(rect.x0, rect.x1, BLOCK):
                block = Rect(y0, x0, min(y0 + BLOCK, rect.y1), min(x0 + BLOCK, rect.x1))
                where = block.relative_to(rect).slices
                rgb[where], labels[where] = _Block(self, block, mpp).draw()
        return rgb, labels


class _Block:
    """One block on its way from layout to colours.

    The dyes are drawn on the block with `margin` pixels around it, which the blur needs.
    """

    def __init__(self, tissue: Tissue, block: Rect, mpp: float) -> None:
        self._tissue, self._ground, self._mpp = tissue, tissue.ground, mpp
        self._sigma = tissue.stain.blur_um / mpp
        self._margin = blur_margin(self._sigma)
        self._block, self._padded = block, block.padded(self._margin)
        self._xs = (np.arange(self._padded.x0, self._padded.x1) + 0.5) * mpp
        self._ys = (np.arange(self._padded.y0, self._padded.y1) + 0.5) * mpp
        self._cell_rect = self._rect_um(CELL_REACH + SNAP_REACH + mpp)
        self._nodes = lay_out(self._ground, *self._rect_um(CELL_REACH + 2 * SNAP_REACH + mpp + 2 * NODE_UM))

    def draw(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        layout = self._nodes.at_pixels(self._xs, self._ys)
        inner = self._block.relative_to(self._padded).slices
        labels = layout.labels()[inner]
        scene = Scene(self._ground, layout, self._xs, self._ys, self._mpp)
        hematoxylin, eosin = paint(scene)
        populations = Populations(self._ground, self._nodes, self._cell_rect)
        nuclei = populations.nuclei()
        if nuclei:
            chromatin = self._draw_cells(join(nuclei))
            np.maximum(hematoxylin, chromatin * (1 + np.float32(0.17) * scene.fine), out=hematoxylin)
            eosin *= 1 - np.float32(0.45) * np.minimum(chromatin, 1)
        red_cells, ink = populations.red_cells(), self._ink()
        dyes = Dyes(
            hematoxylin=blur(hematoxylin, self._sigma),
            eosin=blur(eosin, self._sigma),
            red_cells=None if red_cells is None else blur(self._draw_cells(red_cells), self._sigma),
            ink=None if ink is None else ink[inner],
        )
        first_xy = self._block.x0, self._block.y0
        return self._tissue.stain.develop(dyes, first_xy, self._ground.salt("sensor")), labels

    def _rect_um(self, reach: float) -> tuple[float, float, float, float]:
        xs, ys = self._xs, self._ys
        return xs[0] - reach, ys[0] - reach, xs[-1] + reach, ys[-1] + reach

    def _draw_cells(self, cells: Cells) -> Floats:
        canvas = np.zeros((self._padded.height, self._padded.width), np.float32)
        draw_cells(canvas, cells, (self._padded.x0, self._padded.y0), self._mpp)
        return canvas

    def _ink(self) -> Floats | None:
        """Dust, and the pen mark: a band across the top-left corner of the slide."""
        specks = dust(self._ground, self._cell_rect)
        ink = None if specks is None else self._draw_cells(specks)
        if self._tissue.pen:
            short = min(self._tissue.width_um, self._tissue.height_um)
            wobble = 0.02 * short * noise(self._xs, self._ys, 0.1 * short, self._ground.salt("pen"))
            line = np.abs(self._xs[None, :] + self._ys[:, None] - 0.19 * short + wobble) / 2**0.5
            band = np.clip((0.018 * short - line) / 6, 0, 1).astype(np.float32)
            if band.any():
                streaks = noise(self._xs, self._ys, 0.012 * short, self._ground.salt("pen streaks"))
                band *= np.clip(0.72 + 0.09 * streaks, 0, 1)
                ink = band if ink is None else np.maximum(ink, band)
        return ink
