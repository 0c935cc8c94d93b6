"""Names of slides, each unlike all others."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.dicom_slides import Written, write_level
from helpers.zarrs import RGB, write_attributes, write_zarr

from wsi_seg.predict.jobs import collect_jobs
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.slide_names import bare_name, shown_name, slide_names, suffix_of


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a.svs", "y/b.tiff"], ["a", "b"]),
        (["x/a.svs", "y/a.svs", "y/b.svs"], ["x__a", "y__a", "b"]),
        (["p/x/a.svs", "q/x/a.svs"], ["p__x__a", "q__x__a"]),
        (["x/a.svs", "x/a.ndpi"], ["a.svs", "a.ndpi"]),
        (["x/a.tiff", "x/a.tiff", "y/b.tiff"], ["a", "a-2", "b"]),
        (["x/a.tiff", "x/a.tiff", "x/a-2.tiff"], ["a", "a-2", "a-2-2"]),
        (["x/a.ome.zarr", "x/b.zarr", "x/c.ome.tif"], ["a", "b", "c.ome"]),
        (["x/a.ome.zarr", "x/a.svs"], ["a.ome.zarr", "a.svs"]),
        ([], []),
    ],
)
def test_files_are_named_with_as_much_as_it_takes(paths: list[str], names: list[str]) -> None:
    assert slide_names([Path("/slides") / path for path in paths]) == names


def dicom(folder: Path, file: str, series: str, container: str = "S-1") -> Path:
    folder.mkdir(exist_ok=True)
    how = Written(series=series, facts=(("ContainerIdentifier", container),))
    return write_level(folder / file, RGB[:64, :64], how=how)


def test_dicom_slides_are_named_after_their_folders(tmp_path: Path) -> None:
    one = dicom(tmp_path / "one", "l0.dcm", "1.2")
    two = dicom(tmp_path / "two", "l0.dcm", "1.3")
    assert slide_names([one, two]) == ["one", "two"]
    assert (shown_name(two), bare_name(two)) == ("two", "two")
    with Slide(two) as slide:
        assert slide.name == slide.called == "two"


def test_dicom_slides_of_one_folder_are_named_as_their_results_are(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    slides = [dicom(folder, "l0.dcm", "1.3", "S 7"), dicom(folder, "m0.dcm", "1.4", "S-8")]
    assert (
        slide_names(slides)
        == ["S_7", "S-8"]
        == [job.out.name for job in collect_jobs([folder], Path(), 1).jobs]
    )
    slides[1] = dicom(folder, "m0.dcm", "1.4", "S 7")
    names = slide_names(slides)
    assert names == [job.out.name for job in collect_jobs([folder], Path(), 1).jobs]
    assert len(set(names)) == 2
    assert all(name.startswith("case__") for name in names)


def test_dicom_slides_are_not_named_after_uids(tmp_path: Path) -> None:
    slide = dicom(tmp_path / "1.2.826.0.1.3680043.8.498", "l0.dcm", "1.2", "S-7")
    assert slide_names([slide]) == ["S-7"]
    assert shown_name(slide) == "S-7"
    with Slide(slide) as opened:
        assert opened.name == "S-7"


def test_a_zarr_is_shown_as_its_folder_and_its_files_are_named_without_suffixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = write_zarr(tmp_path / "a.ome.zarr")
    within = write_zarr(tmp_path / "b.zarr" / "0")
    write_attributes(tmp_path / "b.zarr", {})
    assert (shown_name(slide), bare_name(slide), suffix_of(slide)) == ("a.ome.zarr", "a", ".ome.zarr")
    assert (shown_name(within), bare_name(within), suffix_of(within)) == ("b__0", "b__0", "")
    assert slide_names([slide, within]) == ["a", "b__0"]
    assert [job.name for job in collect_jobs([slide, within], tmp_path, None).jobs] == ["a.ome.zarr", "b__0"]
    with Slide(within) as opened:
        assert opened.name == "b__0"
    monkeypatch.chdir(slide)
    with Slide(Path()) as opened:
        assert (opened.name, bare_name(Path())) == ("a.ome.zarr", "a")
    assert suffix_of(tmp_path / "c.svs") == ".svs"
