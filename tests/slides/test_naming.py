"""Names of slides, each unlike all others."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.dicom_slides import Written, write_level
from helpers.zarrs import RGB

from wsi_seg.slides.naming import slide_names
from wsi_seg.slides.slide import Slide


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a.svs", "y/b.tiff"], ["a", "b"]),
        (["x/a.svs", "y/a.svs", "y/b.svs"], ["x__a", "y__a", "b"]),
        (["p/x/a.svs", "q/x/a.svs"], ["p__x__a", "q__x__a"]),
        (["x/a.svs", "x/a.ndpi"], ["a.svs", "a.ndpi"]),
        (["x/a.tiff", "x/a.tiff", "y/b.tiff"], ["a", "a-2", "b"]),
        (["x/a.tiff", "x/a.tiff", "x/a-2.tiff"], ["a", "a-2", "a-2-2"]),
        ([], []),
    ],
)
def test_files_are_named_with_as_much_as_it_takes(paths: list[str], names: list[str]) -> None:
    assert slide_names([Path("/slides") / path for path in paths]) == names


def test_dicom_slides_are_named_after_their_folders(tmp_path: Path) -> None:
    paths = []
    for folder, file, series in (
        ("one", "l0.dcm", "1.2"),
        ("two", "l0.dcm", "1.3"),
        ("two", "m0.dcm", "1.4"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        paths.append(write_level(tmp_path / folder / file, RGB[:64, :64], how=Written(series=series)))
    assert slide_names(paths[:2]) == ["one", "two"]
    assert slide_names(paths) == ["one", "two__l0", "two__m0"]
    with Slide(paths[1]) as slide:
        assert slide.name == "two"
