from __future__ import annotations

import numpy as np

from wsi_seg.slides.lattice import Rect
from wsi_seg.view.tile_grid import TILE, Grid


def test_the_tiles_of_every_level_cover_it_once() -> None:
    grid = Grid.of(2 * TILE + 7, TILE + 1)
    assert (grid.finest, grid.coarsest) == (0, 2)
    for level in range(grid.coarsest + 1):
        width, height = grid.size(level)
        covered = np.zeros((height, width), dtype=int)
        for row in range(3):
            for column in range(4):
                rect = grid.rect(level, column, row)
                if rect is not None:
                    assert rect.area > 0
                    covered[rect.slices] += 1
        assert (covered == 1).all()
    assert grid.size(2) == (258, 129)


def test_a_level_below_0_divides_its_pixels() -> None:
    grid = Grid(300, 200, finest=-2, coarsest=0)
    assert grid.size(-2) == (1200, 800)
    assert grid.rect(-2, 2, 1) == Rect(512, 1024, 800, 1200)


def test_there_is_no_tile_outside() -> None:
    grid = Grid.of(100, 100)
    for place in ((-1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -1, 0), (0, 0, -1), (0, 10**9, 0)):
        assert grid.rect(*place) is None
