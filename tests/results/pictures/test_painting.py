"""Painting: each kind of pixel looks as it should, and edges stay where they are."""

from __future__ import annotations

import numpy as np

from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID, ClassSchema, TissueClass
from wsi_seg.results.pictures.painting import (
    FILL,
    GLASS,
    OUTLINE_SHADE,
    mean_color,
    paint_classes,
    paint_mask,
    paint_slide,
    paint_swatch,
)

RED, BLUE = (200, 0, 0), (0, 0, 220)
SCHEMA = ClassSchema(
    name="toy",
    classes=(
        TissueClass(id=0, name="glass", color=(255, 255, 255)),
        TissueClass(id=1, name="tumour", color=RED),
        TissueClass(id=7, name="stroma", color=BLUE),
    ),
    background="glass",
)
PINK = (230, 160, 190)


def painted(labels: np.ndarray, scale: int = 4) -> np.ndarray:
    height, width = labels.shape
    rgb = np.full((height, width, 3), PINK, dtype=np.uint8)
    return np.asarray(paint_classes(rgb, labels, SCHEMA, (width * scale, height * scale))).astype(int)


def paper_of(rgb: tuple[int, int, int]) -> np.ndarray:
    """The paled slide, worked out by hand: three quarters grey, and 15 % towards white."""
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    return 255 - 0.85 * (255 - (0.25 * np.array(rgb) + 0.75 * grey))


def test_fill_outline_and_background() -> None:
    labels = np.zeros((30, 40), dtype=np.uint8)
    labels[:, 10:25] = 1
    labels[:, 25:] = 7
    picture = painted(labels)
    np.testing.assert_allclose(picture[60, 20], paper_of(PINK), atol=1)
    for x, color in ((70, RED), (140, BLUE)):
        np.testing.assert_allclose(
            picture[60, x], (1 - FILL) * paper_of(PINK) + FILL * np.array(color), atol=1
        )
    for x, color in ((40, RED), (99, RED), (100, BLUE)):
        np.testing.assert_allclose(picture[60, x], OUTLINE_SHADE * np.array(color), atol=1)
    np.testing.assert_allclose(picture[60, 39], paper_of(PINK), atol=1)


def test_unprocessed_is_striped_and_outside_is_veiled() -> None:
    labels = np.zeros((30, 40), dtype=np.uint8)
    labels[:, 10:25] = UNPROCESSED_ID
    labels[:, 25:] = OUTSIDE_ID
    picture = painted(labels)
    stripes = picture[60, 44:96].mean(axis=1)
    crossings = np.count_nonzero(np.diff(stripes > stripes.mean()))
    assert 8 <= crossings <= 12
    np.testing.assert_allclose(picture[60, 130], 255 - 0.45 * (255 - paper_of(PINK)), atol=1)


def test_large_labels_are_reduced_by_majority() -> None:
    labels = np.full((400, 400), 1, dtype=np.uint8)
    labels[::7, ::5] = 7
    rgb = np.full((400, 400, 3), PINK, dtype=np.uint8)
    picture = np.asarray(paint_classes(rgb, labels, SCHEMA, (50, 50))).astype(int)
    np.testing.assert_allclose(picture, np.full_like(picture, picture[25, 25]), atol=1)
    np.testing.assert_allclose(picture[25, 25], (1 - FILL) * paper_of(PINK) + FILL * np.array(RED), atol=1)


def test_mask_is_outlined_inside() -> None:
    rgb = np.full((30, 40, 3), PINK, dtype=np.uint8)
    mask = np.zeros((30, 40), dtype=bool)
    mask[10:20, 10:30] = True
    picture = np.asarray(paint_mask(rgb, mask, (160, 120), (0, 110, 80)))
    assert tuple(picture[60, 40]) == (0, 110, 80)
    assert tuple(picture[60, 80]) == PINK
    assert tuple(picture[60, 38]) == PINK


def test_slide_keeps_its_colours() -> None:
    rgb = np.full((30, 40, 3), PINK, dtype=np.uint8)
    assert paint_slide(rgb, (13, 7)).size == (13, 7)
    assert paint_slide(rgb, (13, 7)).getcolors() == [(13 * 7, PINK)]


def test_swatch_shows_fill_and_outline() -> None:
    swatch = np.asarray(paint_swatch(1, SCHEMA, (36, 22))).astype(int)
    assert swatch.shape == (22, 36, 3)
    for edge in (swatch[0, 18], swatch[-1, 18], swatch[11, 0], swatch[11, -1]):
        np.testing.assert_allclose(edge, OUTLINE_SHADE * np.array(RED), atol=1)
    np.testing.assert_allclose(
        swatch[11, 18], (1 - FILL) * paper_of((240, 240, 240)) + FILL * np.array(RED), atol=1
    )


def test_a_swatch_looks_as_its_class_does_on_the_slide() -> None:
    rgb = np.full((40, 60, 3), 240, dtype=np.uint8)
    rgb[:, 20:] = PINK
    labels = np.full((40, 60), 1, dtype=np.uint8)
    labels[:, :20] = 0
    shown = np.asarray(paint_classes(rgb, labels, SCHEMA, (60, 40)))[20, 40]
    under = mean_color(rgb, labels == 1)
    assert tuple(under) == PINK
    swatch = np.asarray(paint_swatch(1, SCHEMA, (36, 22), under))
    np.testing.assert_allclose(swatch[11, 18].astype(int), shown, atol=1)
    assert tuple(mean_color(rgb, labels == 9)) == GLASS
