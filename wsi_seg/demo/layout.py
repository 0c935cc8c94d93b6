"""Where everything lies in a generated breast slide: ducts, tumours, fat, vessels, as smooth depth fields.

The layout is worked out on nodes `NODE_UM` apart. A *depth* is roughly the distance in micrometres to the
border of a part, positive inside. Objects sit on jittered grids: one per grid cell, drawn from a hash of
the cell's coordinates, so a block finds the objects that reach into it without knowing any other block.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.noise import interpolate, linear_weights, noise, noise_at, salted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.demo.noise import Coordinates, Floats

NODE_UM = 4.0
"""Distance of the layout's nodes in micrometres."""

FAR = -200.0
"""Depth far outside a part, in micrometres."""


class Part(IntEnum):
    """Parts of the tissue in the order in which they cover each other; normal stroma lies beneath all."""

    FAT = 0
    DESMOPLASIA = 1
    NEST = 2
    LOBULE = 3
    VESSEL_WALL = 4
    VESSEL_LUMEN = 5
    BLOOD = 6
    BENIGN = 7
    IN_SITU = 8
    LUMEN = 9
    SECRETION = 10
    NECROSIS = 11
    GLASS = 12


CLASS_OF_PART = {
    Part.FAT: 0,
    Part.DESMOPLASIA: 4,
    Part.NEST: 2,
    Part.LOBULE: 3,
    Part.VESSEL_WALL: 3,
    Part.VESSEL_LUMEN: 0,
    Part.BLOOD: 6,
    Part.BENIGN: 1,
    Part.IN_SITU: 2,
    Part.LUMEN: 0,
    Part.SECRETION: 5,
    Part.NECROSIS: 7,
    Part.GLASS: 0,
}
"""Id of each part in the class schema ``breast-biopsy``. Fat and empty lumina are Background, as in the
published data set of that schema."""

NORMAL_STROMA = 3

BENIGN_WALL = 17.0
"""Thickness of benign epithelium, two layers of cells, in micrometres."""


@dataclass(frozen=True)
class Ground:
    """What the layout is drawn from.

    Attributes
    ----------
    seed : int
        Which slide.
    width_um, height_um : float
        Size of the slide in micrometres.
    tissue_everywhere : bool
        No glass around the tissue.
    """

    seed: int
    width_um: float
    height_um: float
    tissue_everywhere: bool

    def salt(self, purpose: str) -> int:
        """Return the salt of one purpose."""
        return salted(self.seed, purpose)


@dataclass(frozen=True)
class Layout:
    """Depth of each part that occurs, and the phase of the collagen fibres.

    All arrays have one shape: nodes (rows, columns), pixels (height, width) or points (n,).
    """

    depth: dict[Part, Floats]
    phase: Floats

    def labels(self) -> NDArray[np.uint8]:
        """Return the class of each position: that of the topmost part it lies in."""
        labels = np.full(self.phase.shape, NORMAL_STROMA, np.uint8)
        for part in Part:
            if part in self.depth:
                np.copyto(labels, np.uint8(CLASS_OF_PART[part]), where=self.depth[part] > 0)
        return labels

    def topmost(self) -> NDArray[np.int8]:
        """Return the topmost `Part` at each position, -1 in bare stroma."""
        top = np.full(self.phase.shape, -1, np.int8)
        for part in Part:
            if part in self.depth:
                np.copyto(top, np.int8(part), where=self.depth[part] > 0)
        return top


