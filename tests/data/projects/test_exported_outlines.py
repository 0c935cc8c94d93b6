"""Exported outlines and the images of a project are matched by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wsi_seg.data.projects.entry import ProjectEntry
from wsi_seg.data.projects.exported_outlines import match_outlines
from wsi_seg.errors import UsageError


def entries(*named: tuple[str, str | None]) -> list[ProjectEntry]:
    return [
        ProjectEntry(Path("p.qpproj"), number, name, None if file is None else Path(file))
        for number, (name, file) in enumerate(named, start=1)
    ]


def matched(tmp_path: Path, images: list[ProjectEntry], *files: str) -> list[tuple[str, str]]:
    for file in files:
        (tmp_path / file).touch()
    return [(entry.name, path.name) for entry, path in match_outlines(images, tmp_path).pairs]


@pytest.mark.parametrize(
    "file",
    [
        "Case: 1.svs.geojson",
        "Case 1.svs.geojson",  # as QuPath names it, without the colon
        "Case 1.geojson",
        "case 1.GeoJSON",
        "Case_ 1.geojson.gz",  # as the result is called
        "scan7.svs.json",
        "scan7.geojson",
        "scan7.xml",
    ],
)
def test_a_file_may_have_any_of_an_images_names(tmp_path: Path, file: str) -> None:
    assert matched(tmp_path, entries(("Case: 1.svs", "scan7.svs")), file) == [("Case: 1.svs", file)]


def test_an_ome_tiff_has_two_suffixes(tmp_path: Path) -> None:
    assert matched(tmp_path, entries(("a.ome.tif", "a.ome.tif")), "a.geojson") == [("a.ome.tif", "a.geojson")]


def test_names_in_the_project_count_before_those_of_files(tmp_path: Path) -> None:
    images = entries(("b", "a.svs"), ("a", "b.svs"))
    assert matched(tmp_path, images, "a.geojson", "b.geojson") == [("b", "b.geojson"), ("a", "a.geojson")]


def test_whole_names_tell_images_apart(tmp_path: Path) -> None:
    images = entries(("a.svs", "a.svs"), ("a.ndpi", "a.ndpi"))
    files = ("a.svs.geojson", "a.ndpi.geojson")
    assert matched(tmp_path, images, *files) == [("a.svs", files[0]), ("a.ndpi", files[1])]


def test_what_has_no_partner_is_reported(tmp_path: Path) -> None:
    for file in ("a.geojson", "z.geojson", "notes.txt"):
        (tmp_path / file).touch()
    found = match_outlines(entries(*((name, f"{name}.svs") for name in "abcdefgh")), tmp_path)
    assert [path.name for _, path in found.pairs] == ["a.geojson"]
    assert found.remarks == (
        "p.qpproj: 7 images without outlines: b, c, d, e, f and 2 more",
        f"{tmp_path / 'z.geojson'}: no image of p.qpproj has this name: left out",
    )


@pytest.mark.parametrize(
    ("images", "files", "says"),
    [
        (
            [("a", "a.svs"), ("a", "b.svs")],
            ["a.geojson"],
            "after both 'a' (image 1) and 'a' (image 2) of p.qpproj",
        ),
        ([("a.svs", "a.svs"), ("a.ndpi", "a.ndpi")], ["a.geojson"], "named after both 'a.svs'"),
        (
            [("a.svs", "a.svs")],
            ["a.geojson", "a.svs.geojson"],
            "both are named after 'a.svs' of p.qpproj: keep one",
        ),
        ([("a", None)], ["b.geojson"], "no file is named after an image of p.qpproj (a): export"),
        ([("a", None)], ["a.txt"], "holds no annotation file: export"),
    ],
)
def test_what_names_do_not_decide_is_refused(
    tmp_path: Path, images: list[tuple[str, str | None]], files: list[str], says: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        matched(tmp_path, entries(*images), *files)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").touch()
    with pytest.raises(UsageError, match=r"a\.geojson: no folder: give the folder with the outlines"):
        match_outlines(entries(("a", None)), tmp_path / "a.geojson")
