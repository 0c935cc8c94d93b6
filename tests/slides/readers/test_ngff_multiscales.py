"""What OME-Zarr metadata says of an image: levels, scales, units, channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.zarrs import RGB, pixels_of, restated, write_zarr

from wsi_seg.errors import MppError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.slide import Slide


def levels_of(path: Path) -> list[tuple[int, float]]:
    reader = open_reader(path)
    return [(level.width, level.scale_x) for level in reader.levels]


def test_levels_have_the_scale_that_is_stated_and_lie_where_it_is_stated(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", levels=3)
    assert levels_of(path) == [(420, 1.0), (210, 2.0), (105, 4.0)]
    np.testing.assert_array_equal(pixels_of(path, Rect(0, 0, 75, 105), 2), RGB[::4, ::4])

    def place(shifts: list[float]) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            for dataset, shift in zip(content["multiscales"][0]["datasets"], shifts, strict=True):
                dataset["coordinateTransformations"][1:] = [
                    {"type": "translation", "translation": [0.0, shift, shift]}
                ]

        return change

    centred, cornered, elsewhere = [0.0, 1.0, 3.0], [7.0, 7.0, 7.0], [0.0, 1.0, 40.0]
    assert len(levels_of(restated(path, place(centred)))) == 3
    assert len(levels_of(restated(path, place(cornered)))) == 3
    assert levels_of(restated(path, place(elsewhere))) == [(420, 1.0), (210, 2.0)]
    assert "1 misplaced level" in open_reader(path).how


def test_a_level_of_another_extent_is_left_out_and_equal_scales_state_nothing(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", levels=2)

    def stating(*scales: float) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            for dataset, scale in zip(content["multiscales"][0]["datasets"], scales, strict=True):
                dataset["coordinateTransformations"] = [{"type": "scale", "scale": [1, scale, scale]}]

        return change

    assert levels_of(restated(path, stating(0.5, 2.0))) == [(420, 1.0)]
    assert levels_of(restated(path, stating(0.5, 0.5))) == [(420, 1.0), (210, 2.0)]


@pytest.mark.parametrize(
    ("mpp", "unit", "found"),
    [
        (0.5, "micrometer", 0.5),
        (500, "nanometer", 0.5),
        (0.0005, "millimeter", 0.5),
        (5000, "angstrom", 0.5),
        (5e-10, "kilometre", 0.5),
        (5e8, "femtometer", 0.5),
        (0.5 / 914_400, "yard", 0.5),
    ],
)
def test_any_unit_of_length_is_known(tmp_path: Path, mpp: float, unit: str, found: float) -> None:
    with Slide(write_zarr(tmp_path / "s.zarr", mpp=mpp, unit=unit)) as slide:
        assert slide.mpp == pytest.approx((found, found))


@pytest.mark.parametrize("unit", [None, "pixel"])
def test_without_a_unit_no_resolution_is_stated(tmp_path: Path, unit: str | None) -> None:
    path = write_zarr(tmp_path / "s.zarr", mpp=1, unit=unit)
    with (
        Slide(path) as slide,
        pytest.raises(MppError, match=r"s\.zarr: .*does not state its resolution.*--mpp"),
    ):
        _ = slide.mpp
    with Slide(path, mpp=0.5) as slide:
        assert slide.mpp == (0.5, 0.5)


def test_a_scale_without_a_unit_is_quoted(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", mpp=0.467, unit=None)
    said = r"its scale is 0\.467, without a unit of length: give --mpp 0\.467 if that"
    with Slide(path) as slide, pytest.raises(MppError, match=said):
        _ = slide.mpp


def test_a_scale_of_the_whole_pyramid_counts_too(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["multiscales"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [1, 0.5, 0.25]}]

    with Slide(restated(write_zarr(tmp_path / "s.zarr", levels=2), change)) as slide:
        assert slide.mpp == (0.5, 1.0)
        assert slide.levels[1].scale_x == 2.0


RED, GREEN, BLUE = ({"label": "x", "color": c} for c in ("FF0000", "00FF00", "0000FF"))


@pytest.mark.parametrize(
    ("omero", "order"),
    [
        ({"channels": [{"label": name} for name in ("Blue", "Green", "Red")]}, [2, 1, 0]),
        (
            {
                "channels": [
                    {"label": f"Channel {i}", "color": c}
                    for i, c in enumerate(("00FF00", "FF0000", "0000FF"))
                ]
            },
            [1, 0, 2],
        ),
        ({"channels": [{"label": str(i)} for i in range(3)]}, [0, 1, 2]),
        ({}, [0, 1, 2]),
    ],
)
def test_channels_are_taken_as_they_are_described(
    tmp_path: Path, omero: dict[str, Any], order: list[int]
) -> None:
    path = write_zarr(tmp_path / "s.zarr", omero=omero)
    np.testing.assert_array_equal(pixels_of(path), RGB[..., order])
