"""Nuclei and red blood cells: where they sit, what they look like, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.layout import Part
from wsi_seg.demo.noise import noise_at, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsi_seg.demo.layout import Ground, NodeLayout
    from wsi_seg.demo.noise import Coordinates, Floats

CELL_REACH = 12.0
"""How far from its centre a cell is drawn at most, in micrometres."""

SNAP_REACH = 8.0
"""How far a nucleus is moved at most to line up with a wall, in micrometres."""


@dataclass(frozen=True)
class Cells:
    """Ellipses with a profile; all arrays have shape (n,).

    Attributes
    ----------
    x, y : ndarray
        Centres in micrometres.
    a, b : ndarray
        Semi-axes in micrometres.
    cos, sin : ndarray
        Direction of the first axis.
    strength : ndarray
        Amount of dye at the rim.
    hollow : ndarray
        Share of the dye that the middle lacks: 0 for smudged, 0.6 for vesicular nuclei.
    nucleolus : ndarray
        Amount of dye added in a spot.
    lump : ndarray
        How far from an ellipse the outline is, 0 to 0.3.
    """

    x: Coordinates
    y: Coordinates
    a: Floats
    b: Floats
    cos: Floats
    sin: Floats
    strength: Floats
    hollow: Floats
    nucleolus: Floats
    lump: Floats

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Cells:
        """Return some of the cells."""
        return Cells(*(getattr(self, f.name)[index] for f in fields(self)))


def join(groups: list[Cells]) -> Cells:
    """Return all cells of several groups; there must be at least one group."""
    return Cells(*(np.concatenate([getattr(g, f.name) for g in groups]) for f in fields(Cells)))


class Seeds:
    """Candidate cells of one population: a jittered grid cut down to one part of the tissue.

    Parameters
    ----------
    ground : Ground
        Which slide.
    nodes : NodeLayout
        The layout around the block.
    name : str
        Name of the population.
    spacing : float
        Distance of the grid in micrometres.
    rect_um : tuple of float
        x0, y0, x1, y1 of the block with the cells' reach around it.
    """

    def __init__(
        self, ground: Ground, nodes: NodeLayout, name: str, spacing: float, rect_um: tuple[float, ...]
    ) -> None:
        self._ground, self._nodes, self._name = ground, nodes, name
        x0, y0, x1, y1 = rect_um
        columns = np.arange(np.floor(x0 / spacing), np.ceil(x1 / spacing), dtype=np.int64)
        rows = np.arange(np.floor(y0 / spacing), np.ceil(y1 / spacing), dtype=np.int64)
        self._column, self._row = (g.ravel() for g in np.meshgrid(columns, rows))
        self.x = (self._column + 0.14 + 0.72 * self.random("x").astype(np.float64)) * spacing
        self.y = (self._row + 0.14 + 0.72 * self.random("y").astype(np.float64)) * spacing
        self.keep((self.x >= x0) & (self.x < x1) & (self.y >= y0) & (self.y < y1))

    def __len__(self) -> int:
        return len(self.x)

    def random(self, name: str, low: float = 0.0, high: float = 1.0) -> Floats:
        """Give each candidate a number between `low` and `high`."""
        values = uniform(self._column, self._row, self._ground.salt(f"{self._name}/{name}"))
        return np.float32(low) + np.float32(high - low) * values

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the candidates that `mask` does not hold."""
        self._column, self._row = self._column[mask], self._row[mask]
        self.x, self.y = self.x[mask], self.y[mask]

    def depth(self, part: Part) -> Floats:
        """Depth of each candidate in a part that occurs."""
        return self._nodes.sample(self._nodes.layout.depth[part], self.x, self.y)

    def keep_within(self, part: Part, margin: float = 0.0) -> None:
        """Keep what lies deeper than `margin` in a part, with nothing over it."""
        self.keep(self.depth(part) > margin)
        self.keep(self._nodes.at_points(self.x, self.y).topmost() == part)

    def keep_bare(self) -> None:
        """Keep what lies in bare stroma."""
        self.keep(self._nodes.at_points(self.x, self.y).topmost() == -1)

    def along(self, field: Floats) -> tuple[Floats, Floats]:
        """Direction in which a field on the nodes grows, as unit vectors."""
        return self._nodes.gradient(field, self.x, self.y)

    def snap(self, part: Part, target: Floats) -> None:
        """Move candidates up or down the depth of a part towards `target` micrometres."""
        gx, gy = self.along(self._nodes.layout.depth[part])
        step = np.clip(target - self.depth(part), -SNAP_REACH, SNAP_REACH)
        self.x, self.y = self.x + gx * step, self.y + gy * step

    def cells(
        self,
        a: Floats,
        b: Floats,
        direction: tuple[Floats, Floats] | None,
        strength: Floats,
        hollow: float = 0.0,
        nucleolus: Floats | float = 0.0,
        lump: float = 0.1,
    ) -> Cells:
        """Turn the candidates into cells; without a direction they point anywhere."""
        if direction is None:
            angle = self.random("angle", 0, 2 * np.pi)
            direction = np.cos(angle), np.sin(angle)
        n = len(self)

        def spread(value: Floats | float) -> Floats:
            return np.broadcast_to(np.asarray(value, np.float32), (n,))

        uneven = spread(hollow) * self.random("hollow", 0.6, 1.4)
        lumps = spread(lump) * self.random("lump", -1, 1)
        return Cells(self.x, self.y, a, b, *direction, strength, uneven, spread(nucleolus), lumps)