class NodeLayout:
    """The layout on the nodes that cover a rectangle, ready to be taken to pixels or points.

    Parameters
    ----------
    ground : Ground
        Which slide.
    x0, y0, x1, y1 : float
        The rectangle in micrometres.
    """

    def __init__(self, ground: Ground, x0: float, y0: float, x1: float, y1: float) -> None:
        first_column, first_row = int(np.floor(x0 / NODE_UM)), int(np.floor(y0 / NODE_UM))
        columns = int(np.ceil(x1 / NODE_UM)) + 1 - first_column
        rows = int(np.ceil(y1 / NODE_UM)) + 1 - first_row
        self._first = first_column, first_row
        self._shape = rows, columns
        xs = np.arange(first_column, first_column + columns) * NODE_UM
        ys = np.arange(first_row, first_row + rows) * NODE_UM
        self.layout = _lay_out(ground, xs, ys)

    def at_pixels(self, xs: Coordinates, ys: Coordinates) -> Layout:
        """Interpolate to the grid that `xs` and `ys` (micrometres) span."""
        across = linear_weights(xs / NODE_UM, self._first[0], self._shape[1])
        down = linear_weights(ys / NODE_UM, self._first[1], self._shape[0])
        depth = {part: interpolate(field, down, across) for part, field in self.layout.depth.items()}
        return Layout(depth, interpolate(self.layout.phase, down, across))

    def at_points(self, x: Coordinates, y: Coordinates) -> Layout:
        """Interpolate to points, shape (n,), in micrometres."""
        return Layout(
            {part: self.sample(field, x, y) for part, field in self.layout.depth.items()},
            self.sample(self.layout.phase, x, y),
        )

    def sample(self, field: Floats, x: Coordinates, y: Coordinates) -> Floats:
        """Interpolate one field, given on the nodes, to points."""
        u, v = x / NODE_UM, y / NODE_UM
        column, row = np.floor(u), np.floor(v)
        fu, fv = (u - column).astype(np.float32), (v - row).astype(np.float32)
        i, j = column.astype(np.int64) - self._first[0], row.astype(np.int64) - self._first[1]
        top = field[j, i] * (1 - fu) + field[j, i + 1] * fu
        bottom = field[j + 1, i] * (1 - fu) + field[j + 1, i + 1] * fu
        return np.asarray(top * (1 - fv) + bottom * fv)

    def gradient(self, field: Floats, x: Coordinates, y: Coordinates) -> tuple[Floats, Floats]:
        """Direction, as a unit vector (x, y), in which a field grows at points."""
        step = NODE_UM / 2
        gx = self.sample(field, x + step, y) - self.sample(field, x - step, y)
        gy = self.sample(field, x, y + step) - self.sample(field, x, y - step)
        length = np.maximum(np.hypot(gx, gy), np.float32(1e-6))
        return gx / length, gy / length


