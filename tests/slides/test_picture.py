from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import flip_bit
from PIL import Image

from wsi_seg.errors import SlideError
from wsi_seg.slides import picture
from wsi_seg.slides.picture import read_rgb, verified_size

RGB = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_sizes_are_those_of_the_upright_picture(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(RGB)
    exif = image.getexif()
    if orientation is not None and suffix != "bmp":
        exif[0x0112] = orientation
    image.save(path, exif=exif)
    height, width = read_rgb(path).shape[:2]
    assert verified_size(path) == (width, height)
    assert (width, height) == ((60, 90) if exif.get(0x0112) in (6, 8) else (90, 60))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("harm", ["cut", "emptied", "other"])
def test_damage_is_found_without_decoding_all(tmp_path: Path, suffix: str, harm: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path)
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) * 3 // 4], "emptied": b"", "other": b"no image"}[harm])
    with pytest.raises(
        SlideError, match=r"Pillow cannot read it as an image \(.*\): give a sound PNG"
    ) as caught:
        verified_size(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("read", [read_rgb, verified_size])
def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "a.png"
    for at in range(0, 15_000, 100):
        Image.fromarray(RGB).save(path)
        flip_bit(path, at)
        with pytest.raises(SlideError, match="Pillow cannot read it as an image"):
            read(path)


def test_too_large_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(picture, "MAX_PIXELS", 5399)
    with pytest.raises(SlideError, match="90 x 60 pixels are too many"):
        verified_size(path)
    monkeypatch.setattr(picture, "MAX_PIXELS", 5400)
    assert verified_size(path) == (90, 60)
