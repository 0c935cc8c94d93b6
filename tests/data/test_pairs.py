from __future__ import annotations

import re
from pathlib import Path

import pytest

from wsi_seg.data.pairs import SlidePair, read_pairs
from wsi_seg.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.tiff", "a.xml", "b.tiff", "b.geojson"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def listed(folder):
    def write(text, name="slides.csv"):
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [path]

    return write


def test_arguments_come_in_pairs(folder):
    paths = [folder / name for name in ("a.tiff", "a.xml", "b.tiff", "b.geojson")]

    assert read_pairs(paths) == [SlidePair(paths[0], paths[1]), SlidePair(paths[2], paths[3])]


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
def test_a_csv_files_paths_start_from_its_folder(folder, listed, text):
    assert read_pairs(listed(text)) == [
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
def test_a_csv_file_that_cannot_be_used_is_refused(listed, text, says):
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        read_pairs(listed(text))

    assert "\n" not in str(caught.value)


def test_all_files_that_are_not_there_are_named_in_one_line(listed):
    rows = "".join(f"{name}.tiff,a.xml\n" for name in "acdefgh")
    with pytest.raises(UsageError, match=r"c\.tiff.*line 3.*g\.tiff.*line 7\) and 1 more: no such file"):
        read_pairs(listed(f"slide,annotations\n{rows}"))


def test_a_folder_among_files_is_refused(folder):
    with pytest.raises(UsageError, match="is a folder: give a data set alone"):
        read_pairs([folder / "a.tiff", folder])


@pytest.mark.parametrize("names", [(), ("a.tiff",), ("a.tiff", "a.xml", "b.tiff")])
def test_other_numbers_of_paths_are_refused(folder, names):
    with pytest.raises(UsageError, match="give SLIDE ANNOTATIONS"):
        read_pairs([folder / name for name in names])


def test_a_file_that_is_not_there_is_named(folder):
    with pytest.raises(UsageError, match=r"c\.tiff: no such file"):
        read_pairs([folder / "c.tiff", folder / "a.xml"])


def test_a_csv_file_that_is_not_there_is_named(folder):
    with pytest.raises(UsageError, match=r"absent\.csv: cannot be read"):
        read_pairs([Path("absent.csv")])
