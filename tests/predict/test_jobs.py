"""What a command line names, each slide once, each with a folder of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import tifffile
from conftest import tissue_rgb, write_tiff
from helpers.dicoms import CONTAINER, SERIES, copy_series
from helpers.qupath_projects import image, server, uri_of, write_project, write_project_of
from helpers.zarrs import RGB, write_zarr

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.predict.jobs import collect_jobs, is_plain_image


def names(*jobs_of: Path, out: Path = Path("out")) -> list[str]:
    return [job.out.name for job in collect_jobs(jobs_of, out, None).jobs]


def test_a_result_is_named_after_its_slide(tmp_path: Path) -> None:
    assert names(tmp_path / "a.svs", tmp_path / "b.ndpi") == ["a", "b"]


def test_a_zarr_is_one_slide_and_its_suffixes_are_no_part_of_its_name(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "case 7.ome.zarr", RGB[:20, :20])
    write_zarr(tmp_path / "b.zarr" / "0", RGB[:20, :20])
    assert names(path) == ["case 7"]
    assert names(path, tmp_path / "case 7.svs") == ["case 7.ome.zarr", "case 7.svs"]
    assert names(tmp_path / "b.zarr" / "0") == ["b__0"]
    assert names(tmp_path) == ["b", "case 7"]


def test_slides_of_one_name_get_results_of_their_own(tmp_path: Path) -> None:
    assert names(tmp_path / "a.svs", tmp_path / "a.ndpi") == ["a.svs", "a.ndpi"]
    assert names(tmp_path / "x" / "a.svs", tmp_path / "y" / "a.svs") == ["x__a.svs", "y__a.svs"]


@pytest.mark.parametrize("name", ["..tiff", "...tiff", "....svs"])
def test_a_slide_whose_name_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{re.escape(name)}: its result would be named .*: rename"):
        names(tmp_path / name)
    assert names(tmp_path / "..a.svs", tmp_path / "a..svs") == ["..a", "a."]


def test_each_slide_is_called_by_a_name_of_its_own(shared_data: Path, tmp_path: Path) -> None:
    """Files of one name, as each DICOM slide of a converter has, go by their results."""
    for case, name in (("case-1", "a.svs"), ("case-2", "a.svs"), ("case-2", "b.svs")):
        (tmp_path / case).mkdir(exist_ok=True)
        (tmp_path / case / name).touch()
    for case in ("dicom-1", "dicom-2"):
        (tmp_path / case).mkdir()
        copy_series(shared_data, tmp_path / case, "")[0].rename(tmp_path / case / "0.dcm")
    jobs = collect_jobs(
        [*sorted(tmp_path.glob("case-*/*.svs")), tmp_path / "dicom-1", tmp_path / "dicom-2"], tmp_path, None
    ).jobs
    assert [job.path.name for job in jobs[3:]] == ["0.dcm", "0.dcm"]
    assert [job.name for job in jobs] == ["case-1__a.svs", "case-2__a.svs", "b.svs", "dicom-1", "dicom-2"]


def test_folders_of_one_name_are_told_apart_by_those_above(tmp_path: Path) -> None:
    twins = [tmp_path / folder / "x" / "s.tiff" for folder in "ab"]
    assert names(*twins, tmp_path / "y" / "s.tiff") == ["a__x__s.tiff", "b__x__s.tiff", "y__s.tiff"]


def test_no_two_slides_ever_share_a_result(tmp_path: Path) -> None:
    alike = ["x__y/s.tiff", "x__y/s.svs", "z/s.tiff", "x__y__s.tiff.svs", "x/y__s.tiff", "z/x__y/s.tiff"]
    assert len(set(names(*(tmp_path / path for path in alike)))) == len(alike)


def test_a_slide_is_done_once_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.tiff").touch()
    Path("other").mkdir()
    os.symlink(tmp_path / "a.tiff", Path("other") / "link.tiff")
    spellings = [Path("a.tiff"), Path("./a.tiff"), tmp_path / "a.tiff", Path("other/../a.tiff")]
    jobs = collect_jobs([*spellings, Path("other/link.tiff")], Path("out"), None).jobs
    assert [(job.path, job.out) for job in jobs] == [(Path("a.tiff"), Path("out/a"))]


def test_a_path_that_no_file_can_have_is_left_to_its_slide(tmp_path: Path) -> None:
    (tmp_path / "loop.tiff").symlink_to(tmp_path / "loop.tiff")
    jobs = collect_jobs([tmp_path / "loop.tiff", tmp_path / ("long" * 99)], Path("out"), None).jobs
    assert len(jobs) == 2


def test_two_resolutions_for_one_slide_are_refused(tmp_path: Path) -> None:
    (tmp_path / "slides.csv").write_text("slide,mpp\na.svs,0.5\n./a.svs,0.25\n")
    with pytest.raises(UsageError, match=r"a\.svs: one slide, given 0\.5 and 0\.25 um per px"):
        collect_jobs([tmp_path / "slides.csv"], Path("out"), None)
    (tmp_path / "slides.csv").write_text("slide,mpp\na.svs,0.5\n")
    jobs = collect_jobs([tmp_path / "a.svs", tmp_path / "slides.csv"], Path("out"), None).jobs
    assert [job.mpp for job in jobs] == [0.5]


def test_a_dicom_series_is_one_slide(shared_data: Path) -> None:
    folder = shared_data / "slides" / "CMU-1-Small-Region_dicom"
    files = sorted(folder.glob("*.dcm"))
    assert len(files) == 4
    for named in ([folder], files, [folder, files[2]]):
        assert names(*named) == ["CMU-1-Small-Region_dicom"]


def test_dicom_slides_of_one_folder_are_named_after_their_containers(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "case 7"
    copy_series(shared_data, folder, "a", container="S21 1")
    copy_series(shared_data, folder, "b", series=SERIES[:-3] + "777", container="S21-2/")
    assert names(folder) == ["S21_1", "S21-2"]
    assert names(*(folder.glob("a*"))) == ["case 7"]


def test_dicom_slides_are_not_named_after_uids(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "1.2.826.0.1.3680043.8.498.2157"
    copy_series(shared_data, folder, "", suffix="", container="S21-1")
    assert names(folder) == ["S21-1"]
    same = tmp_path / "case"
    copy_series(shared_data, same, "a", container=CONTAINER)
    copy_series(shared_data, same, "b", series=SERIES[:-3] + "777", container=CONTAINER)
    first, second = names(same)
    assert first != second
    assert all(name.startswith("case__") and len(name) == len("case__") + 8 for name in (first, second))
    copy_series(shared_data, tmp_path / "up" / "same", "a")
    copy_series(shared_data, tmp_path / "down" / "same", "a")
    assert names(tmp_path / "up" / "same", tmp_path / "down" / "same") == ["up__same", "down__same"]


def test_a_folder_without_slides_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SlideError, match="no slide"):
        collect_jobs([tmp_path], Path("out"), None)


@pytest.mark.parametrize(
    "content", ["", "name,mpp\na.svs,1\n", "slide,mpp\n,1\n", "slide,mpp\na.svs,x\n", "\xff"]
)
def test_a_csv_that_is_none_is_a_usage_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "slides.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=r"slides\.csv"):
        collect_jobs([path], Path("out"), None)


def test_plain_images_are_difference_to_slides(slide_path: Path) -> None:
    assert is_plain_image(Path("street.png"), for_slides=False)
    assert not is_plain_image(Path("street.png"), for_slides=True)
    for for_slides in (True, False):
        assert not is_plain_image(Path("slide.svs"), for_slides)
        assert not is_plain_image(slide_path, for_slides)


def test_a_striped_tiff_is_a_picture_only_to_models_of_pictures(tmp_path: Path) -> None:
    striped = tmp_path / "striped.tif"
    tifffile.imwrite(striped, tissue_rgb(64, 64), rowsperstrip=16, photometric="rgb")
    assert is_plain_image(striped, for_slides=False)
    assert not is_plain_image(striped, for_slides=True)
    for name, content in (("absent.tif", None), ("text.tif", b"no tiff")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert not is_plain_image(tmp_path / name, for_slides=False)
    assert not is_plain_image(write_tiff(tmp_path / "tiled.tif", tissue_rgb(64, 64)), for_slides=False)


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield a TIFF whose pages lie at its end cut, and with bits of its head and of its pages flipped."""
    for end in range(40, len(content), len(content) // 60):
        yield content[:end]
    for place in (*range(4, 24), *range(len(content) - 700, len(content), 3)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        yield bytes(changed)


@pytest.mark.parametrize("name", ["x.tiff", "x.tif", "x.png", "x.jpg"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_tiled_tiff_is_no_picture_whatever_became_of_it(
    tmp_path: Path, name: str, byteorder: Literal["<", ">"], bigtiff: bool
) -> None:
    whole, path = tmp_path / "whole.tiff", tmp_path / name
    with tifffile.TiffWriter(whole, bigtiff=bigtiff, byteorder=byteorder) as tiff:
        for level in range(3):
            rgb = tissue_rgb(256, 256)[:: 2**level, :: 2**level]
            tiff.write(rgb, tile=(128, 128), photometric="rgb", subfiletype=int(level > 0), metadata=None)
    for content in (whole.read_bytes(), *damaged(whole.read_bytes())):
        path.write_bytes(content)
        if content[:4] == whole.read_bytes()[:4]:  # else it is a TIFF no more, and no picture either
            assert not is_plain_image(path, for_slides=False)
            assert not is_plain_image(path, for_slides=True)


def test_a_tiff_is_one_by_its_content(tmp_path: Path) -> None:
    named_otherwise = tmp_path / "a.png"
    tifffile.imwrite(named_otherwise, tissue_rgb(64, 64), rowsperstrip=16, photometric="rgb")
    assert is_plain_image(named_otherwise, for_slides=False)
    assert not is_plain_image(named_otherwise, for_slides=True)


def test_a_resolution_in_a_csv_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "slides.csv").write_text("slide,mpp\na.svs,\nb.svs,1\nc.svs,0.25\n")
    jobs = collect_jobs([tmp_path / "slides.csv"], Path("out"), 0.5).jobs
    assert [job.mpp for job in jobs] == [0.5, 1, 0.25]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "slide,mpp\na.svs,0.5\nb/x/s.tiff,1,5\n",
            "line 3 has more cells than columns: quote decimal commas, or",
        ),
        ("slide,mpp,\na.svs,1,5\n", "line 2 has more cells than columns"),
        ("slide\nHE, left.svs\n", "line 2 has more cells than columns"),
        ("slide;mpp\na;b.svs;0,5\n", "line 2 has more cells than columns: quote texts that hold a semicolon"),
        ("slide,mpp,mpp\na.svs,0.5,0.25\n", "more than one column 'mpp': keep"),
        ("Slide,slide \na.svs,b.svs\n", "more than one column 'slide': keep"),
        ("slide,mpp\n\na.svs,0\n", "line 3: mpp '0': no slide has that"),
        ("slide,mpp\na.svs,-0.5\n", "line 2: mpp '-0.5': no slide has that"),
        ("slide;mpp\na.svs;250\n", "line 2: mpp '250': no slide has that"),
        ("slide,mpp\na.svs,nan\n", "line 2: mpp 'nan': no slide has that"),
    ],
)
def test_a_csv_that_could_be_misread_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "slides.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        collect_jobs([path], Path("out"), None)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert "--mpp" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "slide,MPP\na.svs,0.5\nb.svs\n",
        " Slide ; Mpp \na.svs;0,5\nb.svs;\n",
        'SLIDE,mpp\na.svs,"0,5"\nb.svs,\n',
        "slide,mpp,,\na.svs,0.5,,\nb.svs,,,\n",
        ",slide,mpp\n0,a.svs,0.5\n1,b.svs,\n",
    ],
)
def test_a_csv_is_read_as_spreadsheets_write_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "slides.csv").write_text(text)
    jobs = collect_jobs([tmp_path / "slides.csv"], Path("out"), None).jobs
    assert [(job.path.name, job.mpp) for job in jobs] == [("a.svs", 0.5), ("b.svs", None)]


