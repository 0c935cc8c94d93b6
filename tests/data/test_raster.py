from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.transform import Affine

from wsi_seg.data.raster import rasterise
from wsi_seg.slides.lattice import Rect


@st.composite
def regions(draw):
    """Valid multi-part regions with holes, some corners exactly on pixel centres."""
    point = st.tuples(st.integers(-8, 60), st.integers(-8, 60)).map(lambda p: (p[0] / 2, p[1] / 2))
    rings = draw(st.lists(st.lists(point, min_size=3, max_size=7), min_size=1, max_size=4))
    shift = draw(st.sampled_from([0.0, 0.1, 4096.0, 100_000.3]))
    return shapely.affinity.translate(
        shapely.union_all(shapely.make_valid([shapely.Polygon(r) for r in rings])), shift, shift
    ), int(shift)


@settings(deadline=None)
@given(regions(), st.data())
def test_a_pixel_does_not_depend_on_the_rectangle(drawn, data):
    region, shift = drawn
    region = shapely.MultiPolygon([p for p in shapely.get_parts(region) if p.geom_type == "Polygon"])
    whole = Rect(shift - 5, shift - 5, shift + 35, shift + 35)
    y0, x0 = (data.draw(st.integers(shift - 5, shift + 34)) for _ in range(2))
    part = Rect(
        y0, x0, data.draw(st.integers(y0 + 1, shift + 35)), data.draw(st.integers(x0 + 1, shift + 35))
    )

    painted = rasterise(region, whole)

    np.testing.assert_array_equal(rasterise(region, part), painted[part.relative_to(whole).slices])


@settings(deadline=None)
@given(regions())
def test_pixels_with_their_centre_inside_are_painted(drawn):
    region, shift = drawn
    region = shapely.MultiPolygon([p for p in shapely.get_parts(region) if p.geom_type == "Polygon"])
    rect = Rect(shift - 5, shift - 5, shift + 35, shift + 35)
    x, y = np.meshgrid(np.arange(rect.x0, rect.x1) + 0.5, np.arange(rect.y0, rect.y1) + 0.5)
    on_outline = (
        shapely.distance(shapely.points(x, y), region.boundary) < 1e-6 if not region.is_empty else x < 0
    )

    painted = rasterise(region, rect)

    np.testing.assert_array_equal(painted[~on_outline], shapely.contains_xy(region, x, y)[~on_outline])


def test_painting_agrees_with_gdal():
    rng = np.random.default_rng(0)
    region = shapely.union_all(
        shapely.buffer(shapely.points(rng.uniform(0, 300, (40, 2))), rng.uniform(3, 30, 40))
    )
    rect = Rect(10, 20, 290, 270)

    expected = rasterize([region], (rect.height, rect.width), transform=Affine.translation(rect.x0, rect.y0))

    np.testing.assert_array_equal(rasterise(region, rect), expected.astype(bool))
