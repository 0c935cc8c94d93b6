"""The look of the tissue between the nuclei: collagen, cytoplasm, fat, secretion, necrosis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.noise import noise, uniform
from wsi_seg.demo.tissue_layout import NODE_UM, Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsi_seg.demo.noise import Coordinates, Floats
    from wsi_seg.demo.tissue_layout import Ground, Layout

ADIPOCYTE_UM = 82.0
"""Spacing of the grid from which fat cells are jittered."""


@dataclass(frozen=True)
class Scene:
    """The pixels to paint.

    Attributes
    ----------
    ground : Ground
        The slide.
    layout : Layout
        Depths at the pixels, shape (height, width).
    xs, ys : ndarray, shape (width,) and (height,)
        The pixels' centres in micrometres.
    mpp : float
        Micrometres per pixel.
    """

    ground: Ground
    layout: Layout
    xs: Coordinates
    ys: Coordinates
    mpp: float

    def noise(self, scale: float, name: str) -> Floats:
        """Return one named noise at the pixels."""
        return noise(self.xs, self.ys, scale, self.ground.salt(name))

    @cached_property
    def fine(self) -> Floats:
        """Grain of about two micrometres, shared by all textures."""
        return self.noise(1.4, "fine")

    @cached_property
    def middle(self) -> Floats:
        """Mottle of about ten micrometres, shared by all textures."""
        return self.noise(7, "middle")

    @cached_property
    def broad(self) -> Floats:
        """Change over about a hundred micrometres, shared by all textures."""
        return self.noise(75, "broad")


Dye = tuple["Floats | float", "Floats | float"]
"""Amounts of haematoxylin and eosin."""


def paint(scene: Scene) -> tuple[Floats, Floats]:
    """Return the amounts of haematoxylin and eosin, shape (height, width), without any cells."""
    hematoxylin, eosin = _collagen(scene)
    for part, (texture, softness) in _TEXTURES.items():
        depth = scene.layout.depth.get(part)
        if depth is None or not (depth > -softness).any():
            continue
        cover = np.clip(depth / np.float32(max(softness, scene.mpp)) + np.float32(0.5), 0, 1)
        new_hematoxylin, new_eosin = texture(scene)
        hematoxylin += cover * (new_hematoxylin - hematoxylin)
        eosin += cover * (new_eosin - eosin)
    return hematoxylin, eosin


def _collagen(scene: Scene) -> tuple[Floats, Floats]:
    """Wavy bundles of pink fibres with white clefts between them."""
    fibre = np.sin(scene.layout.phase)
    strand = np.sin(2.3 * scene.layout.phase + 1.1 * scene.middle)
    loose = scene.noise(260, "loose") + np.float32(scene.ground.trait("loose", -0.8, 0.9))
    gaps = np.minimum(0.6 * scene.broad + 0.75 * scene.middle + 0.7 * loose, 1)
    cleft = np.clip(-2.2 * fibre - 2.3 + 0.3 * strand + gaps, 0, 1)
    mottle = 0.045 * scene.fine + 0.05 * scene.broad + 0.06 * scene.middle
    dense = np.float32(scene.ground.trait("dense", 0.44, 0.9))
    eosin = np.maximum(dense * (1 + 0.13 * fibre + 0.09 * strand - 0.12 * loose) + mottle, 0.1)
    eosin *= 1 - 0.85 * cleft
    return eosin * np.float32(scene.ground.trait("collagen blue", 0.06, 0.28)), eosin


def _desmoplasia(scene: Scene) -> Dye:
    """Pale, bluish, finely fibrous ground."""
    fibre = np.sin(1.35 * scene.layout.phase)
    pale = np.float32(scene.ground.trait("pale", 0.22, 0.36))
    eosin = pale + 0.05 * fibre + 0.035 * scene.fine + 0.035 * scene.broad
    blue = np.float32(scene.ground.trait("blue", 0.09, 0.17))
    body = 1 - _retraction(scene)
    return (blue + 0.03 * scene.middle + 0.03 * scene.broad) * body, np.maximum(eosin, 0) * body


def _retraction(scene: Scene) -> Floats | float:
    """Share of the stroma that is missing around nests, where it shrinks away from them."""
    depth = scene.layout.depth.get(Part.NEST)
    if depth is None:
        return 0.0
    gap = np.clip(1 - np.abs(depth + 3.5) / 3.5, 0, 1)
    return np.asarray(gap * np.clip(0.45 + 0.35 * scene.broad + 0.2 * scene.middle, 0, 0.8))


def _lobule(scene: Scene) -> Dye:
    """Loose stroma within a lobule."""
    fibre = np.sin(1.2 * scene.layout.phase)
    return 0.06 + 0.02 * scene.middle, 0.40 + 0.07 * fibre + 0.045 * scene.fine + 0.04 * scene.middle


def _malignant(scene: Scene) -> Dye:
    """Cytoplasm that varies over the tumour from dense and purple to clear."""
    trait = scene.ground.trait
    clear = np.clip(trait("clear", 0.1, 0.85) + 0.33 * scene.noise(190, "clear"), 0, 1)
    borders = np.clip(1.2 - 2.6 * np.abs(scene.noise(5.5, "cell borders")), 0, 1)
    body = 1 - np.float32(0.92) * clear * (1 - borders)
    blue, pink = (
        np.float32(trait("cytoplasm blue", 0.2, 0.42)),
        np.float32(trait("cytoplasm pink", 0.3, 0.55)),
    )
    return (blue + 0.05 * scene.middle) * body, (pink + 0.05 * scene.middle + 0.04 * scene.fine) * body


def _benign(scene: Scene) -> Dye:
    return 0.2 + 0.04 * scene.middle, 0.44 + 0.04 * scene.middle + 0.03 * scene.fine


def _vessel_wall(scene: Scene) -> Dye:
    return 0.1, 0.62 + 0.08 * scene.fine


def _plasma(scene: Scene) -> Dye:
    return 0.01, 0.10 + 0.02 * scene.middle


def _empty(scene: Scene) -> Dye:
    return 0.0, 0.0


def _secretion(scene: Scene) -> Dye:
    """Even and pale, with round vacuoles, shrunken away from the wall."""
    bubbles = np.clip(3.5 * scene.noise(9, "vacuoles") - 6.2, 0, 1)
    shrunk = np.clip(1.2 - scene.layout.depth[Part.SECRETION] / 2.5 + scene.middle * 0.5, 0, 0.6)
    body = (1 - 0.9 * bubbles) * (1 - shrunk)
    pink = np.float32(scene.ground.trait("secretion", 0.36, 0.56))
    return (0.085 + 0.012 * scene.broad) * body, (pink + 0.04 * scene.broad + 0.012 * scene.fine) * body


def _necrosis(scene: Scene) -> Dye:
    """Coarse, dirty, granular."""
    clumps = scene.noise(2.6, "clumps")
    eosin = 0.68 + 0.15 * clumps + 0.09 * scene.fine + 0.1 * scene.middle
    return np.maximum(0.17 + 0.1 * clumps + 0.05 * scene.middle, 0), np.maximum(eosin, 0.05)


def _fat(scene: Scene) -> Dye:
    """Empty cells with thin membranes."""
    gap = _adipocyte_gap(scene)
    width = np.float32(max(1.5, scene.mpp))
    membrane = np.clip(1.35 - gap / width, 0, 1) * np.float32(min(1.0, 1.5 / scene.mpp))
    return 0.09 * membrane, 0.012 + 0.42 * membrane * (1 + 0.2 * scene.middle)


def _adipocyte_gap(scene: Scene) -> Floats:
    """Distance to the nearest fat cell's centre less that to the second nearest, in micrometres, negated.

    Only the three centres nearest to each node of the layout are looked at for the pixels around the node.
    """
    node_column, node_row = (np.floor(p / NODE_UM).astype(np.int64) for p in (scene.xs, scene.ys))
    columns = np.arange(node_column[0], node_column[-1] + 1)
    rows = np.arange(node_row[0], node_row[-1] + 1)
    x, y = (columns[None, :] + 0.5) * NODE_UM, (rows[:, None] + 0.5) * NODE_UM
    near_x, near_y, near = [], [], []
    home_column, home_row = np.floor(x / ADIPOCYTE_UM).astype(int), np.floor(y / ADIPOCYTE_UM).astype(int)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            column, row = np.broadcast_arrays(home_column + i, home_row + j)
            jitter_x = uniform(column, row, scene.ground.salt("adipocyte x"))
            jitter_y = uniform(column, row, scene.ground.salt("adipocyte y"))
            near_x.append((column + 0.12 + 0.76 * jitter_x.astype(np.float64)) * ADIPOCYTE_UM)
            near_y.append((row + 0.12 + 0.76 * jitter_y.astype(np.float64)) * ADIPOCYTE_UM)
            near.append((near_x[-1] - x) ** 2 + (near_y[-1] - y) ** 2)
    order = np.argsort(np.stack(near), axis=0, kind="stable")[:3]
    site_x = np.take_along_axis(np.stack(near_x), order, axis=0)
    site_y = np.take_along_axis(np.stack(near_y), order, axis=0)
    return _gap(scene, site_x, site_y, node_column - columns[0], node_row - rows[0])


def _gap(
    scene: Scene,
    site_x: Coordinates,
    site_y: Coordinates,
    column: NDArray[np.int64],
    row: NDArray[np.int64],
) -> Floats:
    """Second smallest less smallest distance to three sites (3, rows, columns) of each pixel's node."""
    distances = []
    for k in range(3):
        dx = (scene.xs[None, :] - site_x[k][row][:, column]).astype(np.float32)
        dy = (scene.ys[:, None] - site_y[k][row][:, column]).astype(np.float32)
        distances.append(np.sqrt(dx * dx + dy * dy))
    first, second, third = distances
    smallest = np.minimum(np.minimum(first, second), third)
    # The middle one of three.
    middle = np.maximum(np.minimum(first, second), np.minimum(np.maximum(first, second), third))
    return np.asarray(middle - smallest)


_TEXTURES: dict[Part, tuple[Callable[[Scene], Dye], float]] = {
    Part.FAT: (_fat, 3),
    Part.DESMOPLASIA: (_desmoplasia, 45),
    Part.LOBULE: (_lobule, 8),
    Part.NEST: (_malignant, 2),
    Part.VESSEL_WALL: (_vessel_wall, 2),
    Part.VESSEL_LUMEN: (_empty, 1.5),
    Part.BLOOD: (_plasma, 1.5),
    Part.BENIGN: (_benign, 1.2),
    Part.IN_SITU: (_malignant, 1.5),
    Part.LUMEN: (_empty, 1.2),
    Part.SECRETION: (_secretion, 1.2),
    Part.NECROSIS: (_necrosis, 6),
    Part.GLASS: (_empty, 1.5),
}
"""Each part's texture, in the order of `Part`, and the width in micrometres of its transition."""
