from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pictures import CLASSES, SCHEMA, VALUES, flip_bit, save
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from wsi_seg.data import masks
from wsi_seg.data.masks import UNDEFINED, MaskContent, code_of_ids, code_of_names, read_content, read_mask
from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import AnnotationError, UsageError

CODING = code_of_ids(SCHEMA)
COLORS = {0: (255, 255, 255), 3: (255, 150, 255), 7: (90, 90, 90), 255: (0, 0, 0)}
PAINTED = np.array([[COLORS[value] for value in row] for row in VALUES.tolist()], np.uint8)


def grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return values


def equal_channels(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(values[..., None], 3, axis=2)


def opaque(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([equal_channels(values), np.full_like(values, 255)])


def wide(values: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return values.astype(np.uint16)


@pytest.mark.parametrize("form", [grey, equal_channels, opaque, wide])
def test_values_are_class_ids(tmp_path: Path, form: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
    path = save(tmp_path / "mask.png", form(VALUES))
    assert np.array_equal(read_mask(path, CODING), CLASSES)
    content = read_content(path)
    assert (content.size, content.values) == ((4, 3), frozenset({0, 3, 7, 255}))
    assert not content.painted
    assert CODING.undefined(content) == []


def test_palettes_do_not_matter(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", VALUES, palette=[200, 3, 3] * 256)
    with Image.open(path) as image:
        assert image.mode == "P"
    assert np.array_equal(read_mask(path, CODING), CLASSES)
    assert read_content(path).values == {0, 3, 7, 255}


def test_masks_of_one_bit(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", np.eye(5, dtype=bool))
    assert read_content(path).values == {0, 1}
    names = code_of_names(SCHEMA, {0: "Glass", 1: "tumour"})
    assert np.array_equal(read_mask(path, names), 2 * np.eye(5))


def test_painted_masks_are_told_by_their_colours(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", PAINTED)
    content = read_content(path)
    assert content.painted
    coding = replace(CODING, painted=True)
    assert coding.undefined(content) == []
    assert np.array_equal(read_mask(path, coding), CLASSES)
    # One that happens to be grey all over is as painted as its neighbours.
    path = save(tmp_path / "grey.png", np.full((2, 2, 3), 90, np.uint8))
    assert not read_content(path).painted
    assert (read_mask(path, coding) == 2).all()


def test_a_colour_that_two_classes_share_tells_neither() -> None:
    twins = SCHEMA.model_copy(
        update={"classes": tuple(c.model_copy(update={"color": (9, 9, 8)}) for c in SCHEMA.classes[:2])}
    )
    content = MaskContent((1, 1), frozenset({9}), frozenset({(9, 9, 8)}))
    assert replace(code_of_ids(twins), painted=True).undefined(content) == ["rgb(9,9,8)"]


def test_unknown_values_and_colours_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", np.array([[0, 1, 3, 200]], np.uint8))
    assert CODING.undefined(read_content(path)) == ["1", "200"]
    with pytest.raises(AnnotationError, match=r"mask.png: 1, 200 has no class"):
        read_mask(path, CODING)
    coding = replace(CODING, painted=True)
    path = save(tmp_path / "painted.png", np.array([[[255, 150, 255], [1, 2, 3]]], np.uint8))
    assert coding.undefined(read_content(path)) == ["rgb(1,2,3)"]
    with pytest.raises(AnnotationError, match=r"rgb\(1,2,3\) has no class"):
        read_mask(path, coding)


def test_instances_are_members_of_their_class(tmp_path: Path) -> None:
    values = np.array([[7, 999, 7000, 7012], [3000, 255, 65535, 256]], np.uint16)
    coding = code_of_names(SCHEMA, {3: "Stroma", 7: None}, per_instance=True)
    expected = [[IGNORE, UNDEFINED, IGNORE, IGNORE], [1, IGNORE, UNDEFINED, UNDEFINED]]
    assert coding.decode(values).tolist() == expected
    assert coding.undefined(read_content(save(tmp_path / "m.png", values))) == ["256", "999", "65535"]


def test_names_must_be_in_the_schema() -> None:
    assert code_of_names(SCHEMA, {5: "stroma"}).table[5] == 1
    with pytest.raises(UsageError, match="'tissue' has no class 'Blood'"):
        code_of_names(SCHEMA, {5: "Blood"})


@given(hnp.arrays(np.int32, (3, 4), elements=st.integers(-5, 40_000)), st.booleans())
def test_decoding_one_by_one_gives_the_same(values: NDArray[np.int32], per_instance: bool) -> None:
    coding = code_of_names(SCHEMA, {1: "Glass", 26: "Tumour", 33: None}, per_instance)

    def decoded(value: int) -> int:
        if per_instance and value >= 1000:
            value //= 1000
        return {1: 0, 26: 2, 33: IGNORE, 255: IGNORE}.get(value, UNDEFINED)

    assert coding.decode(values).tolist() == [[decoded(v) for v in row] for row in values.tolist()]


@pytest.mark.parametrize(
    ("name", "pixels", "reason"),
    [
        ("a.jpg", VALUES, "JPEG alters the values"),
        ("a.png", np.dstack([VALUES, VALUES]), "LA pixels are not classes"),
        ("b.png", np.dstack([opaque(VALUES)[..., :3], VALUES]), "RGBA pixels are not classes"),
        ("c.png", np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8), "not a picture"),
    ],
)
def test_pictures_that_are_no_masks_are_refused(
    tmp_path: Path, name: str, pixels: NDArray[np.uint8], reason: str
) -> None:
    path = save(tmp_path / name, pixels)
    with pytest.raises(AnnotationError, match=reason) as caught:
        read_content(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("read", [read_content, lambda path: read_mask(path, CODING)])
def test_a_flipped_bit_is_never_another_class(tmp_path: Path, read: Callable[[Path], object]) -> None:
    blocks = np.kron(np.random.default_rng(0).choice([0, 3, 7], (40, 40)), np.ones((8, 8))).astype(np.uint8)
    path = tmp_path / "mask.png"
    for at in range(2, 200):
        save(path, blocks)
        flip_bit(path, at)
        with pytest.raises(AnnotationError, match=r"cannot be read as a mask \(.*\): give a sound PNG"):
            read(path)


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mask.png"
    if content is None:
        noise = np.random.default_rng(0).integers(0, 8, (64, 64), np.uint8)
        content = save(path, noise).read_bytes()[:-500]
    path.write_bytes(content)
    for read in (read_content, lambda path: read_mask(path, CODING)):
        with pytest.raises(AnnotationError, match="cannot be read as a mask"):
            read(path)
    with pytest.raises(AnnotationError, match="cannot be read as a mask"):
        read_content(tmp_path / "absent.png")


def test_a_mask_is_no_larger_than_an_image_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "mask.png", VALUES)
    monkeypatch.setattr(masks, "MAX_PIXELS", VALUES.size)
    read_content(path)
    monkeypatch.setattr(masks, "MAX_PIXELS", VALUES.size - 1)
    with pytest.raises(AnnotationError, match=r"mask.png: \d+ x \d+ pixels are too many for a mask"):
        read_content(path)
