"""The anatomy of a generated breast slide: ducts, tumours, fat, vessels, glass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.noise import noise_at
from wsi_seg.demo.shapes import FAR, Blob, Draw, NodeGrid, Sites
from wsi_seg.demo.tissue_layout import NODE_UM, Ground, Layout, NodeLayout, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.demo.noise import Coordinates, Floats
    from wsi_seg.demo.shapes import Window

TUMOURS = Sites("tumour", spacing=1700, reach=1100)
FAT_LOBULES = Sites("fat", spacing=1150, reach=950)
DUCTS = Sites("duct", spacing=440, reach=480)
BLEEDINGS = Sites("bleeding", spacing=1050, reach=420)
VESSELS = Sites("vessel", spacing=260, reach=120)
HOLES = Sites("hole", spacing=58, reach=60)

BENIGN_WALL = 17.0
"""Thickness of benign epithelium, two layers of cells, in micrometres."""

TUMOUR_BORDER = 130.0
"""Scale of the noise that bends a tumour's border, in micrometres."""

LEFT_OUT = -32.0
"""A part is left out if it is nowhere deeper than this: softened borders do not reach further out."""

Depths = dict[Part, "Floats"]


def lay_out(ground: Ground, x0: float, y0: float, x1: float, y1: float) -> NodeLayout:
    """Compute the layout on the nodes that cover a rectangle, in micrometres."""
    first = int(np.floor(x0 / NODE_UM)), int(np.floor(y0 / NODE_UM))
    xs = np.arange(first[0], int(np.ceil(x1 / NODE_UM)) + 1) * NODE_UM
    ys = np.arange(first[1], int(np.ceil(y1 / NODE_UM)) + 1) * NODE_UM
    grid = NodeGrid(ground, xs, ys)

    wobble = 2.2 * grid.noise(14, "wobble") + 1.0 * grid.noise(6, "wobble 2")
    edge = 12 * grid.noise(30, "soft edges")
    tumour = _tumour(grid, grid.x, grid.y) + 70 * grid.noise(TUMOUR_BORDER, "tumour border")
    depth = _ducts(grid, wobble)
    around_ducts = np.maximum(depth[Part.BENIGN], depth[Part.IN_SITU])
    depth[Part.FAT] = np.minimum(_fat(grid), np.minimum(-tumour - 120, -around_ducts - 38)) + edge
    depth[Part.DESMOPLASIA] = np.minimum(tumour + 75, -depth[Part.FAT]) + edge
    depth[Part.NEST] = np.minimum(tumour, _growth(grid)) + wobble
    depth |= _vessels(grid, wobble, occupied=np.maximum(depth[Part.FAT], around_ducts + 12))
    if not ground.tissue_everywhere:
        depth[Part.GLASS] = -_outline(grid)
    present = {part: np.asarray(d, np.float32) for part, d in depth.items() if float(d.max()) > LEFT_OUT}
    return NodeLayout(Layout(present, _fibre_phase(grid)), first)


def _outline(grid: NodeGrid) -> Floats:
    """Depth within the tissue: a rounded rectangle with a bent border and ragged edges."""
    ground = grid.ground
    short = min(ground.width_um, ground.height_um)
    u, v = 2 * grid.x / ground.width_um - 1, 2 * grid.y / ground.height_um - 1
    smooth = (0.88 - (np.abs(u) ** 3.2 + np.abs(v) ** 3.2) ** (1 / 3.2)) * short / 2
    bends = 0.035 * short * grid.noise(0.14 * short, "outline")
    return np.asarray(smooth + bends + 9 * grid.noise(32, "ragged") + 4 * grid.noise(11, "frayed"))


def _tumour(grid: NodeGrid, x: Coordinates, y: Coordinates) -> Floats:
    """Depth within the invasive tumours, at positions inside the range of the nodes."""
    depth = np.full(np.broadcast_shapes(x.shape, y.shape), FAR)
    for site_x, site_y, draw in TUMOURS.near(grid):
        blob = draw.blob(site_x, site_y, (430, 640), (330, 520))
        np.maximum(depth, blob.depth(x, y), out=depth)
    return depth


