"""`wsi-seg check` of the results of a batch."""

from __future__ import annotations

import shutil
from pathlib import Path

from conftest import tissue_rgb, write_tiff
from helpers.dicom_slides import write_level
from helpers.program import Program
from helpers.zarrs import write_zarr


def test_a_batch_has_all_of_its_results_in_the_folder_as_it_is_now(
    predict: Program, run: Program, tmp_path: Path
) -> None:
    slides, results = tmp_path / "slides", tmp_path / "results"
    slides.mkdir()
    write_tiff(slides / "a.tiff", tissue_rgb(200, 300))
    (slides / "b.tiff").write_bytes((slides / "a.tiff").read_bytes()[:3000])
    assert predict(slides).code == 1
    assert f"fault: {slides}/b.tiff: failed" in run("check", results).out
    write_tiff(slides / "b.tiff", tissue_rgb(200, 300, 7))
    assert predict(slides / "b.tiff").code == 0
    moved = results.rename(tmp_path / "moved")
    ended = run("check", moved)
    assert (ended.code, "every slide has its result" in ended.out) == (0, True)
    for name in (".wsi-seg", "slide.ome.zarr"):
        shutil.rmtree(moved / "a" / name)
    ended = run("check", moved)
    assert (
        ended.code,
        f"fault: {moved}/a: missing or damaged, the result of {slides}/a.tiff" in ended.out,
    ) == (1, True)
    shutil.rmtree(moved / "b")
    assert f"{slides}/b.tiff: failed" in run("check", moved).out


def test_a_zarr_and_a_dicom_slide_that_failed_may_be_done_alone(
    predict: Program, run: Program, tmp_path: Path
) -> None:
    slides = tmp_path / "slides"
    zarr = write_zarr(slides / "a.ome.zarr", tissue_rgb(200, 300))
    (tmp_path / "case").mkdir()
    dicom = write_level(tmp_path / "case" / "l0.dcm", tissue_rgb(200, 300, 7))
    whole = dicom.read_bytes()
    (zarr / "zarr.json").rename(zarr / "kept")
    dicom.write_bytes(whole[:2000])
    assert predict(zarr, dicom).code == 1
    (zarr / "kept").rename(zarr / "zarr.json")
    dicom.write_bytes(whole)
    assert "2 faults" in run("check", tmp_path / "results").out
    assert [predict(slide).code for slide in (zarr, dicom)] == [0, 0]
    assert run("check", tmp_path / "results").code == 0


def test_a_slide_that_failed_for_an_older_result_stays_failed(
    predict: Program, run: Program, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_tiff(tmp_path / f"{name}.tiff", tissue_rgb(200, 300, seed))
    assert predict(tmp_path / "a.tiff", "--working-mpp", 4).code == 0
    assert predict(tmp_path / "a.tiff", tmp_path / "b.tiff").code == 1
    assert "a.tiff: failed" in run("check", tmp_path / "results").out
