"""Cells of a grid that starts at a frame's origin, as tiles do."""

from __future__ import annotations

import itertools

from wsi_seg.slides.lattice import Rect


def cut_by_grid(rect: Rect, cell_height: int, cell_width: int) -> list[Rect]:
    """Cut a rectangle along the lines of a grid that starts at the frame's origin."""
    if rect.area == 0:
        return []
    ys = [rect.y0, *range((rect.y0 // cell_height + 1) * cell_height, rect.y1, cell_height), rect.y1]
    xs = [rect.x0, *range((rect.x0 // cell_width + 1) * cell_width, rect.x1, cell_width), rect.x1]
    return [Rect(y0, x0, y1, x1) for y0, y1 in itertools.pairwise(ys) for x0, x1 in itertools.pairwise(xs)]


def enclosing_cells(rect: Rect, cell_height: int, cell_width: int) -> Rect:
    """Grow a rectangle to the lines of a grid that starts at the frame's origin."""
    return Rect(
        rect.y0 // cell_height * cell_height,
        rect.x0 // cell_width * cell_width,
        -(-rect.y1 // cell_height) * cell_height,
        -(-rect.x1 // cell_width) * cell_width,
    )