def _growth(grid: NodeGrid) -> Floats:
    """Depth within the tumour's epithelium: rounded nests, trabeculae or cords, depending on the place."""
    crowding = grid.ground.trait("crowding", 0.1, 0.8) + 0.45 * grid.noise(380, "crowding")
    nests = 30 * (grid.noise(50, "nests") + crowding)
    ridge = grid.noise(72, "cords") + 0.2 * grid.noise(24, "cords 2")
    cords = 42 * (0.35 + 0.5 * crowding - np.abs(ridge))
    style = 1 / (1 + np.exp(-4 * grid.noise(260, "growth")))
    return np.asarray(style * nests + (1 - style) * cords)


def _fat(grid: NodeGrid) -> Floats:
    """Depth within the fat, before other parts cover it."""
    depth = grid.nothing()
    for x, y, draw in FAT_LOBULES.near(grid):
        np.maximum(depth, draw.blob(x, y, (240, 520), (180, 360)).depth(grid.x, grid.y), out=depth)
    return depth + 90 * grid.noise(110, "fat border")


def _ducts(grid: NodeGrid, wobble: Floats) -> Depths:
    """Depths within the ducts and their contents: benign ones, in lobules or not, and carcinoma in situ."""
    parts = (Part.BENIGN, Part.IN_SITU, Part.LOBULE, Part.LUMEN, Part.SECRETION, Part.NECROSIS)
    depth: Depths = {part: grid.nothing() for part in parts}
    bends = grid.noise(24, "folds"), wobble
    for x, y, draw in DUCTS.near(grid):
        kind = draw("kind")
        if kind > 0.7:
            _add_in_situ(depth, grid, draw.blob(x, y, (95, 190), (80, 140)), draw, bends)
        elif kind > 0.08 and _away_from_tumours(grid.ground, x, y):
            for in_lobule, blob in _benign_blobs(x, y, draw, kind):
                _add_benign(depth, grid, blob, in_lobule, bends, _content(draw))
    return depth


def _content(draw: Draw) -> Part:
    return Part.SECRETION if draw("content") < 0.62 else Part.LUMEN


def _add_in_situ(depth: Depths, grid: NodeGrid, blob: Blob, draw: Draw, bends: tuple[Floats, Floats]) -> None:
    """Add a duct full of carcinoma: solid, cribriform, or with a dead core."""
    where = blob.window(grid, 60)
    near = grid.within(where)
    folds, wobble = (b[where] for b in bends)
    if not folds.size:
        return
    inside = blob.depth(near.x, near.y) + 9 * folds + wobble
    _cover(depth[Part.IN_SITU], where, inside)
    kind = draw("kind")
    if kind > 0.83:
        _cover(depth[Part.NECROSIS], where, inside - draw("rim", 38, 58) + 5 * folds)
    elif kind > 0.75:
        _cover(depth[_content(draw)], where, np.minimum(inside - 22, _holes(near)) + wobble)


def _holes(grid: NodeGrid) -> Floats:
    """Depth within the round holes that make an in-situ carcinoma cribriform."""
    depth = grid.nothing()
    for x, y, draw in HOLES.near(grid):
        blob = draw.blob(x, y, (13, 22), (12, 18))
        where = blob.window(grid, 30)
        near = grid.within(where)
        _cover(depth, where, blob.depth(near.x, near.y))
    return depth


def _away_from_tumours(ground: Ground, x: float, y: float) -> bool:
    """Return whether benign tissue may lie at a place."""
    at = NodeGrid(ground, np.array([x]), np.array([y]))
    border = noise_at(at.xs, at.ys, TUMOUR_BORDER, ground.salt("tumour border"))
    return float((_tumour(at, at.xs, at.ys) + 70 * border)[0]) < -170


