from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import CLASSES, SCHEMA, VALUES, save, save_pair
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from wsi_seg.data import masked_images as images
from wsi_seg.data.masked_images import LabelledImage
from wsi_seg.data.masks import code_of_ids
from wsi_seg.data.sources import IGNORE, LabelledPixels, Source
from wsi_seg.errors import AnnotationError, SlideError
from wsi_seg.slides.lattice import Rect

CODING = code_of_ids(SCHEMA)
WHOLE = Rect(0, 0, 3, 4)


def labelled(folder: Path, name: str = "a", values: NDArray[np.uint8] = VALUES) -> LabelledImage:
    image, mask = folder / f"{name}.png", folder / f"{name}_mask.png"
    save_pair(image, mask, values)
    return LabelledImage(name, values.shape[::-1], image, mask, CODING)


def test_parts_are_parts_of_the_whole(tmp_path: Path) -> None:
    source: Source = labelled(tmp_path)
    with Image.open(tmp_path / "a.png") as image:
        rgb = np.asarray(image)
    whole = source.read(WHOLE)
    assert np.array_equal(whole.rgb, rgb)
    assert np.array_equal(whole.classes, CLASSES)
    part = source.read(Rect(1, 2, 3, 4))
    assert np.array_equal(part.rgb, rgb[1:3, 2:4])
    assert np.array_equal(part.classes, CLASSES[1:3, 2:4])
    part.rgb[:] = 0
    part.classes[:] = 0
    assert np.array_equal(source.read(WHOLE).rgb, rgb)
    assert np.array_equal(source.read(WHOLE).classes, CLASSES)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 7))
def test_class_maps_hold_the_centres(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, stride: int
) -> None:
    values = np.random.default_rng(width * height).choice(np.array([0, 3, 7, 255], np.uint8), (height, width))
    source = labelled(tmp_path_factory.mktemp("map"), values=values)
    classes = source.read(Rect(0, 0, height, width)).classes
    expected = np.empty((height // stride, width // stride), np.uint8)
    for y, x in np.ndindex(expected.shape):
        expected[y, x] = classes[y * stride + stride // 2, x * stride + stride // 2]
    assert np.array_equal(source.class_map(stride), expected)


def test_it_pickles_small_and_reads_in_threads(tmp_path: Path) -> None:
    sources = [labelled(tmp_path, name) for name in "abcdef"]
    sources[0].read(WHOLE)
    assert len(pickle.dumps(sources[0])) < 2000
    copies = pickle.loads(pickle.dumps(sources))
    assert copies == sources
    with ThreadPoolExecutor(4) as pool:
        for read in pool.map(lambda source: source.read(WHOLE), copies * 5):
            assert np.array_equal(read.classes, CLASSES)


def test_few_pictures_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_KEPT_PIXELS", 2 * CLASSES.size)
    decoded = []
    decode = LabelledImage.decode

    def counted(source: LabelledImage) -> LabelledPixels:
        decoded.append(source.name)
        return decode(source)

    monkeypatch.setattr(LabelledImage, "decode", counted)
    kept = images._Kept()
    sources = {name: labelled(tmp_path, name) for name in "abc"}
    for name in "aabbaacacb":
        kept.get(sources[name])
    assert decoded == ["a", "b", "c", "b"]


def test_nothing_is_known_without_a_mask(tmp_path: Path) -> None:
    source = labelled(tmp_path)
    source = LabelledImage("a", (4, 3), source.image, None, CODING)
    assert (source.read(WHOLE).classes == IGNORE).all()
    assert (source.class_map(2) == IGNORE).all()


def test_what_changes_after_the_check_is_one_line(tmp_path: Path) -> None:
    source = labelled(tmp_path, "gone")
    source.image.unlink()
    with pytest.raises(SlideError, match=r"gone\.png: Pillow cannot read it as an image"):
        source.read(WHOLE)
    source = labelled(tmp_path, "lost")
    assert source.mask is not None
    source.mask.unlink()
    with pytest.raises(AnnotationError, match=r"lost_mask\.png: cannot be read as a mask"):
        source.read(WHOLE)
    source = labelled(tmp_path, "other")
    assert source.mask is not None
    save(source.mask, VALUES[:2])
    with pytest.raises(AnnotationError, match=r"other_mask\.png: 4 x 2, but .*other\.png is 4 x 3"):
        source.read(WHOLE)