def test_results_of_a_project_are_named_after_its_images(tmp_path: Path) -> None:
    slides = [tmp_path / f"{name}.svs" for name in "abcd"]
    for slide in slides:
        slide.touch()
    called = ["a.svs", "Case 7/A", "Same", "Same"]
    images = [
        image(name, server(uri_of(slide)), i)
        for i, (name, slide) in enumerate(zip(called, slides, strict=True), 1)
    ]
    project = write_project(tmp_path / "study" / "project.qpproj", *images)
    jobs = collect_jobs([project], tmp_path / "out", None).jobs
    assert [job.path for job in jobs] == slides
    assert [job.out.name for job in jobs] == ["a", "Case 7_A", "Same__3", "Same__4"]
    assert names(project.parent) == [job.out.name for job in jobs]


def test_images_of_one_slide_are_done_once_and_said_so(tmp_path: Path) -> None:
    slide = tmp_path / "a.svs"
    slide.touch()
    images = [image(name, server(uri_of(slide)), i) for i, name in enumerate(("First", "Second"), 1)]
    turned = {"builderType": "rotated", "rotation": "ROTATE_90", "builder": server(uri_of(slide))}
    project = write_project(tmp_path / "project.qpproj", image("Turned", turned, 3), *images)
    jobs = collect_jobs([slide, project], tmp_path / "out", None)
    assert [job.out.name for job in jobs.jobs] == ["First", "Turned"]
    assert jobs.jobs[1].entry is not None
    assert jobs.jobs[1].entry.fault is not None
    assert jobs.passed_over == (
        f"{project}: 'Second': the same slide as {project}: 'First': its result is First",
    )