def _benign_blobs(x: float, y: float, draw: Draw, kind: float) -> Iterator[tuple[bool, Blob]]:
    """Yield the outline of a benign duct, or those of a lobule's acini, and whether it is a lobule's."""
    if kind < 0.3:
        yield False, draw.blob(x, y, (60, 120), (42, 75))
    elif kind < 0.4:
        yield False, draw.blob(x, y, (150, 210), (30, 42))
    else:
        for i in range(5 + int(draw("acini", 0, 11))):
            # Sunflower order: evenly spread; a larger lobule is a smaller one with more acini around it.
            radius, angle = 46 * np.sqrt(i + 0.3), 2.4 * i + draw("turn", 0, 6)
            at_x, at_y = x + radius * np.cos(angle), y + radius * np.sin(angle)
            yield True, draw.blob(at_x, at_y, (30, 46), (27, 37), name=str(i))


def _add_benign(
    depth: Depths, grid: NodeGrid, blob: Blob, in_lobule: bool, bends: tuple[Floats, Floats], content: Part
) -> None:
    """Add a benign duct or acinus: its wall, its contents, and the loose stroma around an acinus."""
    where = blob.window(grid, 60)
    near = grid.within(where)
    folds, wobble = (b[where] for b in bends)
    inside = blob.depth(near.x, near.y)
    if in_lobule:
        _cover(depth[Part.LOBULE], where, inside + 14 + 6 * folds)
    inside = inside + (2 if in_lobule else 8) * folds + 0.6 * wobble
    _cover(depth[Part.BENIGN], where, inside)
    _cover(depth[content], where, inside - BENIGN_WALL + 0.5 * wobble)


def _vessels(grid: NodeGrid, wobble: Floats, occupied: Floats) -> Depths:
    """Depths within vessels' walls, within their lumina, and within blood, in vessels or bled out."""
    wall, blood, empty = grid.nothing(), grid.nothing(), grid.nothing()
    ragged = grid.noise(34, "bleeding border")
    for x, y, draw in VESSELS.near(grid):
        if draw("there") < 0.45:
            continue
        size = draw("size")
        radius = 11 + 26 * size**3
        blob = Blob(x, y, radius * draw("long", 1, 2.4), radius, draw("angle", 0, np.pi))
        where = blob.window(grid, 30)
        near = grid.within(where)
        inside = blob.depth(near.x, near.y) + 0.5 * wobble[where]
        _cover(wall, where, inside + 4 + 5 * size)
        _cover(blood if draw("held") < 0.62 else empty, where, inside)
    for x, y, draw in BLEEDINGS.near(grid):
        blob = draw.blob(x, y, (70, 190), (40, 80))
        where = blob.window(grid, 120)
        near = grid.within(where)
        _cover(blood, where, blob.depth(near.x, near.y) + 24 * ragged[where] + wobble[where])
    return {
        Part.VESSEL_WALL: np.minimum(wall, -occupied),
        Part.VESSEL_LUMEN: np.minimum(empty, -occupied),
        Part.BLOOD: np.minimum(blood, -occupied),
    }


def _cover(depth: Floats, where: Window, values: Floats) -> None:
    """Add a shape to a part."""
    np.maximum(depth[where], values, out=depth[where])


def _fibre_phase(grid: NodeGrid) -> Floats:
    """Phase of the collagen fibres: their lines of equal phase run roughly parallel, and swirl."""
    angle = grid.ground.trait("fibres", 0, 2 * np.pi)
    ramp = (grid.x * np.cos(angle) + grid.y * np.sin(angle)) / 5.0
    swirl = 60 * grid.noise(330, "swirl") + 9 * grid.noise(60, "swirl 2")
    waves = grid.ground.trait("waviness", 0.7, 2.6) * grid.noise(17, "waves")
    return np.asarray(ramp + swirl + waves, np.float32)
