from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import shapely

from wsi_seg.annotations.annotation import Annotation
from wsi_seg.annotations.annotation_files import AnnotationFile
from wsi_seg.data.named_classes import DISTINCT, missing_classes, recoloured, schema_from_annotations
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.models.classes import ClassSchema, Rgb, TissueClass

RED, BLUE = (200, 0, 0), (0, 0, 200)


def annotated(
    *classes: str | tuple[str | None, Rgb | None] | None, name: str = "a.geojson"
) -> AnnotationFile:
    """A file of unit squares of these classes; a class may come with its colour."""
    named = [c if isinstance(c, tuple) else (c, None) for c in classes]
    shapes = [
        Annotation(shapely.box(0, 0, 1, 1), class_name, color, order)
        for order, (class_name, color) in enumerate(named, start=1)
    ]
    return AnnotationFile(Path(name), "QuPath GeoJSON", "qupath", tuple(shapes))


def test_classes_are_counted_from_0_by_name_with_the_files_colours() -> None:
    files = [annotated(("Tumour", RED), ("stroma", None)), annotated(("Fat", BLUE), ("TUMOUR ", BLUE))]

    schema = schema_from_annotations(files)
    turned = schema_from_annotations(files[::-1])

    assert [(c.id, c.name) for c in schema.classes] == [(0, "Fat"), (1, "stroma"), (2, "Tumour")]
    assert schema.classes[0].color == BLUE
    assert schema.classes[2].color == RED
    assert [c.name.casefold().strip() for c in turned.classes] == ["fat", "stroma", "tumour"]
    assert schema.background is None


def test_the_rest_comes_first_and_is_no_background() -> None:
    schema = schema_from_annotations([annotated("A", "B")], rest="Other tissue")

    assert [(c.id, c.name) for c in schema.classes] == [(0, "Other tissue"), (1, "A"), (2, "B")]
    assert schema.background is None


def test_the_rest_may_be_outlined_too() -> None:
    schema = schema_from_annotations([annotated("A", ("other TISSUE", BLUE))], rest="Other tissue")

    assert (schema.classes[0].name, schema.classes[0].color) == ("Other tissue", BLUE)
    assert len(schema) == 2


def test_classes_drawn_in_one_colour_are_shown_in_several_and_told() -> None:
    # ASAP draws all groups in one yellow, unless the user changes it.
    yellow = (244, 250, 88)
    files = [annotated(("A", yellow), ("B", yellow), ("C", (242, 250, 90)), ("D", BLUE))]

    schema = schema_from_annotations(files, rest="Rest")

    shown = {c.name: c.color for c in schema.classes}
    assert (shown["A"], shown["D"]) == (yellow, BLUE)
    for one, other in itertools.combinations(shown.values(), 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) >= DISTINCT
    assert list(recoloured(files, schema)) == [
        "drawn in the colour of another class, and shown in a colour of its own: B, C"
    ]


def test_a_class_drawn_in_two_colours_has_its_first_and_nothing_is_told() -> None:
    files = [annotated(("A", RED), ("B", BLUE), ("a", BLUE))]

    schema = schema_from_annotations(files)

    assert [c.color for c in schema.classes] == [RED, BLUE]
    assert list(recoloured(files, schema)) == []


def test_colours_that_are_missing_differ_from_all_others() -> None:
    schema = schema_from_annotations([annotated(*"ABCDEFGH", ("I", (230, 25, 75)))], rest="Rest")

    colors = [c.color for c in schema.classes]
    assert len(set(colors)) == 10
    assert all(
        max(abs(x - y) for x, y in zip(a, b, strict=True)) >= DISTINCT
        for i, a in enumerate(colors)
        for b in colors[:i]
    )


def test_more_classes_than_colours_are_no_fault() -> None:
    assert len(schema_from_annotations([annotated(*(f"class {i}" for i in range(60)))])) == 60


def test_regions_ignored_shapes_and_unnamed_ones_are_no_classes() -> None:
    file = annotated("A", "B", None, "Ignore*", "Region*", "ROI", "roi ")

    assert [c.name for c in schema_from_annotations([file], roi_class="Roi").classes] == ["A", "B"]


@pytest.mark.parametrize("classes", [("A",), ("A", "a"), ("A", "Ignore*"), ("Ignore*", "Region*")])
def test_one_class_alone_is_refused(classes: list[str | None]) -> None:
    with pytest.raises(UsageError, match="--rest"):
        schema_from_annotations([annotated(*classes)])


@pytest.mark.parametrize("rest", ["", " ", ":", "Ignore*"])
def test_a_rest_that_is_no_name_is_refused(rest: str) -> None:
    with pytest.raises(UsageError, match=r"--rest .* not a name for a class"):
        schema_from_annotations([annotated("A", "B")], rest=rest)


def test_shapes_without_a_class_are_refused() -> None:
    with pytest.raises(AnnotationError, match=r"a\.geojson, b\.geojson: no shape has a class"):
        schema_from_annotations([annotated(None), annotated(None, name="b.geojson")], rest="Rest")


def test_classes_that_a_schema_lacks_are_listed_together() -> None:
    classes = (TissueClass(id=0, name="A", color=RED), TissueClass(id=1, name="B", color=BLUE))
    schema = ClassSchema(name="ab", classes=classes)
    files = [annotated("A", "X", "b", None, "Ignore*"), annotated("X", "B: Y", "Y: B", "ROI", name="b.xml")]

    assert missing_classes(files, schema, TruthSettings(roi_class="ROI")) == [
        "'X' (2 shapes, first in a.geojson)",
        "'Y: B' (1 shape, first in b.xml)",
    ]
