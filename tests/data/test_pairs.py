from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.dicom_slides import write_level
from helpers.qupath_projects import image, server, uri_of, write_project, write_project_of
from helpers.zarrs import RGB, write_zarr

from wsi_seg.data.pairs import SlidePair, is_data_set, read_pairs
from wsi_seg.errors import MissingError, MppError, SlideError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.tiff", "a.xml", "b.tiff", "b.geojson"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def listed(folder: Path) -> Callable[..., list[Path]]:
    def write(text: str | bytes, name: str = "slides.csv") -> list[Path]:
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [path]

    return write


def test_arguments_come_in_pairs(folder: Path) -> None:
    paths = [folder / name for name in ("a.tiff", "a.xml", "b.tiff", "b.geojson")]

    assert read_pairs(paths).pairs == [SlidePair(paths[0], paths[1]), SlidePair(paths[2], paths[3])]


@pytest.mark.parametrize(
    "text",
    [
        "slide,annotations,mpp\na.tiff,a.xml,0.25\nb.tiff,b.geojson,\n",
        "\ufeffslide, annotations, mpp\r\na.tiff, a.xml, 0.25\r\nb.tiff, b.geojson\r\n",
        'mpp,annotations,patient,slide\n0.25,"a.xml",7,a.tiff\n,b.geojson,8, b.tiff\n\n',
        "slide;annotations;mpp\r\na.tiff;a.xml;0,25\r\nb.tiff;b.geojson;\r\n",
        "Slide,Annotations,MPP\na.tiff,a.xml,0.25\nb.tiff,b.geojson,\n",
        "slide\tannotations\tmpp\na.tiff\ta.xml\t0.25\nb.tiff\tb.geojson\n",
    ],
)
def test_a_csv_files_paths_start_from_its_folder(
    folder: Path, listed: Callable[..., list[Path]], text: str
) -> None:
    assert read_pairs(listed(text)).pairs == [
        SlidePair(folder / "a.tiff", folder / "a.xml", 0.25),
        SlidePair(folder / "b.tiff", folder / "b.geojson", None),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begin it with the line "),
        ("slide,annotations\n", "begin it with the line "),
        ("slide,xml\na.tiff,a.xml\n", "begin it with the line "),
        ("a.tiff,a.xml\n", "begin it with the line "),
        ("slide,annotations\na.tiff\n", "line 2 lacks a slide or annotations"),
        ("slide,annotations\na.tiff,a.xml\n,b.geojson\n", "line 3"),
        ("slide,annotations,mpp\na.tiff,a.xml,fine\n", "'fine' is not a number"),
        ("slide,annotations,mpp\na.tiff,a.xml,0,25\n", "slides.csv: line 2 has more cells than columns"),
        (
            "slide,annotations,mpp,note\na.tiff,a.xml,0,25\n",
            "mpp 0 and 'note' 25 may be 0,25 um",
        ),
        ("slide,annotations,mpp\na.tiff,a.xml,0\n", "slides.csv: line 2: mpp '0': no slide has that"),
        ("slide,slide,annotations\na.tiff,b.tiff,a.xml\n", "more than one column 'slide'"),
        ("slide,annotations\n\na.tiff\n", "line 3 lacks a slide or annotations"),
        ("slide,annotations\na.tiff,c.xml\n", "c.xml (slides.csv line 2): no such file"),
        (b"slide,annotations\n\xff\xfe,a.xml\n", "not a CSV file"),
        (b"slide,annotations\na.ti\x00ff,a.xml\n", "no such file"),
    ],
)
def test_a_csv_file_that_cannot_be_used_is_refused(
    listed: Callable[..., list[Path]], text: str, says: str
) -> None:
    with pytest.raises((UsageError, MissingError), match=re.escape(says)) as caught:
        read_pairs(listed(text))

    assert "\n" not in str(caught.value)


def test_all_files_that_are_not_there_are_named_in_one_line(listed: Callable[..., list[Path]]) -> None:
    rows = "".join(f"{name}.tiff,a.xml\n" for name in "acdefgh")
    with pytest.raises(MissingError, match=r"c\.tiff.*line 3.*g\.tiff.*line 7\) and 1 more: no such file"):
        read_pairs(listed(f"slide,annotations\n{rows}"))


def test_a_folder_among_files_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="is a folder: give a data set alone"):
        read_pairs([folder / "a.tiff", folder])


def test_the_folder_of_a_dicom_slide_is_answered_with_a_file_in_it(folder: Path) -> None:
    (folder / "case").mkdir()
    slide = write_level(folder / "case" / "l0.dcm", RGB[:64, :64])
    with pytest.raises(UsageError, match=f"SLIDE ANNOTATIONS, each a file, such as {slide}$"):
        read_pairs([folder / "case", folder / "a.xml"])
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=r"each a file$"):
        read_pairs([folder / "empty", folder / "a.xml"])


