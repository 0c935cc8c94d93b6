from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.transform import Affine

from wsi_seg.data import jsonfile
from wsi_seg.data.annotations import rasterise, read_regions
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.lattice import Rect

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]
HOLED = [*SQUARE, [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]]
FAR = [[[20.5, 20], [30, 20], [30, 30], [20.5, 20]]]


def geometry(coordinates, kind="Polygon"):
    return {"type": kind, "coordinates": coordinates}


def feature(of):
    return {"type": "Feature", "geometry": of, "properties": {"objectType": "annotation"}}


@pytest.fixture
def written(tmp_path):
    def write(content, name="roi.geojson"):
        path = tmp_path / name
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        geometry(HOLED),
        geometry([HOLED], "MultiPolygon"),
        feature(geometry(HOLED)),
        [feature(geometry(HOLED))],
        [geometry(HOLED)],
        {"type": "FeatureCollection", "features": [feature(geometry(HOLED)), geometry([5, 5], "Point")]},
        feature({"type": "GeometryCollection", "geometries": [geometry(HOLED)]}),
        feature(geometry([[[x, y, 0] for x, y in ring] for ring in HOLED])),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["roi.geojson", "roi.json.gz"])
def test_every_form_that_qupath_reads_is_read(written, content, name):
    regions = read_regions(written(content, name))

    assert isinstance(regions, shapely.MultiPolygon)
    assert regions.equals(shapely.Polygon(HOLED[0], HOLED[1:]))


def test_regions_are_united(written):
    collection = {
        "type": "FeatureCollection",
        "features": [feature(geometry(c)) for c in (HOLED, SQUARE, FAR)],
    }

    regions = read_regions(written(collection))

    assert len(regions.geoms) == 2
    assert regions.area == pytest.approx(100 + 9.5 * 10 / 2)


def test_a_crossing_outline_is_mended(written):
    bowtie = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]

    regions = read_regions(written(feature(geometry(bowtie))))

    assert regions.is_valid
    assert regions.area == pytest.approx(50)


def test_a_byte_order_mark_is_no_fault(written):
    assert read_regions(written(b"\xef\xbb\xbf" + json.dumps(geometry(SQUARE)).encode())).area == 100


def test_nan_in_measurements_is_no_fault(written):
    text = json.dumps(feature(geometry(SQUARE)) | {"properties": {"measurements": {"Ki67": float("nan")}}})

    assert read_regions(written(text.encode())).area == 100


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"type": "Feature"', "line 1, column 19"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (gzip.compress(json.dumps(geometry(SQUARE)).encode())[:-12], "gzip"),
        ([], "no shapes at all"),
        ("polygon", "no shapes at all"),
        ({"type": "FeatureCollection", "features": []}, "no shapes at all"),
        (feature(geometry([1, 2], "Point")), "1 'Point'"),
        (feature(geometry([[1, 2], [3, 4]], "LineString")), "1 'LineString'"),
        (geometry([[[0, 0], [5, 0], [9, 0], [0, 0]]]), "no area"),
        (geometry([[[0, 0], [5, 0]]]), "geometry 1"),
        (geometry([[[0, 0], [5, "1"], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry([[[0, 0], [5], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry([[[0, 0], [5, None], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry([[[0, 0], [5, float("inf")], [5, 5], [0, 0]]]), "finite"),
        (geometry([[[0, 0], [5, 10**400], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry(None), "geometry 1"),
        (geometry([]), "geometry 1"),
        (geometry({"a": 1}, "MultiPolygon"), "geometry 1"),
        (geometry(7, "MultiPolygon"), "geometry 1"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(written, content, says):
    path = written(content)

    with pytest.raises(AnnotationError, match=r"roi\.geojson") as caught:
        read_regions(path)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match="No such file"):
        read_regions(tmp_path / "absent.geojson")


def test_a_file_that_unpacks_to_too_much_is_refused(written, monkeypatch):
    monkeypatch.setattr(jsonfile, "MAX_BYTES", 50)

    with pytest.raises(AnnotationError, match="GiB"):
        read_regions(written(geometry(HOLED), "roi.geojson.gz"))


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


@pytest.mark.parametrize("name", ["qupath05.geojson", "qupath_holed.geojson", "qupath_polygon.geojson"])
def test_real_files_are_read(shared_data, name):
    path = shared_data / "annotations" / name
    stored = json.loads(path.read_text())
    shapes = (
        [f["geometry"] for f in stored["features"]]
        if "features" in stored
        else [stored.get("geometry", stored)]
    )
    expected = shapely.union_all([shapely.geometry.shape(s).buffer(0) for s in shapes])

    assert read_regions(path).area == pytest.approx(expected.area)
