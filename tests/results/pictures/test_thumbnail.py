"""Thumbnails show the result in small, and stay small."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from helpers.written_results import write_labels
from PIL import Image

from wsi_seg.errors import OutputError
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.pictures.thumbnail import MOST_BYTES, SIDE, Thumbnail, thumbnail_of, thumbnails


def pixels_of(shown: Thumbnail) -> np.ndarray:
    with Image.open(io.BytesIO(shown.jpeg)) as picture:
        assert picture.size == (shown.width, shown.height)
        return np.asarray(picture.convert("RGB"), dtype=int)


def test_the_slide_and_the_classes_over_it_lie_in_place(tmp_path: Path) -> None:
    labels = np.zeros((300, 600), np.uint8)
    labels[:, 300:] = 2
    folder = write_labels(tmp_path / "a", labels)
    slide, classes = thumbnails(read_labels(folder / "slide.ome.zarr"))
    assert (slide.width, slide.height) == (classes.width, classes.height) == (SIDE, SIDE // 2)
    assert np.abs(pixels_of(slide) - 90).max() < 8
    left, right = np.split(pixels_of(classes), 2, axis=1)
    assert left[..., 2].mean() - left[..., 0].mean() < 5  # glass is not painted
    assert right[..., 2].mean() - right[..., 0].mean() > 40  # tumour is blue


def test_a_thumbnail_of_noise_is_small_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)
    assert len(thumbnail_of(Image.fromarray(noise)).jpeg) < 2 * MOST_BYTES
    assert (thumbnail_of(Image.new("RGB", (3, 900))).width, SIDE) == (1, 240)


def test_labels_without_a_file_of_pixels_have_none(tmp_path: Path) -> None:
    folder = write_labels(tmp_path / "a", np.full((64, 64), 1, np.uint8))
    for path in (folder / "slide.ome.zarr" / "0").rglob("0"):
        path.unlink(missing_ok=True) if path.is_file() else None
    with pytest.raises(OutputError, match="cannot be read"):
        thumbnails(read_labels(folder / "slide.ome.zarr"))