@pytest.mark.parametrize("names", [(), ("a.tiff",), ("a.tiff", "a.xml", "b.tiff")])
def test_other_numbers_of_paths_are_refused(folder: Path, names: list[str]) -> None:
    with pytest.raises(UsageError, match="give SLIDE ANNOTATIONS"):
        read_pairs([folder / name for name in names])


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(MissingError, match=r"c\.tiff: no such file"):
        read_pairs([folder / "c.tiff", folder / "a.xml"])


def test_a_csv_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.csv: cannot be read"):
        read_pairs([Path("absent.csv")])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of three slides, the last one missing, and a folder with outlines of the first."""
    slides = [write_tiff(tmp_path / f"{name}.tiff", tissue_rgb(32, 32)) for name in "ab"]
    (tmp_path / "outlines").mkdir()
    (tmp_path / "outlines" / "a.geojson").touch()
    return write_project_of(tmp_path / "study" / "project.qpproj", *slides, tmp_path / "c.tiff")


def test_a_project_and_a_folder_of_outlines_are_pairs(folder: Path, project: Path, tmp_path: Path) -> None:
    outlines = tmp_path / "outlines"
    pair = SlidePair(tmp_path / "a.tiff", outlines / "a.geojson", None)
    paired = read_pairs([project, outlines])
    assert paired.pairs == [pair]
    assert paired.remarks == (f"{project}: 2 images without outlines: b.tiff, c.tiff",)
    assert read_pairs([project.parent, outlines]).pairs == [pair]
    plain = (folder / "b.tiff", folder / "b.geojson")
    assert read_pairs([*plain, project, outlines]).pairs == [SlidePair(*plain), pair]


def test_an_image_with_outlines_and_without_its_file_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "outlines" / "c.geojson").touch()
    with pytest.raises(SlideError, match=r"project\.qpproj: 'c\.tiff': .*c\.tiff: no such file: open"):
        read_pairs([project, tmp_path / "outlines"])


def test_a_projects_resolution_is_taken_unless_one_is_given(tmp_path: Path) -> None:
    silent = write_tiff(tmp_path / "a.tiff", tissue_rgb(32, 32), mpp=None)
    stating = write_tiff(tmp_path / "b.tiff", tissue_rgb(32, 32), mpp=2.0)
    for name in "ab":
        (tmp_path / f"{name}.geojson").touch()
    images = [image(p.stem, server(uri_of(p), (32, 32), 0.5), i) for i, p in enumerate((silent, stating), 1)]
    first = write_project(tmp_path / "first.qpproj", images[0])
    assert [pair.mpp for pair in read_pairs([first, tmp_path]).pairs] == [0.5]
    both = write_project(tmp_path / "both.qpproj", *images)
    with pytest.raises(MppError, match=r"'b': QuPath has it at 0\.5 um per px, but .*b\.tiff states 2"):
        read_pairs([both, tmp_path])
    assert [pair.mpp for pair in read_pairs([both, tmp_path], mpp=1.0).pairs] == [1.0, 1.0]


def test_a_project_alone_is_refused_and_is_no_data_set(project: Path, tmp_path: Path) -> None:
    for named in (project, project.parent):
        assert not is_data_set([named])
        with pytest.raises(UsageError, match=r"project\.qpproj: a QuPath project without its outlines: give"):
            read_pairs([named])
    assert is_data_set([tmp_path])


def test_a_second_file_of_outlines_needs_its_slide_again(folder: Path) -> None:
    (folder / "b.geojson.gz").touch()
    with pytest.raises(UsageError, match=r"b\.geojson\.gz: outlines without a slide: give SLIDE ANNOTATIONS"):
        read_pairs([folder / "a.tiff", folder / "a.xml", folder / "b.geojson.gz"])


def test_a_zarr_is_a_slide_though_it_is_a_folder(folder: Path, tmp_path: Path) -> None:
    slide = write_zarr(tmp_path / "s.ome.zarr", RGB[:20, :20])
    assert read_pairs([slide, folder / "a.xml"]).pairs == [SlidePair(slide, folder / "a.xml")]
    (tmp_path / "slides.csv").write_text("slide,annotations\ns.ome.zarr,a.xml\n")
    assert read_pairs([tmp_path / "slides.csv"]).pairs == [SlidePair(slide, folder / "a.xml")]
    assert not is_data_set([slide])
    with pytest.raises(UsageError, match=r"s\.ome\.zarr: a slide without its annotations"):
        read_pairs([slide])