@dataclass(frozen=True)
class Blob:
    """An ellipse: centre and semi-axes in micrometres, direction of the first axis in radians."""

    x: float
    y: float
    a: float
    b: float
    angle: float

    def window(self, xs: Coordinates, ys: Coordinates, reach: float) -> tuple[slice, slice]:
        """Part of a node grid (rows, columns) within `reach` micrometres of the ellipse's circle."""
        r = max(self.a, self.b) + reach
        columns = slice(*np.searchsorted(xs, [self.x - r, self.x + r]).tolist())
        rows = slice(*np.searchsorted(ys, [self.y - r, self.y + r]).tolist())
        return rows, columns

    def depth(self, x: Coordinates, y: Coordinates) -> Coordinates:
        """Depth in micrometres at positions that broadcast together."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        u, v = (x - self.x) * c + (y - self.y) * s, (y - self.y) * c - (x - self.x) * s
        ellipse = np.sqrt((u / self.a) ** 2 + (v / self.b) ** 2)
        # Divided by the gradient's length, so that walls are equally thick at the ends of long ellipses.
        slope = np.sqrt((u / self.a**2) ** 2 + (v / self.b**2) ** 2) / np.maximum(ellipse, 1e-6)
        return np.asarray((1 - ellipse) / np.maximum(slope, 1 / max(self.a, self.b)))


class Draw:
    """Random numbers of one site of a jittered grid; each name is drawn anew and independently."""

    def __init__(self, ground: Ground, site: str) -> None:
        self._ground, self._site = ground, site

    def __call__(self, name: str, low: float = 0.0, high: float = 1.0) -> float:
        """Draw one number between `low` and `high`."""
        return low + (high - low) * self._ground.salt(f"{self._site}/{name}") / 2**32


@dataclass(frozen=True)
class Sites:
    """A jittered grid: one site a cell of `spacing` micrometres."""

    name: str
    spacing: float
    reach: float

    def near(self, ground: Ground, xs: Coordinates, ys: Coordinates) -> Iterator[tuple[float, float, Draw]]:
        """Yield x, y and a `Draw` of each site within reach of the node grid."""
        columns = range(*_cells(xs, self.spacing, self.reach))
        for row in range(*_cells(ys, self.spacing, self.reach)):
            for column in columns:
                draw = Draw(ground, f"{self.name}/{column}/{row}")
                yield (
                    (column + draw("x", 0.12, 0.88)) * self.spacing,
                    (row + draw("y", 0.12, 0.88)) * self.spacing,
                    draw,
                )


def _cells(positions: Coordinates, spacing: float, reach: float) -> tuple[int, int]:
    low, high = positions[0] - reach, positions[-1] + reach
    return int(np.floor(low / spacing)), int(np.floor(high / spacing)) + 1


TUMOURS = Sites("tumour", spacing=1700, reach=1100)
FAT_LOBULES = Sites("fat", spacing=1150, reach=800)
DUCTS = Sites("duct", spacing=430, reach=460)
BLEEDINGS = Sites("bleeding", spacing=1050, reach=420)
VESSELS = Sites("vessel", spacing=260, reach=120)
HOLES = Sites("hole", spacing=52, reach=60)


def _lay_out(ground: Ground, xs: Coordinates, ys: Coordinates) -> Layout:
    """Work out the depth of every part on a node grid, and leave out the parts that do not occur."""
    x, y = xs[None, :], ys[:, None]
    wobble = 2.2 * noise(xs, ys, 14, ground.salt("wobble")) + 1.0 * noise(xs, ys, 6, ground.salt("wobble 2"))
    tumour = _tumour(ground, xs, ys, x, y, noise(xs, ys, 130, ground.salt("tumour border")))
    ducts = _ducts(ground, xs, ys, wobble)
    around_ducts = np.maximum(ducts[Part.BENIGN], ducts[Part.IN_SITU])
    fat = _union(ground, FAT_LOBULES, xs, ys, 90 * noise(xs, ys, 110, ground.salt("fat border")))
    edge = 12 * noise(xs, ys, 30, ground.salt("soft edges"))
    fat = np.minimum(fat, np.minimum(-tumour - 120, -around_ducts - 38)) + edge

    depth = dict(ducts)
    depth[Part.FAT] = fat
    depth[Part.DESMOPLASIA] = np.minimum(tumour + 75, -fat) + edge
    depth[Part.NEST] = np.minimum(tumour, _growth(ground, xs, ys)) + wobble
    depth |= _vessels(ground, xs, ys, wobble, np.maximum(depth[Part.FAT], around_ducts + 12))
    if not ground.tissue_everywhere:
        depth[Part.GLASS] = -_outline(ground, xs, ys, x, y)
    phase = _fibre_phase(ground, xs, ys, x, y)
    present = {p: np.asarray(f, np.float32) for p, f in depth.items() if float(f.max()) > -NODE_UM}
    return Layout(present, phase)


def _outline(ground: Ground, xs: Coordinates, ys: Coordinates, x: Coordinates, y: Coordinates) -> Coordinates:
    """Depth within the tissue: a rounded rectangle with a bent border and ragged edges."""
    short = min(ground.width_um, ground.height_um)
    u, v = 2 * x / ground.width_um - 1, 2 * y / ground.height_um - 1
    smooth = (0.88 - (np.abs(u) ** 3.2 + np.abs(v) ** 3.2) ** (1 / 3.2)) * short / 2
    bends = 0.035 * short * noise(xs, ys, 0.14 * short, ground.salt("outline"))
    ragged = 9 * noise(xs, ys, 32, ground.salt("ragged")) + 4 * noise(xs, ys, 11, ground.salt("frayed"))
    return np.asarray(smooth + bends + ragged)


def _tumour(
    ground: Ground,
    xs: Coordinates,
    ys: Coordinates,
    x: Coordinates,
    y: Coordinates,
    border_noise: Floats,
) -> Coordinates:
    """Depth within the invasive tumours, at positions `x`, `y` inside the range of `xs`, `ys`."""
    depth = np.full(np.broadcast_shapes(x.shape, y.shape), FAR)
    for site_x, site_y, draw in TUMOURS.near(ground, xs, ys):
        blob = Blob(site_x, site_y, draw("a", 430, 640), draw("b", 330, 520), draw("angle", 0, np.pi))
        np.maximum(depth, blob.depth(x, y), out=depth)
    return np.asarray(depth + 70 * border_noise)


def _growth(ground: Ground, xs: Coordinates, ys: Coordinates) -> Coordinates:
    """Depth within the tumour's epithelium: rounded nests here, trabeculae and cords there."""
    crowding = 0.35 + 0.45 * noise(xs, ys, 380, ground.salt("crowding"))
    nests = 30 * (noise(xs, ys, 50, ground.salt("nests")) + crowding)
    ridge = noise(xs, ys, 72, ground.salt("cords")) + 0.2 * noise(xs, ys, 24, ground.salt("cords 2"))
    cords = 42 * (0.35 + 0.5 * crowding - np.abs(ridge))
    style = 1 / (1 + np.exp(-4 * noise(xs, ys, 260, ground.salt("growth"))))
    return np.asarray(style * nests + (1 - style) * cords)


