"""What tells a slide's content, and that its files changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.dicoms import SEGMENTATION, SERIES, element, write_dicom
from helpers.zarrs import RGB, write_zarr

from wsi_seg.errors import SlideError
from wsi_seg.slides import content
from wsi_seg.slides import slide as slide_module
from wsi_seg.slides.content import SlideFiles, stamp
from wsi_seg.slides.readers.contract import Reader
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.slide import Slide


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def overwrite_a_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x5a")


def replace(path: Path) -> None:
    other = write_tiff(path.with_name("other.tiff"), tissue_rgb(500, 700, seed=1))
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [append, truncate, overwrite_a_byte, replace, remove])
def test_a_slide_that_changes_after_it_is_opened_is_refused(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    path = write_tiff(tmp_path / "s.tiff", tissue_rgb(500, 700))
    with Slide(path) as slide:
        slide.files.refuse_changed()
        change(path)
        with pytest.raises(SlideError, match=r"s\.tiff: was changed while the slide was read.*--overwrite"):
            slide.files.refuse_changed()


def test_content_that_changes_under_the_old_time_is_noticed_at_the_end(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "s.tiff", tissue_rgb(500, 700))
    with Slide(path) as slide:
        slide.files.refuse_other_content()
        written = path.stat().st_mtime_ns
        overwrite_a_byte(path)
        os.utime(path, ns=(written, written))
        slide.files.refuse_changed()
        with pytest.raises(SlideError, match=r"s\.tiff: was changed while the slide was read.*--overwrite"):
            slide.files.refuse_other_content()


def test_a_slide_that_is_replaced_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(tmp_path / "s.tiff", tissue_rgb(500, 700))
    opening = open_reader

    def open_and_replace(path: Path, series: int | None) -> Reader:
        reader = opening(path, series)
        replace(path)
        return reader

    monkeypatch.setattr(slide_module, "open_reader", open_and_replace)
    with Slide(path) as slide, pytest.raises(SlideError, match=r"s\.tiff: was changed while"):
        slide.files.refuse_changed()


def test_all_files_of_a_mirax_slide_count(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "slides" / "Mirax2-Fluorescence-2.mrxs"
    path = Path(shutil.copy(source, tmp_path))
    folder = Path(shutil.copytree(source.with_suffix(""), path.with_suffix("")))
    (folder / "Data0001.dat").chmod(0o644)
    with Slide(path) as slide, Slide(source) as original:
        assert slide.files.content == original.files.content
        assert len(slide.files.stamps) == 1 + len(list(folder.iterdir()))
        overwrite_a_byte(folder / "Data0001.dat")
        with pytest.raises(SlideError, match=r"Data0001\.dat: was changed"):
            slide.files.refuse_changed()
        append(folder / "Data0001.dat")
        with Slide(path) as changed:
            assert changed.fingerprint == slide.fingerprint
            assert changed.files.content != slide.files.content


def test_all_files_of_a_dicom_slide_count_and_no_others(shared_data: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared_data / "slides" / "CMU-1-Small-Region_dicom", tmp_path / "d"))
    write_dicom(folder / "other.dcm", SEGMENTATION)
    with (folder / "other.dcm").open("ab") as file:  # a segmentation of that very series
        file.write(element(0x20, 0xE, "UI", SERIES.encode()))
    own = sorted(file for file in folder.iterdir() if file.name != "other.dcm")
    with Slide(own[0]) as slide, Slide(own[1]) as same:
        assert set(slide.files.stamps) == set(own)
        assert slide.files.content == same.files.content
        append(folder / "other.dcm")
        slide.files.refuse_changed()
        own[3].chmod(0o644)
        append(own[3])
        with pytest.raises(SlideError, match=own[3].name):
            slide.files.refuse_changed()
        with Slide(own[0]) as changed:
            assert changed.fingerprint == slide.fingerprint
            assert changed.files.content != slide.files.content


def test_files_named_by_a_hamamatsu_index_count(tmp_path: Path) -> None:
    index = tmp_path / "s.vms"
    index.write_text("[Virtual Microscope Specimen]\nImageFile=s.jpg\nMapFile=s_map2.jpg\n")
    for name in ("s.jpg", "s_map2.jpg", "unrelated.jpg"):
        (tmp_path / name).write_bytes(b"picture")
    files = SlideFiles.of(index, {}, stamp(index))
    assert [file.name for file in files.stamps] == ["s.vms", "s.jpg", "s_map2.jpg"]


def test_slides_are_one_if_all_bytes_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "PIECES", 2)  # as of a file of which most is not looked at
    monkeypatch.setattr(content, "PIECE_BYTES", 1024)
    first = write_tiff(tmp_path / "first.tiff", tissue_rgb(500, 700), levels=2)
    copy, other = (Path(shutil.copy(first, tmp_path / name)) for name in ("copy.tiff", "other.tiff"))
    overwrite_a_byte(other)
    (tmp_path / "link.tiff").symlink_to(first)
    with Slide(first) as slide, Slide(tmp_path / "link.tiff") as link, Slide(copy) as copied:
        with Slide(other) as altered:
            assert (altered.fingerprint, altered.files.content) == (slide.fingerprint, slide.files.content)
            assert not slide.files.same_as(altered.files)
        assert slide.files.same_as(link.files)
        assert slide.files.same_as(copied.files)
        os.utime(first, ns=(0, 0))  # it may have been written to
        assert not slide.files.same_as(copied.files)


def test_a_zarr_is_known_by_its_names_and_by_parts_of_some_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "WATCHED", 4)
    path = write_zarr(tmp_path / "s.zarr", levels=2)
    copy = Path(shutil.copytree(path, tmp_path / "copy.zarr"))
    other = Path(shutil.copytree(path, tmp_path / "other.zarr"))
    chunks = [file for file in (path / "0" / "c").rglob("*") if file.is_file()]
    with Slide(path) as slide, Slide(copy) as copied:
        watched = [file for file in slide.files.stamps if file.name != "zarr.json"]
        assert len(watched) == 4
        assert (slide.fingerprint, slide.files.content) == (copied.fingerprint, copied.files.content)
        assert slide.files.same_as(copied.files)
        unwatched = min(set(chunks) - set(watched)).relative_to(path)
        overwrite_a_byte(other / unwatched)
        with Slide(other) as altered:
            assert altered.fingerprint == slide.fingerprint
            assert not slide.files.same_as(altered.files)
        (other / unwatched).unlink()
        with Slide(other) as lacking:
            assert lacking.fingerprint != slide.fingerprint
        slide.files.refuse_changed()
        overwrite_a_byte(watched[0])
        with pytest.raises(SlideError, match=r"s\.zarr/.*: was changed while the slide was read"):
            slide.files.refuse_changed()
        with Slide(path) as changed:
            assert changed.fingerprint != slide.fingerprint


def test_zarrs_that_hold_the_same_chunks_elsewhere_are_not_one(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", RGB[:128, :256], chunks=(3, 128, 128))
    other = Path(shutil.copytree(path, tmp_path / "o.zarr"))
    first, second = (other / "0" / "c" / "0" / "0" / name for name in "01")
    first.rename(other / "kept")
    second.rename(first)
    (other / "kept").rename(second)
    with Slide(path) as slide, Slide(other) as swapped:
        assert slide.fingerprint != swapped.fingerprint
        assert not slide.files.same_as(swapped.files)