@dataclass(frozen=True)
class Populations:
    """All cells that reach into a block."""

    ground: Ground
    nodes: NodeLayout
    rect_um: tuple[float, float, float, float]

    def nuclei(self) -> list[Cells]:
        """Return the groups of nuclei that occur."""
        present = self.nodes.layout.depth
        groups = [self._fibroblasts()]
        makers: list[tuple[Part, Callable[[], Cells]]] = [
            (Part.BENIGN, self._benign),
            (Part.NEST, lambda: self._malignant(Part.NEST)),
            (Part.IN_SITU, lambda: self._malignant(Part.IN_SITU)),
            (Part.DESMOPLASIA, self._plump_fibroblasts),
            (Part.DESMOPLASIA, lambda: self._lymphocytes(Part.DESMOPLASIA)),
            (Part.LOBULE, lambda: self._lymphocytes(Part.LOBULE)),
            (Part.VESSEL_WALL, self._endothelium),
            (Part.NECROSIS, self._debris),
        ]
        groups += [make() for part, make in makers if part in present]
        return [g for g in groups if len(g)]

    def red_cells(self) -> Cells | None:
        """Return the red blood cells, if there are any."""
        if Part.BLOOD not in self.nodes.layout.depth:
            return None
        seeds = self._seeds("red", 5.9)
        seeds.keep_within(Part.BLOOD, margin=1)
        cells = seeds.cells(
            seeds.random("a", 3.2, 3.9),
            seeds.random("b", 2.6, 3.5),
            None,
            seeds.random("strength", 0.75, 1.15),
            hollow=0.22,
            lump=0.05,
        )
        return cells if len(cells) else None

    def _seeds(self, name: str, spacing: float) -> Seeds:
        return Seeds(self.ground, self.nodes, name, spacing, self.rect_um)

    def _benign(self) -> Cells:
        """Two rows along the wall: flat myoepithelial nuclei outside, tall luminal ones inside."""
        seeds = self._seeds("benign", 6.3)
        seeds.keep_within(Part.BENIGN)
        inner = seeds.random("row") < 0.62
        seeds.snap(Part.BENIGN, np.where(inner, seeds.random("in", 8.8, 11.6), seeds.random("out", 2.8, 4)))
        gx, gy = seeds.along(self.nodes.layout.depth[Part.BENIGN])
        across = np.where(inner, gx, -gy), np.where(inner, gy, gx)
        return seeds.cells(
            np.where(inner, seeds.random("a", 3.4, 4.6), seeds.random("a", 3.0, 4.4)),
            np.where(inner, seeds.random("b", 2.3, 3.0), seeds.random("b", 1.5, 2.1)),
            across,
            np.where(inner, seeds.random("strength", 1.0, 1.45), seeds.random("strength", 1.3, 1.7)),
            hollow=0.2,
        )

    def _malignant(self, part: Part) -> Cells:
        """Large, crowded, vesicular nuclei of varied size and stain, with nucleoli."""
        seeds = self._seeds(f"malignant {part.name}", 9.2)
        seeds.keep_within(part, margin=0.8)
        seeds.keep(seeds.random("there") < 0.96)
        grade = noise_at(seeds.x, seeds.y, 420, self.ground.salt("grade")).astype(np.float32)
        size = np.clip(1 + 0.1 * grade, 0.85, 1.25) * seeds.random("size", 0.78, 1.25)
        dark = seeds.random("dark") < 0.14
        return seeds.cells(
            size * seeds.random("a", 4.2, 5.6),
            size * seeds.random("b", 3.3, 4.4),
            None,
            np.where(dark, seeds.random("strength", 1.6, 2.2), seeds.random("strength", 0.95, 1.5)),
            hollow=0.42,
            nucleolus=np.where(seeds.random("nucleolus") < 0.6, np.float32(0.7), np.float32(0)),
            lump=0.25,
        )

    def _across_fibres(self, seeds: Seeds) -> tuple[Floats, Floats]:
        gx, gy = seeds.along(self.nodes.layout.phase)
        return -gy, gx

    def _fibroblasts(self) -> Cells:
        """Sparse thin spindles along the collagen."""
        seeds = self._seeds("fibroblast", 21)
        seeds.keep_bare()
        seeds.keep(seeds.random("there") < 0.62)
        return seeds.cells(
            seeds.random("a", 4, 8),
            seeds.random("b", 1.0, 1.8),
            self._across_fibres(seeds),
            seeds.random("strength", 1.0, 1.6),
            lump=0.2,
        )

    def _plump_fibroblasts(self) -> Cells:
        """Many swollen spindles, as in stroma that reacts to a tumour."""
        seeds = self._seeds("plump", 14)
        seeds.keep_within(Part.DESMOPLASIA)
        seeds.keep(seeds.random("there") < 0.8)
        return seeds.cells(
            seeds.random("a", 4, 7),
            seeds.random("b", 1.6, 2.7),
            self._across_fibres(seeds),
            seeds.random("strength", 0.8, 1.4),
            hollow=0.25,
            lump=0.2,
        )

    def _lymphocytes(self, part: Part) -> Cells:
        """Small round dark nuclei in loose crowds."""
        seeds = self._seeds(f"lymphocyte {part.name}", 8)
        seeds.keep_within(part, margin=3)
        crowd = noise_at(seeds.x, seeds.y, 48, self.ground.salt("crowds")).astype(np.float32)
        seeds.keep(seeds.random("there") < np.clip(0.55 * (crowd - 0.9), 0.015, 0.6))
        return seeds.cells(
            seeds.random("a", 2.7, 3.4),
            seeds.random("b", 2.5, 3.1),
            None,
            seeds.random("strength", 1.5, 2.1),
            lump=0.06,
        )

    def _endothelium(self) -> Cells:
        seeds = self._seeds("endothelium", 8)
        seeds.keep_within(Part.VESSEL_WALL)
        gx, gy = seeds.along(self.nodes.layout.depth[Part.VESSEL_WALL])
        return seeds.cells(
            seeds.random("a", 3.5, 5.5),
            seeds.random("b", 1.2, 1.7),
            (-gy, gx),
            seeds.random("strength", 1.1, 1.6),
        )

    def _debris(self) -> Cells:
        """Dust of broken nuclei, and a few shrunken whole ones."""
        seeds = self._seeds("debris", 5.2)
        seeds.keep_within(Part.NECROSIS, margin=1)
        seeds.keep(seeds.random("there") < 0.6)
        size = np.where(seeds.random("whole") < 0.12, np.float32(1.8), np.float32(0.8))
        return seeds.cells(
            size * seeds.random("a", 0.8, 1.9),
            size * seeds.random("b", 0.6, 1.3),
            None,
            seeds.random("strength", 0.8, 2.0),
            lump=0.3,
        )