def _union(ground: Ground, sites: Sites, xs: Coordinates, ys: Coordinates, border: Floats) -> Coordinates:
    """Depth within large blobs of one kind."""
    depth = np.full((len(ys), len(xs)), FAR)
    for x, y, draw in sites.near(ground, xs, ys):
        blob = Blob(x, y, draw("a", 240, 520), draw("b", 180, 360), draw("angle", 0, np.pi))
        np.maximum(depth, blob.depth(xs[None, :], ys[:, None]), out=depth)
    return depth + border


def _ducts(ground: Ground, xs: Coordinates, ys: Coordinates, wobble: Floats) -> dict[Part, Coordinates]:
    """Depths within the ducts and what they hold: benign ones alone and in lobules, and carcinoma in situ."""
    parts = (Part.BENIGN, Part.IN_SITU, Part.LOBULE, Part.LUMEN, Part.SECRETION, Part.NECROSIS)
    depth = {part: np.full((len(ys), len(xs)), FAR) for part in parts}
    folds = noise(xs, ys, 24, ground.salt("folds"))

    def add(part: Part, where: tuple[slice, slice], values: Coordinates) -> None:
        np.maximum(depth[part][where], values, out=depth[part][where])

    for x, y, draw in DUCTS.near(ground, xs, ys):
        kind = draw("kind")
        in_situ = kind > 0.7
        if kind < 0.08 or not _room_for_duct(ground, x, y, in_situ):
            continue
        content = Part.SECRETION if draw("content") < 0.62 else Part.LUMEN
        if in_situ:
            blob = Blob(x, y, draw("a", 95, 190), draw("b", 80, 140), draw("angle", 0, np.pi))
            where = blob.window(xs, ys, 60)
            if not folds[where].size:
                continue
            inside: Coordinates = blob.depth(xs[None, where[1]], ys[where[0], None])
            inside = inside + 9 * folds[where] + wobble[where]
            add(Part.IN_SITU, where, inside)
            if kind > 0.83:
                add(Part.NECROSIS, where, inside - draw("rim", 38, 58) + 5 * folds[where])
            elif kind > 0.75:
                holes = _holes(ground, xs[where[1]], ys[where[0]])
                add(content, where, np.minimum(inside - 22, holes) + wobble[where])
            continue
        for part_of_lobule, blob in _benign_blobs(x, y, draw, kind):
            where = blob.window(xs, ys, 60)
            inside = blob.depth(xs[None, where[1]], ys[where[0], None])
            if part_of_lobule:
                add(Part.LOBULE, where, inside + 14 + 6 * folds[where])
                inside = inside + 2 * folds[where] + wobble[where] * 0.6
            else:
                inside = inside + 8 * folds[where] + wobble[where] * 0.6
            add(Part.BENIGN, where, inside)
            add(content, where, inside - BENIGN_WALL + wobble[where] * 0.5)
    return depth


def _room_for_duct(ground: Ground, x: float, y: float, in_situ: bool) -> bool:
    """Say whether a duct fits at a site: within the tissue and, if benign, away from the tumour."""
    if in_situ:
        return True
    at_x, at_y = np.array([x]), np.array([y])
    border = noise_at(at_x, at_y, 130, ground.salt("tumour border"))
    return float(_tumour(ground, at_x, at_y, at_x, at_y, border)[0]) < -170


