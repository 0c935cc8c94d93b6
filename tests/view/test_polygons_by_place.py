"""What lies at a point: of a file that predict wrote, and of one that is not what it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.written_results import frames_of
from shapely import Polygon, box

from wsi_seg.results.polygons.complete_shapes import Shape
from wsi_seg.results.polygons.geojson_writer import write_geojson
from wsi_seg.results.polygons.written_classes import GeoJsonSettings
from wsi_seg.view.polygons_by_place import MOST_POINTS, Polygons


def written(path: Path) -> Path:
    inner = box(20, 20, 30, 30)
    shapes = [
        Shape(
            class_id=1,
            polygon=Polygon(box(0, 0, 50, 50).exterior, [inner.exterior]),
            area_px=2400,
            mean_confidence=204.0,
        ),
        Shape(class_id=2, polygon=inner, area_px=100, mean_confidence=None),
    ]
    frames = frames_of(np.zeros((60, 60), dtype=np.uint8))
    write_geojson(path, shapes, frames, SCHEMA, GeoJsonSettings(gzip=path.suffix == ".gz"))
    return path


@pytest.mark.parametrize("name", ["slide.geojson", "slide.geojson.gz"])
def test_the_polygon_at_a_point_has_class_area_and_confidence(tmp_path: Path, name: str) -> None:
    polygons = Polygons(written(tmp_path / name))
    polygons.wait()
    around = polygons.at((10, 10))  # QuPath's pixels: two to a label pixel
    assert isinstance(around, dict)
    assert (around["class"], around["area_um2"], around["confidence"]) == ("Stroma", 2400 * 4.0, 0.8)
    outline = around["outline"]
    assert isinstance(outline, list)
    assert len(outline) == 2
    inside = polygons.at((50, 50))
    assert isinstance(inside, dict)
    assert (inside["class"], inside["confidence"]) == ("Tumour", None)
    assert polygons.at((110, 110)) is None


def test_a_file_that_somebody_changed_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "slide.geojson.gz")
    text = gzip.decompress(path.read_bytes())
    others = {
        "another layout": text.replace(b'features":[\n', b'features": [\n'),
        "cut": text[: len(text) // 2],
        "no geometry": text.replace(b'"geometry"', b'"place"'),
        "too few points": text.replace(b"[40,40],", b"").replace(b"[60,40],", b"").replace(b"[60,60],", b""),
    }
    for what, content in others.items():
        path.write_bytes(gzip.compress(content))
        polygons = Polygons(path)
        polygons.wait()
        found = polygons.at((1, 1))
        assert isinstance(found, dict), what
        assert "`wsi-seg export` writes them again" in str(found["fault"]), what


def test_an_outline_of_many_points_is_sent_with_fewer(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 3 * MOST_POINTS, endpoint=False)
    wave = 20_000 + 3 * np.sin(400 * angle)
    points = np.stack([25_000 + wave * np.cos(angle), 25_000 + wave * np.sin(angle)], axis=1)
    path = tmp_path / "slide.geojson"
    shape = Shape(class_id=2, polygon=Polygon(points), area_px=10, mean_confidence=None)
    frames = frames_of(np.zeros((60, 60), dtype=np.uint8))
    write_geojson(path, [shape], frames, SCHEMA, GeoJsonSettings(gzip=False))
    polygons = Polygons(path)
    polygons.wait()
    found = json.loads(json.dumps(polygons.at((50_000, 50_000))))
    (ring,) = found["outline"]
    assert 100 < len(ring) / 2 <= MOST_POINTS