def dust(ground: Ground, rect_um: tuple[float, float, float, float]) -> Cells | None:
    """Return the specks of dust on the glass that reach into a rectangle."""
    spacing = 700.0
    x0, y0, x1, y1 = rect_um
    columns = np.arange(np.floor(x0 / spacing), np.ceil(x1 / spacing), dtype=np.int64)
    rows = np.arange(np.floor(y0 / spacing), np.ceil(y1 / spacing), dtype=np.int64)
    column, row = (g.ravel() for g in np.meshgrid(columns, rows))

    def draw(name: str, low: float, high: float) -> Floats:
        return low + (high - low) * uniform(column, row, ground.salt(f"dust/{name}"))

    angle = draw("angle", 0, 2 * np.pi)
    none = np.zeros(len(column), np.float32)
    specks = Cells(
        (column + draw("x", 0, 1).astype(np.float64)) * spacing,
        (row + draw("y", 0, 1).astype(np.float64)) * spacing,
        draw("a", 2, 8),
        draw("b", 1.2, 5),
        np.cos(angle),
        np.sin(angle),
        draw("strength", 0.5, 1.5),
        none,
        none,
        draw("lump", -0.3, 0.3),
    )
    return specks.take(draw("there", 0, 1) < 0.5) if len(column) else None


