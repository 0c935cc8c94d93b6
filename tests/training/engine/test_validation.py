"""What is validated on: every pixel kept out once, with what the network needs to see around it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.trainings import Picture, striped
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.split import Split, nothing_held_out
from wsi_seg.training.data.survey import survey_all
from wsi_seg.training.engine.validation import CORE, MARGIN, Images, Tiles


def tiles_of(sources: list[Picture], split: Split, limit: int | None = None) -> Tiles:
    return Tiles(PixelCache(sources, 64), split, survey_all(sources), limit)


@settings(max_examples=15, deadline=None)
@given(
    width=st.integers(300, 1000),
    height=st.integers(300, 900),
    x0=st.integers(0, 200),
    y0=st.integers(0, 200),
    seed=st.integers(0, 3),
)
def test_every_known_pixel_counts_once_and_none_beside(
    width: int, height: int, x0: int, y0: int, seed: int
) -> None:
    source = Picture.at_random(width, height, seed=seed)
    rect = Rect(y0, x0, height - 40, width - 30)
    tiles = tiles_of([source], Split((0,), ((),), ((0, rect),), ""))
    counts = np.zeros(source.classes.shape, int)
    for number in range(len(tiles)):
        draw = tiles[number]
        assert draw.rgb.shape == (3, CORE + 2 * MARGIN, CORE + 2 * MARGIN)
        _, core = tiles.tiles[number]
        corner = np.array([core.y0 - MARGIN, core.x0 - MARGIN])
        known = corner + np.argwhere(draw.classes.numpy() != IGNORE)
        counts[known[:, 0], known[:, 1]] += 1
        y, x = known[len(known) // 2]
        place = y - core.y0 + MARGIN, x - core.x0 + MARGIN
        assert draw.classes[place] == source.classes[y, x]
        assert (draw.rgb[:, place[0], place[1]].numpy() == source.rgb[y, x]).all()
    expected = np.zeros_like(counts)
    expected[rect.slices] = source.classes[rect.slices] != IGNORE
    np.testing.assert_array_equal(counts, expected)


def test_tiles_that_hold_nothing_known_are_left_out() -> None:
    rgb, truth = striped(800, 1600)
    classes = np.full_like(truth, IGNORE)
    classes[500:510, 1200:1210] = 1
    source = Picture("spot", rgb, classes)
    tiles = tiles_of([source], nothing_held_out([source]))
    assert [core for _, core in tiles.tiles] == [Rect(384, 1152, 768, 1536)]


def test_a_limit_takes_evenly_from_all() -> None:
    sources = [Picture.at_random(800, 800, seed=i) for i in range(3)]
    every = tiles_of(sources, nothing_held_out(sources))
    some = tiles_of(sources, nothing_held_out(sources), 6)
    assert len(every) == 27
    assert len(some) == 6
    assert [source for source, _ in some.tiles] == [0, 0, 1, 1, 2, 2]
    assert set(some.tiles) <= set(every.tiles)
    assert len(tiles_of(sources, nothing_held_out(sources), 100)) == 27
    assert (str(every), str(some)) == ("27 tiles", "6 of 27 tiles")
    single = [Picture.at_random(90, 60)]
    assert str(tiles_of(single, nothing_held_out(single))) == "1 tile"


@pytest.mark.parametrize("limit", [None, 2])
def test_whole_images_come_at_the_models_size(limit: int | None) -> None:
    sources = [Picture.at_random(90, 60, seed=i) for i in range(4)]
    images = Images(PixelCache(sources, 64), nothing_held_out(sources), (96, 64), limit)
    assert len(images) == (limit or 4)
    assert [number for number, _ in images.tiles] == ([0, 2] if limit else [0, 1, 2, 3])
    assert images[0].rgb.shape == (3, 64, 96)
    assert images[0].classes.shape == (64, 96)