def test_slides_beside_a_project_that_it_does_not_list_are_named(tmp_path: Path) -> None:
    for name in ("a.svs", "b.svs"):
        (tmp_path / name).touch()
    project = write_project_of(tmp_path / "project.qpproj", tmp_path / "a.svs")
    jobs = collect_jobs([tmp_path], tmp_path / "out", None)
    assert [job.path.name for job in jobs.jobs] == ["a.svs"]
    assert jobs.passed_over == (
        f"{tmp_path / 'b.svs'}: beside {project}, which does not list it: "
        "skipped: name it as well to segment it",
    )
    assert collect_jobs([project], tmp_path / "out", None).passed_over == ()


def test_images_of_one_file_in_other_sizes_are_not_one(tmp_path: Path) -> None:
    slide = tmp_path / "a.svs"
    slide.touch()
    sizes = [(9, 7), (9, 7), (90, 70)]
    images = [image(f"{i}", server(uri_of(slide), size), i) for i, size in enumerate(sizes, start=1)]
    jobs = collect_jobs([write_project(tmp_path / "project.qpproj", *images)], tmp_path / "out", None)
    assert [job.out.name for job in jobs.jobs] == ["1", "3"]
    assert len(jobs.passed_over) == 1


def test_series_of_one_file_are_not_one(tmp_path: Path) -> None:
    (tmp_path / "a.ome.tif").touch()
    uri = uri_of(tmp_path / "a.ome.tif")
    images = [image(f"S{i}", server(uri, (9, 7), args=("--series", str(i))), i + 1) for i in range(3)]
    jobs = collect_jobs([write_project(tmp_path / "project.qpproj", *images)], tmp_path / "out", None)
    assert [job.out.name for job in jobs.jobs] == ["S0", "S1", "S2"]
    assert jobs.passed_over == ()


