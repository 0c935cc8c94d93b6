"""Pictures as slides: RGB or grey of 8 bits, upright, of one level; anything else is refused by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb
from PIL import Image

from wsi_seg.errors import MppError, SlideError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.picture import ORIENTATION
from wsi_seg.slides.readers import picture_reader
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.slide import Slide

HEIGHT, WIDTH = 90, 120
RGB = tissue_rgb(HEIGHT, WIDTH)
ALL = Rect(0, 0, HEIGHT, WIDTH)
IMAGE = Image.fromarray(RGB)


def save(path: Path, image: Image.Image = IMAGE, **options: Any) -> Path:
    image.save(path, **options)
    return path


def shown(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.JPG"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_pixels_are_those_of_the_picture(tmp_path: Path, name: str, mode: str) -> None:
    if name == "a.JPG" and mode in ("P", "1"):
        mode = "L"
    path = save(tmp_path / name, IMAGE.convert(mode))
    whole = shown(Image.open(path))
    reader = open_reader(path)
    for rect in (ALL, Rect(5, 7, 31, 40)):
        rgba, unreadable = reader.read(0, rect)
        np.testing.assert_array_equal(rgba[..., :3], whole[rect.slices])
        assert (rgba[..., 3] == 255).all()
        assert unreadable == []
    beyond = reader.read(0, Rect(80, 110, 100, 130))[0]
    np.testing.assert_array_equal(beyond[:10, :10, :3], whole[80:, 110:])
    assert not beyond[10:].any()
    assert not beyond[:, 10:].any()


def test_transparent_pixels_lie_over_white_and_are_not_recorded(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:40] = 0
    path = save(tmp_path / "a.png", Image.fromarray(np.dstack([RGB, alpha])))
    with Slide(path, mpp=2.0) as slide:
        read = slide.read(ALL, slide.frames(2.0))
    assert (read.rgb[:40] == 255).all()
    np.testing.assert_array_equal(read.rgb[40:], RGB[40:])
    np.testing.assert_array_equal(read.present, alpha > 0)


def test_a_picture_states_no_resolution(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", dpi=(50800, 50800))
    with Slide(path) as slide, pytest.raises(MppError, match=r"a\.png: .* with --mpp \(um per px\)"):
        _ = slide.mpp
    with Slide(path, mpp=0.5) as slide:
        assert (slide.mpp, slide.format, len(slide.levels)) == ((0.5, 0.5), "png", 1)


def test_threads_and_copies_read_one_decoded_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Image.Image] = []
    to_array = picture_reader._to_array

    def counted(image: Image.Image) -> np.ndarray:
        decoded.append(image)
        return to_array(image)

    monkeypatch.setattr(picture_reader, "_to_array", counted)
    path = save(tmp_path / "a.png")
    with Slide(path, mpp=2.0) as slide, pickle.loads(pickle.dumps(slide)) as copy:
        frames = slide.frames(2.0)
        with ThreadPoolExecutor(4) as pool:
            for opened in (slide, copy):
                for read in pool.map(lambda _, s=opened: s.read(ALL, frames), range(8)):
                    np.testing.assert_array_equal(read.rgb, RGB)
    assert len(decoded) == 1


def test_decoded_pictures_are_let_go_when_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_reader, "_kept", picture_reader._Kept())
    monkeypatch.setattr(picture_reader, "KEPT_BYTES", 2 * RGB.nbytes)
    readers = [open_reader(save(tmp_path / f"{i}.png", Image.fromarray(255 - RGB + i))) for i in range(5)]
    assert len(picture_reader._kept._pictures) == 2
    for i, reader in enumerate(readers):
        np.testing.assert_array_equal(reader.read(0, ALL)[0][..., :3], 255 - RGB + i)


def exif(turn: int) -> Image.Exif:
    found = Image.Exif()
    found[ORIENTATION] = turn
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "turned.jpg": (lambda p: save(p, exif=exif(6)), "is to be shown turned (EXIF orientation 6)"),
    "turned.png": (lambda p: save(p, exif=exif(3)), "is to be shown turned (EXIF orientation 3)"),
    "cmyk.jpg": (lambda p: save(p, IMAGE.convert("CMYK")), "its colours are CMYK: convert it to RGB"),
    "deep.png": (
        lambda p: save(p, Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)),
        "holds more than 8 bits per sample: convert it to 8 bits",
    ),
    "cut.png": (lambda p: cut(save(p)), "Pillow cannot read it as an image"),
    "cut.jpg": (lambda p: cut(save(p)), "Pillow cannot read it as an image"),
    "flipped.png": (lambda p: flip(save(p)), "Pillow cannot read it as an image"),
    "empty.png": (lambda p: p.touch(), "Pillow cannot read it as an image"),
    "text.jpeg": (lambda p: p.write_text("no picture"), "Pillow cannot read it as an image"),
    "moving.png": (
        lambda p: save(p, save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        "holds 2 pictures: save one of them",
    ),
}


@pytest.mark.parametrize(("name", "make", "said"), [(n, *r) for n, r in REFUSED.items()], ids=REFUSED)
def test_what_is_not_clear_is_refused_by_name(
    tmp_path: Path, name: str, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(SlideError) as caught:
        open_reader(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_pixels_than_are_kept_in_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png")
    monkeypatch.setattr("wsi_seg.slides.picture.MAX_PIXELS", HEIGHT * WIDTH - 1)
    with pytest.raises(SlideError, match=r"a\.png: 120 x 90 pixels are too many .* pyramidal TIFF"):
        open_reader(path)
