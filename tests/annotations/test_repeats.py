from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.annotations.annotation import Annotation
from wsi_seg.annotations.annotation_files import AnnotationFile, read_annotations
from wsi_seg.annotations.raster import Painting
from wsi_seg.annotations.repeats import once
from wsi_seg.slides.lattice import Rect

RING = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., AnnotationFile]:
    def read_features(*features: dict[str, Any]) -> AnnotationFile:
        path = tmp_path / "drawn.geojson"
        path.write_text(json.dumps(list(features)))
        return read_annotations(path)

    return read_features


def drawn(
    class_name: str | None, begin: int = 0, turn: int = 1, at: float = 0, **more: str
) -> dict[str, Any]:
    """A square whose ring begins at another corner, or goes the other way round."""
    ring = [[x + at, y] for x, y in (RING[begin:] + RING[:begin])[::turn]]
    properties = more | ({"classification": class_name} if class_name else {})
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def said(file: AnnotationFile) -> list[str]:
    return [line.partition(": ")[2] for line in file.changes]


def test_what_was_imported_twice_is_there_once_and_told(read: Callable[..., AnnotationFile]) -> None:
    file = read(drawn("A"), drawn("B", at=20), drawn("A", begin=2), drawn("A", turn=-1), drawn("B", at=20))

    assert [(shape.class_name, shape.order) for shape in file.shapes] == [("A", 4), ("B", 5)]
    assert said(file) == [
        "shapes 1, 3 (A): each drawn again later: left out",
        "shape 2 (B): drawn again later: left out",
    ]


def test_one_outline_of_two_classes_is_told_and_the_later_one_counts(
    read: Callable[..., AnnotationFile],
) -> None:
    file = read(drawn("A"), drawn("B", begin=1), drawn(None, at=20), drawn("A", at=20), drawn(None, at=20))

    assert [shape.class_name for shape in file.shapes] == ["A", "B", "A", None]
    assert said(file) == [
        "shape 2 (B): has the outline of an earlier shape (A), and counts, as the later one",
        "shape 5: has the outline of an earlier shape (A), and counts, as the later one",
        "shape 3: drawn again later: left out",
    ]


def test_regions_of_two_names_and_cells_are_not_the_same(read: Callable[..., AnnotationFile]) -> None:
    file = read(
        drawn("Region", name="core 1"),
        drawn("Region", name="core 2"),
        drawn("Tumour", objectType="cell"),
    )

    assert len(file.shapes) == 3
    assert said(file) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([6, 8])), max_size=8))
def test_what_is_painted_stays_as_it_was(squares: list[tuple[int, int, int]]) -> None:
    shapes = [
        Annotation(shapely.box(x, 0, x + side, side), str(value), None, order)
        for order, (value, x, side) in enumerate(squares, 1)
    ]
    kept = once(shapes)

    def painted(of: tuple[Annotation, ...]) -> list[int]:
        pixels = np.full((12, 12), 255, dtype=np.uint8)
        painting = Painting.of([s.geometry for s in of], [int(str(s.class_name)) for s in of])
        painting.onto(pixels, Rect(0, 0, 12, 12))
        return list(pixels.ravel())

    assert painted(kept.shapes) == painted(tuple(shapes))
    assert len(kept.shapes) + len(kept.repeated) == len(shapes)
    assert len(kept.shapes) == len(set(squares))
