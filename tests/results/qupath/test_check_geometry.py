"""What QuPath takes for a shape, and how shapes lie beside each other."""

from __future__ import annotations

import math

import pytest
from helpers.qupath_features import BESIDE, SQUARE, Checker, collection, feature, without

FAR = [
    [[300_000, 300_000], [300_010, 300_000], [300_010, 300_010], [300_005, 300_000.01], [300_000, 300_010],
     [300_000, 300_000]]
]  # fmt: skip
ACROSS = [[[5, 5], [15, 5], [15, 15], [5, 15], [5, 5]]]

FAULTS = [
    (collection(feature() | {"geometry": {"type": "GeometryCollection"}}), "collection", "is a"),
    (collection(feature(SQUARE, "Circle")), "geometry type", "'Circle'"),
    (collection(feature() | {"geometry": {"type": "Polygon"}}), "coordinates", "no list"),
    (collection(feature([])), "no rings", ""),
    (collection(feature([None])), "short ring", "0 points"),
    (collection(feature([SQUARE, []], "MultiPolygon")), "no rings", "part 2"),
    (collection(feature([SQUARE[0][:3]])), "short ring", "3 points"),
    (collection(feature([SQUARE[0][:4]])), "open ring", "not closed"),
    (collection(feature([SQUARE[0], SQUARE[0][:4]])), "open ring", "ring 2"),
    (collection(feature([[[0, 0], [1, "0"], [1, 1], [0, 0]]])), "coordinates", "list of"),
    (collection(feature([[[0, 0], [1], [1, 1], [0, 0]]])), "coordinates", "list of"),
    (collection(feature([[[0, 0], [1, math.nan], [1, 1], [0, 0]]])), "coordinates", "finite"),
    (collection(feature([[[0, 0], [1e300, 0], [1, 1], [0, 0]]])), "coordinates", "billions"),
    (collection(feature([[[0, 0], [10**400, 0], [1, 1], [0, 0]]])), "coordinates", "list of"),
    (collection(feature([1, "x"], "Point")), "coordinates", "list of"),
    (collection(feature([[[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]])), "invalid polygon", "Self-intersection"),
    (collection(feature([[[0, 0], [9, 0], [0, 0], [0, 0]]])), "invalid polygon", ""),
    (
        collection(feature([[[0, 0], [10, 0], [10, 10], [5, 0.004], [0, 10], [0, 0]]])),
        "invalid when rounded",
        "hundredths",
    ),
    (collection(feature(FAR)), "invalid when rounded", "hundredths"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "kind", "says"), FAULTS)
def test_shapes_that_qupath_refuses_are_named(
    checked: Checker, content: object, kind: str, says: str
) -> None:
    checked.refuses(content, kind, says)


def test_shapes_off_a_known_image_are_warned_of(checked: Checker) -> None:
    assert checked(collection(feature()), image_size=(10, 10)).counts == {}
    assert checked(collection(feature()), image_size=(9, 10)).counts == {"off the image": 1}


def test_overlaps_are_found_when_asked_for(checked: Checker) -> None:
    overlapping = collection(without(feature(), "id"), without(feature(ACROSS), "id"))

    assert checked(overlapping).ok
    report = checked(overlapping, coverage=True)

    (fault,) = report.faults
    assert fault.kind == "overlap"
    assert fault.where == "feature 1"
    assert "feature 2 by 25" in fault.what


def test_a_shape_inside_another_overlaps_it(checked: Checker) -> None:
    inside = [[[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]]

    report = checked(collection(without(feature(), "id"), without(feature(inside), "id")), coverage=True)

    assert report.counts == {"overlap": 1}


def test_neighbours_with_the_same_corners_are_a_coverage(checked: Checker) -> None:
    apart = [[[50, 0], [60, 0], [60, 9], [50, 0]]]
    shapes = collection(*(without(feature(c), "id") for c in (SQUARE, BESIDE, apart)))

    assert checked(shapes, coverage=True).faults == ()


def test_neighbours_with_other_corners_are_warned_of(checked: Checker) -> None:
    tall = [[[10, 0], [20, 0], [20, 10], [10, 10], [10, 5], [10, 0]]]
    shapes = collection(without(feature(), "id"), without(feature(tall), "id"))

    report = checked(shapes, coverage=True)

    assert report.ok
    assert set(report.counts) == {"corners"}