def test_images_of_a_project_are_chosen_by_number_and_keep_their_results_names(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.svs").touch()
    called = {"Same": "a", "Same ": "b", "Again": "a", "Other": "c"}
    images = [
        image(name.strip(), server(uri_of(tmp_path / f"{file}.svs")), number)
        for number, (name, file) in enumerate(called.items(), 1)
    ]
    project = write_project(tmp_path / "project.qpproj", *images)

    def chosen(*numbers: int) -> tuple[list[str], tuple[str, ...]]:
        jobs = collect_jobs([tmp_path], tmp_path / "out", None, numbers)
        return [job.out.name for job in jobs.jobs], jobs.passed_over

    assert chosen(2) == (["Same__2"], ())
    assert chosen(4, 1, 4) == (["Same__1", "Other"], ())
    twin = f"{project}: 'Again': the same slide as {project}: 'Same': its result is Same__1"
    assert chosen(3) == (["Same__1"], (twin,))


@pytest.mark.parametrize(
    ("inputs", "number", "says"),
    [
        (
            ["p.qpproj"],
            3,
            "p.qpproj: has no image 3: it has 1 (a.svs), 2 (b.svs); save the project in QuPath",
        ),
        (["a.svs"], 1, "--image 1: is an image of a QuPath project: give one project alone"),
        (["p.qpproj", "a.svs"], 1, "--image 1: is an image of a QuPath project: give one project alone"),
    ],
)
def test_a_number_that_is_no_image_of_the_project_is_refused(
    tmp_path: Path, inputs: list[str], number: int, says: str
) -> None:
    for name in ("a.svs", "b.svs"):
        (tmp_path / name).touch()
    write_project_of(tmp_path / "p.qpproj", tmp_path / "a.svs", tmp_path / "b.svs")
    with pytest.raises(UsageError, match=re.escape(says)):
        collect_jobs([tmp_path / name for name in inputs], tmp_path / "out", None, [number])
