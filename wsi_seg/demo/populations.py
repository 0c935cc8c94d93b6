"""The cells in each part of the tissue: their places and their look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.cells import Cells
from wsi_seg.demo.noise import noise_at, uniform
from wsi_seg.demo.tissue_layout import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsi_seg.demo.noise import Floats
    from wsi_seg.demo.tissue_layout import Ground, NodeLayout

SNAP_REACH = 8.0
"""Largest distance that a nucleus is moved to line up with a wall, in micrometres."""


@dataclass(frozen=True)
class Look:
    """The properties that the cells of a population have in common; see `Cells`.

    Attributes
    ----------
    hollow : float
        Share of the dye that the middle lacks, on average.
    nucleolus : float
        Amount of dye in the nucleoli that most of the nuclei have.
    lump : float
        Largest deviation of the outlines from an ellipse.
    """

    hollow: float = 0.0
    nucleolus: float = 0.0
    lump: float = 0.1


class Seeds:
    """Candidate cells of one population: a jittered grid, limited to one part of the tissue.

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
        """Keep only the candidates in `mask`."""
        self._column, self._row = self._column[mask], self._row[mask]
        self.x, self.y = self.x[mask], self.y[mask]

    def depth(self, part: Part) -> Floats:
        """Depth of each candidate in a part that occurs."""
        return self._nodes.sample(self._nodes.layout.depth[part], self.x, self.y)

    def keep_within(self, part: Part, margin: float = 0.0) -> None:
        """Keep candidates that lie deeper than `margin` in a part, with no other part over them."""
        self.keep(self.depth(part) > margin)
        self.keep(self._nodes.at_points(self.x, self.y).topmost() == part)

    def keep_bare(self) -> None:
        """Keep candidates in bare stroma."""
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
        self, a: Floats, b: Floats, strength: Floats, along: tuple[Floats, Floats] | None, look: Look
    ) -> Cells:
        """Turn the candidates into cells; they point along unit vectors, or anywhere."""
        if along is None:
            angle = self.random("angle", 0, 2 * np.pi)
            along = np.cos(angle), np.sin(angle)
        hollow = np.float32(look.hollow) * self.random("hollow", 0.6, 1.4)
        nucleolus = np.float32(look.nucleolus) * (self.random("nucleolus") < 0.6)
        lump = np.float32(look.lump) * self.random("lump", -1, 1)
        return Cells(self.x, self.y, a, b, *along, strength, hollow, nucleolus, lump)


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
        strength = seeds.random("strength", 0.75, 1.15)
        a, b = seeds.random("a", 3.2, 3.9), seeds.random("b", 2.6, 3.5)
        cells = seeds.cells(a, b, strength, None, Look(hollow=0.22, lump=0.05))
        return cells if len(cells) else None

    def _seeds(self, name: str, spacing: float) -> Seeds:
        return Seeds(self.ground, self.nodes, name, spacing, self.rect_um)

    def _benign(self) -> Cells:
        """Two rows along the wall: flat myoepithelial nuclei outside, tall luminal ones inside."""
        seeds = self._seeds("benign", 6.3)
        seeds.keep_within(Part.BENIGN)
        inner = seeds.random("row") < 0.62
        seeds.snap(Part.BENIGN, np.where(inner, seeds.random("in", 8.8, 11.6), seeds.random("out", 2.8, 4)))
        inwards_x, inwards_y = seeds.along(self.nodes.layout.depth[Part.BENIGN])
        along = np.where(inner, inwards_x, -inwards_y), np.where(inner, inwards_y, inwards_x)
        a = np.where(inner, seeds.random("a", 3.4, 4.6), seeds.random("a", 3.0, 4.4))
        b = np.where(inner, seeds.random("b", 2.3, 3.0), seeds.random("b", 1.5, 2.1))
        strength = np.where(inner, seeds.random("strength", 1.0, 1.45), seeds.random("strength", 1.3, 1.7))
        return seeds.cells(a, b, strength, along, Look(hollow=0.2))

    def _malignant(self, part: Part) -> Cells:
        """Large, crowded, vesicular nuclei of varied size and stain, with nucleoli."""
        typical = self.ground.trait(f"size {part.name}", 0.78, 1.12)
        spread = self.ground.trait(f"spread {part.name}", 0.95, 1.4)
        seeds = self._seeds(f"malignant {part.name}", 9.4 * typical * spread)
        seeds.keep_within(part, margin=0.8)
        seeds.keep(seeds.random("there") < 0.96)
        grade = noise_at(seeds.x, seeds.y, 420, self.ground.salt("grade")).astype(np.float32)
        size = np.float32(typical) * np.clip(1 + 0.08 * grade, 0.85, 1.2) * seeds.random("size", 0.78, 1.25)
        a, b = size * seeds.random("a", 4.2, 5.6), size * seeds.random("b", 3.3, 4.4)
        dark = seeds.random("dark") < 0.14
        strength = np.where(dark, seeds.random("strength", 1.6, 2.2), seeds.random("strength", 0.95, 1.5))
        return seeds.cells(a, b, strength, None, Look(hollow=0.42, nucleolus=0.7, lump=0.25))

    def _fibroblasts(self) -> Cells:
        """Sparse thin spindles along the collagen."""
        seeds = self._seeds("fibroblast", 21)
        seeds.keep_bare()
        seeds.keep(seeds.random("there") < 0.62)
        a, b = seeds.random("a", 4, 8), seeds.random("b", 1.0, 1.8)
        return seeds.cells(a, b, seeds.random("strength", 1.0, 1.6), self._fibres(seeds), Look(lump=0.2))

    def _plump_fibroblasts(self) -> Cells:
        """Many swollen spindles, as in stroma that reacts to a tumour."""
        seeds = self._seeds("plump", 14)
        seeds.keep_within(Part.DESMOPLASIA)
        seeds.keep(seeds.random("there") < 0.8)
        a, b = seeds.random("a", 4, 7), seeds.random("b", 1.6, 2.7)
        look = Look(hollow=0.25, lump=0.2)
        return seeds.cells(a, b, seeds.random("strength", 0.8, 1.4), self._fibres(seeds), look)

    def _fibres(self, seeds: Seeds) -> tuple[Floats, Floats]:
        """Return the direction of the collagen."""
        across_x, across_y = seeds.along(self.nodes.layout.phase)
        return -across_y, across_x

    def _lymphocytes(self, part: Part) -> Cells:
        """Small round dark nuclei in loose crowds."""
        seeds = self._seeds(f"lymphocyte {part.name}", 8)
        seeds.keep_within(part, margin=3)
        crowd = noise_at(seeds.x, seeds.y, 48, self.ground.salt("crowds")).astype(np.float32)
        seeds.keep(seeds.random("there") < np.clip(0.55 * (crowd - 0.9), 0.015, 0.6))
        a, b = seeds.random("a", 2.7, 3.4), seeds.random("b", 2.5, 3.1)
        return seeds.cells(a, b, seeds.random("strength", 1.5, 2.1), None, Look(lump=0.06))

    def _endothelium(self) -> Cells:
        """Flat nuclei along the walls of vessels."""
        seeds = self._seeds("endothelium", 12)
        seeds.keep_within(Part.VESSEL_WALL)
        inwards_x, inwards_y = seeds.along(self.nodes.layout.depth[Part.VESSEL_WALL])
        a, b = seeds.random("a", 3.5, 5.5), seeds.random("b", 1.2, 1.7)
        return seeds.cells(a, b, seeds.random("strength", 1.1, 1.6), (-inwards_y, inwards_x), Look())

    def _debris(self) -> Cells:
        """Dust of broken nuclei, and a few shrunken whole ones."""
        seeds = self._seeds("debris", 5.2)
        seeds.keep_within(Part.NECROSIS, margin=1)
        seeds.keep(seeds.random("there") < 0.6)
        size = np.where(seeds.random("whole") < 0.12, np.float32(1.8), np.float32(0.8))
        a, b = size * seeds.random("a", 0.8, 1.9), size * seeds.random("b", 0.6, 1.3)
        return seeds.cells(a, b, seeds.random("strength", 0.8, 2.0), None, Look(lump=0.3))


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
