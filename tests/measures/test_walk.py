"""Regions are counted as on whole arrays, however tiles cut them and whatever overlaps them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import shapely
from conftest import SCHEMA
from helpers.written_results import Labels, in_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import Polygon
from skimage.measure import label, perimeter_crofton

from wsi_seg.annotations.raster import Painting, rasterise
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.measured import RegionMeasures, measure
from wsi_seg.measures.region_file import Region
from wsi_seg.measures.walk import count_regions
from wsi_seg.slides.lattice import Rect

HEIGHT, WIDTH = 23, 31
FRAME = Rect(0, 0, HEIGHT, WIDTH)
LABELS = arrays(np.uint8, (HEIGHT, WIDTH), elements=st.sampled_from([0, 1, 1, 2, 254, 255]))


@st.composite
def outlines(draw: st.DrawFn) -> Polygon:
    """A star-shaped polygon that lies on the labels at least in part."""
    x, y = draw(st.floats(0, WIDTH)), draw(st.floats(0, HEIGHT))
    radii = draw(st.lists(st.floats(2, 25), min_size=3, max_size=9))
    turns = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return Polygon([(x + r * math.cos(t), y + r * math.sin(t)) for r, t in zip(radii, turns, strict=True)])


def region_of(outline: Polygon, number: int = 1) -> Region:
    x0, y0, x1, y1 = outline.bounds
    rect = Rect(math.floor(y0), math.floor(x0), math.ceil(y1), math.ceil(x1)).clipped(WIDTH, HEIGHT)
    off = outline.difference(shapely.box(0, 0, WIDTH, HEIGHT)).area
    return Region(number, rect, Painting.of([outline], [1]), off)


def measured(labels: Labels, regions: list[Region], side: int) -> list[RegionMeasures]:
    pyramid = in_memory(labels)
    asked = MeasureSettings("Tumour", (0.0, 6.0, 15.0))
    tallies = count_regions(pyramid, regions, asked, side=side)
    return [measure(tally, SCHEMA, pyramid.frames) for tally in tallies]


@settings(max_examples=30)
@given(LABELS, st.lists(outlines(), min_size=1, max_size=3), st.integers(4, 40))
def test_overlapping_regions_count_whole(labels: Labels, drawn: list[Polygon], side: int) -> None:
    found = measured(labels, [region_of(outline) for outline in drawn], side)
    for outline, region in zip(drawn, found, strict=True):
        inside = rasterise(outline, FRAME)
        pixel = 4e-6  # mm2
        off = outline.difference(shapely.box(0, 0, WIDTH, HEIGHT)).area
        assert region.off_slide_mm2 == pytest.approx(off * pixel)
        assert region.unprocessed_mm2 == pytest.approx((inside & (labels == 255)).sum() * pixel)
        assert region.outside_mm2 == pytest.approx(((inside & (labels == 254)).sum() + off) * pixel)
        assert region.mm2 == pytest.approx((inside.sum() + off) * pixel)
        for each in region.classes:
            own = inside & (labels == each.id)
            assert each.mm2 == pytest.approx(own.sum() * pixel)
            assert each.components == label(own, connectivity=1).max()
            around = 2 * perimeter_crofton(np.pad(own, 1), 4)
            assert each.perimeter_um + each.cut_um == pytest.approx(around)


@settings(max_examples=15)
@given(LABELS, outlines(), st.integers(4, 40))
def test_nothing_depends_on_the_tiles(labels: Labels, outline: Polygon, side: int) -> None:
    regions = [region_of(outline)]
    assert measured(labels, regions, side) == measured(labels, regions, 100)


def test_a_border_beside_a_region_still_counts_for_its_distances() -> None:
    labels = np.ones((HEIGHT, WIDTH), dtype=np.uint8)
    labels[:, :10] = 2
    region = region_of(shapely.box(11, 0, WIDTH, HEIGHT))
    (found,) = measured(labels, [region], side=8)
    stroma = found.classes[1]
    # 6 um are three pixels from x 10 on, of which the region holds two; up to 15 um (7.5 px), five.
    assert stroma.near_mm2 == pytest.approx((2 * HEIGHT * 4e-6, 5 * HEIGHT * 4e-6))
    assert stroma.near_shares == pytest.approx((2 / 20, 5 / 20))
    assert found.classes[2].near_shares == (None, None)


def test_the_cut_of_a_region_is_no_perimeter() -> None:
    labels = np.full((HEIGHT, WIDTH), 1, dtype=np.uint8)
    (found,) = measured(labels, [region_of(shapely.box(5, 5, 15, 15))], side=8)
    assert found.classes[1].perimeter_um == 0
    assert found.classes[1].cut_um == pytest.approx(
        2 * perimeter_crofton(np.ones((12, 12))[1:-1, 1:-1], 4), rel=0.2
    )
    assert found.classes[1].share == 1


def test_a_value_of_no_class_is_damage() -> None:
    labels = np.full((HEIGHT, WIDTH), 77, dtype=np.uint8)
    with pytest.raises(OutputError, match="the labels hold class 77"):
        measured(labels, [region_of(shapely.box(5, 5, 15, 15))], side=8)


def test_a_band_that_memory_could_not_hold_is_refused() -> None:
    pyramid = in_memory(np.ones((4, 4), dtype=np.uint8))
    asked = MeasureSettings("tumour", (0.0, 10_000.0))
    with pytest.raises(UsageError, match=r"ends at 10000 um is too wide .* end it at 8190 um at most"):
        count_regions(pyramid, [Region.whole(pyramid.frames)], asked)


def test_a_class_that_labels_lack_is_refused() -> None:
    pyramid = in_memory(np.ones((4, 4), dtype=np.uint8))
    with pytest.raises(UsageError, match=r"has no class 'Fat' .* it has Glass, Stroma, Tumour"):
        count_regions(pyramid, [Region.whole(pyramid.frames)], MeasureSettings("Fat"))


@pytest.mark.parametrize("ends", [(), (5.0,), (0.0, 0.0), (100.0, 50.0), (-1.0, 5.0), (0.0, math.inf)])
def test_bands_that_are_none_are_refused(ends: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="give 2 to 100 ends, rising from 0 on"):
        MeasureSettings("Tumour", ends)


class Watched:
    """Labels of one class that are nowhere, and the largest piece of them that was asked for."""

    def __init__(self, side: int) -> None:
        self.shape = (side, side)
        self.largest = 0

    def __getitem__(self, slices: tuple[slice, slice]) -> Labels:
        height, width = (part.stop - part.start for part in slices)
        self.largest = max(self.largest, height * width)
        return np.ones((height, width), dtype=np.uint8)


@pytest.mark.parametrize("side", [200, 400])
def test_no_more_than_a_tile_and_its_margin_is_read_at_a_time(side: int) -> None:
    watched = Watched(side)
    small = in_memory(np.ones((4, 4), dtype=np.uint8))
    frames = small.frames.model_copy(update={"label_size": (side, side)})
    pyramid = replace(small, frames=frames, levels=(watched,))  # type: ignore[arg-type]
    asked = MeasureSettings("Tumour", (0.0, 20.0))
    (tally,) = count_regions(pyramid, [Region.whole(frames)], asked, side=32)
    assert int(tally.pixels[1]) == side * side
    assert watched.largest == (32 + 2 * 11) ** 2  # 20 um are ten pixels