def _benign_blobs(x: float, y: float, draw: Draw, kind: float) -> Iterator[tuple[bool, Blob]]:
    """Yield the outlines of a benign duct, or of the acini of a lobule, and whether it is a lobule's."""
    if kind < 0.3:
        yield False, Blob(x, y, draw("a", 60, 120), draw("b", 42, 75), draw("angle", 0, np.pi))
        return
    if kind < 0.4:
        yield False, Blob(x, y, draw("a", 150, 210), draw("b", 30, 42), draw("angle", 0, np.pi))
        return
    for i in range(5 + int(draw("acini", 0, 11))):
        # Sunflower order: evenly spread, and a larger lobule is the same with more acini around it.
        radius, angle = 41 * np.sqrt(i + 0.3), 2.4 * i + draw("turn", 0, 6)
        yield (
            True,
            Blob(
                x + radius * np.cos(angle),
                y + radius * np.sin(angle),
                draw(f"a{i}", 26, 41),
                draw(f"b{i}", 23, 33),
                draw(f"angle{i}", 0, np.pi),
            ),
        )


def _holes(ground: Ground, xs: Coordinates, ys: Coordinates) -> Coordinates:
    """Depth within the round holes that make an in-situ carcinoma cribriform."""
    depth = np.full((len(ys), len(xs)), FAR)
    for x, y, draw in HOLES.near(ground, xs, ys):
        blob = Blob(x, y, draw("a", 11, 19), draw("b", 10, 16), draw("angle", 0, np.pi))
        where = blob.window(xs, ys, 30)
        values = blob.depth(xs[None, where[1]], ys[where[0], None])
        np.maximum(depth[where], values, out=depth[where])
    return depth


def _vessels(
    ground: Ground, xs: Coordinates, ys: Coordinates, wobble: Floats, occupied: Coordinates
) -> dict[Part, Coordinates]:
    """Depths within vessels' walls, within their lumina, and within blood, in vessels or bled out."""
    wall, blood, empty = (np.full((len(ys), len(xs)), FAR) for _ in range(3))
    ragged = noise(xs, ys, 34, ground.salt("bleeding border"))
    for x, y, draw in VESSELS.near(ground, xs, ys):
        if draw("there") < 0.45:
            continue
        size = draw("size")
        radius = 11 + 26 * size**3
        blob = Blob(x, y, radius * draw("long", 1, 2.4), radius, draw("angle", 0, np.pi))
        where = blob.window(xs, ys, 30)
        inside = blob.depth(xs[None, where[1]], ys[where[0], None]) + 0.5 * wobble[where]
        np.maximum(wall[where], inside + 4 + 5 * size, out=wall[where])
        held = blood if draw("held") < 0.62 else empty
        np.maximum(held[where], inside, out=held[where])
    for x, y, draw in BLEEDINGS.near(ground, xs, ys):
        blob = Blob(x, y, draw("a", 70, 190), draw("b", 40, 80), draw("angle", 0, np.pi))
        where = blob.window(xs, ys, 120)
        inside = blob.depth(xs[None, where[1]], ys[where[0], None]) + 24 * ragged[where] + wobble[where]
        np.maximum(blood[where], inside, out=blood[where])
    return {
        Part.VESSEL_WALL: np.minimum(wall, -occupied),
        Part.VESSEL_LUMEN: np.minimum(empty, -occupied),
        Part.BLOOD: np.minimum(blood, -occupied),
    }


def _fibre_phase(ground: Ground, xs: Coordinates, ys: Coordinates, x: Coordinates, y: Coordinates) -> Floats:
    """Phase of the collagen fibres: their lines of equal phase run roughly parallel, and swirl."""
    angle = salted(ground.seed, "fibres") / 2**32 * 2 * np.pi
    ramp = (x * np.cos(angle) + y * np.sin(angle)) / 5.0
    swirl = 60 * noise(xs, ys, 330, ground.salt("swirl")) + 9 * noise(xs, ys, 60, ground.salt("swirl 2"))
    waves = 1.7 * noise(xs, ys, 17, ground.salt("waves"))
    return np.asarray(ramp + swirl + waves, np.float32)