def draw_cells(canvas: Floats, cells: Cells, first_xy: tuple[int, int], mpp: float) -> None:
    """Draw cells onto a canvas of dye; where they overlap the darker one counts.

    Parameters
    ----------
    canvas : ndarray, shape (height, width), float32
        Amount of dye, changed in place.
    cells : Cells
        What to draw.
    first_xy : (int, int)
        Column and row of the canvas's first pixel in the slide.
    mpp : float
        Micrometres per pixel.
    """
    reach = np.minimum(np.maximum(cells.a, cells.b) * np.float32(1.15) + np.float32(mpp), CELL_REACH)
    sizes = np.ceil(reach / mpp).astype(np.int64)
    for size in np.unique(sizes):
        _draw_equal(canvas, cells.take(sizes == size), int(size), first_xy, mpp)


def _draw_equal(canvas: Floats, cells: Cells, size: int, first_xy: tuple[int, int], mpp: float) -> None:
    """Draw cells that fit in squares of ``2 size + 1`` pixels."""
    height, width = canvas.shape
    offsets = np.arange(-size, size + 1)
    columns = np.floor(cells.x / mpp).astype(np.int64)[:, None] + offsets
    rows = np.floor(cells.y / mpp).astype(np.int64)[:, None] + offsets
    dx = ((columns + 0.5) * mpp - cells.x[:, None]).astype(np.float32)[:, None, :]
    dy = ((rows + 0.5) * mpp - cells.y[:, None]).astype(np.float32)[:, :, None]
    cos, sin = cells.cos[:, None, None], cells.sin[:, None, None]
    u = (dx * cos + dy * sin) / cells.a[:, None, None]
    v = (dy * cos - dx * sin) / cells.b[:, None, None]
    columns, rows = columns - first_xy[0], rows - first_xy[1]
    on_canvas = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    cell, j, i = np.nonzero((u * u + v * v < 1.9) & on_canvas)
    u, v = u[cell, j, i], v[cell, j, i]
    flat = rows[cell, j] * width + columns[cell, i]
    np.maximum.at(canvas.reshape(-1), flat, _profile(cells, cell, u, v, mpp))


def _profile(cells: Cells, cell: NDArray[np.int64], u: Floats, v: Floats, mpp: float) -> Floats:
    """Amount of dye at points of cells, given in units of the semi-axes."""
    square = u * u + v * v
    outline = square + cells.lump[cell] * u * (u * u - 3 * v * v)
    softness = np.float32(max(0.7, 0.9 * mpp))
    edge = (1 - np.sqrt(np.maximum(outline, 0))) * (cells.b[cell] / softness) + np.float32(0.5)
    cover = np.clip(edge, 0, 1)
    dye = cells.strength[cell] * (1 - cells.hollow[cell] * np.clip(1 - square, 0, 1))
    spot = 1 - ((u - np.float32(0.2)) ** 2 + (v + np.float32(0.15)) ** 2) / np.float32(0.07)
    return np.asarray(cover * (dye + cells.nucleolus[cell] * np.clip(spot, 0, 1)))
