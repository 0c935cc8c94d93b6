"""The cache of decoded pixels: it changes nothing but the time."""

from __future__ import annotations

import pickle

import numpy as np
from helpers.trainings import Picture
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.cache import BLOCK, BYTES_PER_PIXEL, PixelCache

LARGE = Picture.at_random(1300, 700)
SMALL = Picture.at_random(50, 40, seed=1)


@settings(max_examples=60, deadline=None)
@given(
    megabytes=st.sampled_from([0, 2, 64]),
    corners=st.lists(st.tuples(st.integers(-90, 1300), st.integers(-90, 700)), min_size=1, max_size=4),
    width=st.integers(1, 600),
    height=st.integers(1, 300),
)
def test_reading_by_way_of_the_cache_changes_no_pixel(
    megabytes: int, corners: list[tuple[int, int]], width: int, height: int
) -> None:
    cache = PixelCache([SMALL, LARGE], megabytes)
    for x0, y0 in corners:
        rect = Rect(y0, x0, y0 + height, x0 + width)
        inside = rect.clipped(*LARGE.size)
        if not inside.area:
            continue
        pixels = cache.read(1, rect)
        assert pixels.rgb.shape == (height, width, 3)
        np.testing.assert_array_equal(pixels.rgb[inside.relative_to(rect).slices], LARGE.rgb[inside.slices])
        classes = np.full((height, width), IGNORE, np.uint8)
        classes[inside.relative_to(rect).slices] = LARGE.classes[inside.slices]
        np.testing.assert_array_equal(pixels.classes, classes)


def test_beyond_the_edges_pixels_are_mirrored_however_far() -> None:
    pixels = PixelCache([SMALL], 1).read(0, Rect(-130, -7, 60, 180))
    mirrored = np.pad(SMALL.rgb, ((130, 20), (7, 130), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(pixels.rgb, mirrored)
    assert (pixels.classes[:130] == IGNORE).all()
    assert (pixels.classes[:, 57:] == IGNORE).all()


class Counting:
    """A picture that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0
        self.name, self.size = LARGE.name, LARGE.size
        self.class_map, self.diagnosis = LARGE.class_map, LARGE.diagnosis

    def read(self, rect: Rect) -> LabelledPixels:
        self.reads += 1
        return LARGE.read(rect)


def test_what_is_kept_is_not_read_again_and_memory_is_bounded() -> None:
    source = Counting()
    cache = PixelCache([source], 64)
    for _ in range(3):
        cache.read(0, Rect(10, 10, 600, 1200))
    assert source.reads == 6
    megabytes = 2 * BLOCK**2 * BYTES_PER_PIXEL >> 20
    cache = PixelCache([source], megabytes)
    for x in range(0, 1200, 100):
        cache.read(0, Rect(0, x, 700, x + 50))
        kept = sum(block.rgb.nbytes + block.classes.nbytes for block in cache._blocks.values())
        assert kept <= megabytes << 20
        assert kept == cache._pixels * BYTES_PER_PIXEL
    source.reads = 0
    cache.read(0, Rect(0, 1100, 700, 1150))
    assert source.reads == 0


def test_nothing_is_kept_beyond_one_block_if_nothing_may_be() -> None:
    cache = PixelCache([LARGE], 0)
    cache.read(0, Rect(0, 0, 700, 1300))
    assert len(cache._blocks) == 1


def test_a_pickled_cache_arrives_empty_and_reads_the_same() -> None:
    cache = PixelCache([SMALL, LARGE], 64)
    rect = Rect(100, 100, 300, 400)
    expected = cache.read(1, rect)
    content = pickle.dumps(cache)
    assert len(content) < LARGE.rgb.nbytes + LARGE.classes.nbytes + SMALL.rgb.nbytes * 2
    copy = pickle.loads(content)
    assert not copy._blocks
    np.testing.assert_array_equal(copy.read(1, rect).rgb, expected.rgb)
