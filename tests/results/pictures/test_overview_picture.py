"""The overview picture: what it shows, what it says, how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import wsi_seg.results.pictures.overview_picture as overview
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID, ClassSchema, TissueClass
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.pictures.lettering import INK
from wsi_seg.results.pictures.overview_picture import draw_overview, round_length, write_overview_picture
from wsi_seg.results.pictures.painting import FILL, OUTLINE_SHADE
from wsi_seg.results.pictures.scene import Scene
from wsi_seg.results.summary import summarise_classes
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Lattice

if TYPE_CHECKING:
    from pathlib import Path

RED = (200, 0, 0)
GLASS = TissueClass(id=0, name="glass", color=(255, 255, 255))
TUMOUR = TissueClass(id=1, name="tumour", color=RED)
STROMA = TissueClass(id=7, name="stroma", color=(0, 0, 220))
SCHEMA = ClassSchema(name="toy", classes=(GLASS, TUMOUR, STROMA), background="glass")
FILL_ON_GLASS = tuple(round((1 - FILL) * (255 - 0.85 * 15) + FILL * c) for c in RED)


def frames_of(width: int, height: int) -> Frames:
    return Frames(
        bounds=Bounds(x=0, y=0, width=width, height=height),
        slide_mpp=(1.0, 1.0),
        downsample=(1.0, 1.0),
        label_size=(width, height),
    )


def scene_of(labels: np.ndarray, schema: ClassSchema = SCHEMA, mpp: float = 10.0) -> Scene:
    height, width = labels.shape
    counts = dict(enumerate(np.bincount(labels.ravel(), minlength=256).tolist()))
    return Scene(
        rgb=np.full((height, width, 3), 240, dtype=np.uint8),
        labels=labels,
        pixel_um=(mpp, mpp),
        schema=schema,
        classes=summarise_classes(counts, schema, frames_of(width, height)),
        unprocessed_mm2=counts.get(UNPROCESSED_ID, 0) * 1e-6,
        slide="slide.svs",
        model="toy",
    )


@pytest.fixture
def labels() -> np.ndarray:
    """Glass with a block of tumour in the middle."""
    labels = np.zeros((60, 40), dtype=np.uint8)
    labels[20:40, 10:30] = 1
    return labels


def share_of(picture: Image.Image, color: Sequence[float]) -> float:
    close = np.abs(np.asarray(picture).astype(int) - color).max(axis=2) <= 1
    return float(close.mean())


def test_classes_are_painted_on_one_of_two_panels(labels: np.ndarray) -> None:
    picture = draw_overview(scene_of(labels))
    pixels = np.asarray(picture).astype(int)
    columns = np.flatnonzero((np.abs(pixels - FILL_ON_GLASS).max(axis=2) <= 1).sum(axis=0) > 100)
    assert columns.min() > picture.width / 2
    assert share_of(picture, tuple(round(OUTLINE_SHADE * c) for c in RED)) > 0.0005
    assert max(picture.size) <= 1600


@pytest.mark.parametrize(("height", "width"), [(400, 30), (30, 400), (50, 50), (1, 1), (70, 100)])
def test_any_shape_fits_the_page(height: int, width: int) -> None:
    picture = draw_overview(scene_of(np.ones((height, width), dtype=np.uint8)))
    assert max(picture.size) <= 1600
    assert picture.width >= 940


def test_wide_slides_are_stacked() -> None:
    labels = np.zeros((30, 100), dtype=np.uint8)
    labels[10:20] = 1
    pixels = np.asarray(draw_overview(scene_of(labels))).astype(int)
    rows = np.flatnonzero((np.abs(pixels - FILL_ON_GLASS).max(axis=2) <= 1).sum(axis=1) > 100)
    assert rows.min() > len(pixels) / 2


def test_pixels_that_are_not_square_are_shown_in_proportion(labels: np.ndarray) -> None:
    flat = replace(scene_of(labels), pixel_um=(20.0, 10.0))
    pixels = np.asarray(draw_overview(flat)).astype(int)
    filled = np.abs(pixels - FILL_ON_GLASS).max(axis=2) <= 1
    high, wide = (np.count_nonzero(filled.sum(axis=axis) > 100) for axis in (1, 0))
    assert wide / high == pytest.approx(2, rel=0.05)


def test_scale_bar_is_as_long_as_it_says(labels: np.ndarray) -> None:
    """40 pixels of 10 um: the bar is 100 um, ten pixels."""
    pixels = np.asarray(draw_overview(scene_of(labels))).astype(int)
    filled = np.flatnonzero((np.abs(pixels - FILL_ON_GLASS).max(axis=2) <= 1).sum(axis=0) > 100)
    block = filled[-1] - filled[0] + 1
    dark = np.abs(pixels[:, : pixels.shape[1] // 2] - INK).max(axis=2) == 0
    bar = dark.sum(axis=1).max()
    assert bar == pytest.approx(block / 20 * 10, rel=0.03)


@given(st.floats(1e-3, 1e7))
def test_round_length_is_the_longest_round_one(limit: float) -> None:
    length = round_length(limit)
    assert limit / 2.5 * (1 - 1e-9) <= length <= limit * (1 + 1e-6)
    assert f"{length:.3e}"[:5] in {"1.000", "2.000", "5.000"}


def test_notice_is_on_the_picture(labels: np.ndarray) -> None:
    plain = scene_of(labels)
    warned = draw_overview(replace(plain, notices=("Demo model. Not for diagnosis.",)))
    assert share_of(draw_overview(plain), overview.AMBER_FILL) == 0
    assert share_of(warned, overview.AMBER_FILL) > 0.01
    assert share_of(warned, overview.AMBER_INK) > 0.0005


def test_tissue_outline_is_drawn_and_explained(labels: np.ndarray) -> None:
    plain = scene_of(labels)
    outlined = replace(plain, tissue=labels == 1)
    assert share_of(draw_overview(plain), overview.TISSUE_COLOR) == 0
    assert share_of(draw_overview(outlined), overview.TISSUE_COLOR) > 0.0005
    assert [entry.name for entry in overview._entries(outlined)] == ["tumour", "Tissue that was found"]


def test_legend_lists_what_was_found_by_area(labels: np.ndarray) -> None:
    labels[0, :] = 7
    labels[50:, :] = UNPROCESSED_ID
    labels[45:50, :] = OUTSIDE_ID
    scene = scene_of(labels)
    entries = overview._entries(scene)
    assert [entry.name for entry in entries] == ["tumour", "stroma", "Could not be read", "Not analysed"]
    assert [entry.mm2 for entry in entries[:3]] == pytest.approx([400e-6, 40e-6, 400e-6])
    assert [entry.share for entry in entries[:2]] == pytest.approx([400 / 440, 40 / 440])
    assert scene.absent == ()
    assert scene_of(np.ones((3, 3), dtype=np.uint8)).absent == ("stroma",)


def test_a_class_has_the_same_colour_in_the_legend_as_in_the_map(labels: np.ndarray) -> None:
    scene = scene_of(labels)
    scene.rgb[labels == 1] = 150, 60, 120  # dark tissue
    fill = overview._entries(scene)[0].swatch.getpixel((18, 11))
    assert isinstance(fill, tuple)
    assert share_of(draw_overview(scene), fill) > 0.01


def test_an_empty_result_says_so(labels: np.ndarray) -> None:
    without_glass = ClassSchema(name="bare", classes=(TUMOUR, STROMA))
    glass = np.zeros_like(labels)
    assert scene_of(labels).emptiness is None
    assert scene_of(glass).emptiness == "Nothing but glass was found"
    assert replace(scene_of(glass), tissue=glass > 0).emptiness == "No tissue was found"
    assert scene_of(np.full_like(labels, OUTSIDE_ID), without_glass).emptiness == "No class was found"
    assert scene_of(np.full_like(labels, UNPROCESSED_ID)).emptiness == "Nothing could be analysed"
    pixels = np.asarray(draw_overview(scene_of(glass)))
    right_panel = pixels[300:-200, pixels.shape[1] // 2 + 60 : -60]
    assert (right_panel == INK).all(axis=2).any()


def test_pictures_of_different_size_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="does not lie on"):
        replace(scene_of(labels), tissue=np.ones((3, 3), dtype=bool))


def test_a_finished_result_becomes_a_png(tmp_path: Path) -> None:
    width, height = 700, 500
    layout = PyramidLayout(frames_of(width, height), SCHEMA, region=256, overview_level=1)
    writer = PyramidWriter(tmp_path / "slide.ome.zarr", layout)
    writer.create({"slide": "the slide.svs", "model": "toy", "notice": "Not for diagnosis."})
    for region in Lattice(width, height, patch=128, halo=0, region_cores=2).regions():
        rect = region.label_rect
        writer.write_region(rect, np.full((rect.height, rect.width), 1, dtype=np.uint8))
    writer.build_levels(workers=1)
    labels = read_labels(writer.path)
    rgb = np.full((250, 350, 3), 240, dtype=np.uint8)

    path = tmp_path / "overview.png"
    write_overview_picture(path, rgb, labels, {1: width * height})
    with Image.open(path) as picture:
        assert share_of(picture.convert("RGB"), FILL_ON_GLASS) > 0.2
        assert share_of(picture.convert("RGB"), overview.AMBER_FILL) > 0.01
    assert {p.name for p in tmp_path.iterdir()} == {"slide.ome.zarr", "overview.png"}

    with pytest.raises(UsageError, match="no level of its labels has 350 x 249 pixels"):
        write_overview_picture(path, rgb[1:], labels, {1: width * height})
    with pytest.raises(OutputError, match=r"cannot be written .* run the same command again"):
        write_overview_picture(path / "overview.png", rgb, labels, {1: width * height})
