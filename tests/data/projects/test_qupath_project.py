"""Which images a QuPath project lists, and where their files are."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from helpers.qupath_projects import (
    BIO_FORMATS,
    Json,
    image,
    server,
    uri_of,
    write_project,
    write_project_of,
)

from wsi_seg.data.projects.qupath_project import find_project, read_project
from wsi_seg.errors import SlideError, UsageError


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """A file in `slides`, beside the folder of a project."""
    path = tmp_path / "study" / "slides" / "Müller 50% #2.svs"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_images_are_found_by_their_uris(slide: Path, tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project.qpproj",
        image("Case 1", server(uri_of(slide), (700, 500), 0.25), 4),
        image("Case 2", server(uri_of(slide), None, None, ("--series", "0"), BIO_FORMATS), 7),
    )
    first, second = read_project(project)
    assert (first.number, first.name, first.path) == (4, "Case 1", slide)
    assert (first.size, first.mpp, first.fault) == ((700, 500), (0.25, 0.25), None)
    assert (second.number, second.size, second.mpp, second.fault) == (7, None, None, None)
    assert (first.series, second.series) == (None, 0)
    assert second.require() == slide


def test_a_project_that_was_moved_with_its_slides_finds_them(slide: Path, tmp_path: Path) -> None:
    write_project_of(tmp_path / "study" / "qupath" / "project.qpproj", slide)
    shutil.move(tmp_path / "study", tmp_path / "moved")
    (entry,) = read_project(tmp_path / "moved" / "qupath" / "project.qpproj")
    assert entry.require() == tmp_path / "moved" / "slides" / slide.name


def test_a_project_from_windows_finds_its_slides(slide: Path, tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "study" / "qupath" / "project.qpproj",
        image("a", server("file:/C:/My%20Study/slides/M%C3%BCller%2050%25%20%232.svs")),
        image("b", server("file:/D:/slides/b.svs"), 2),
        uri="file:/c:/My%20Study/qupath/project.qpproj",
    )
    moved, elsewhere = read_project(project)
    assert moved.require() == slide
    with pytest.raises(SlideError, match=re.escape(f"{project}: 'b': D:/slides/b.svs: no such file: open")):
        elsewhere.require()


def test_a_file_where_the_project_says_counts_before_one_where_it_may_be(slide: Path, tmp_path: Path) -> None:
    write_project_of(tmp_path / "study" / "qupath" / "project.qpproj", slide)
    shutil.copytree(tmp_path / "study", tmp_path / "copy")
    (entry,) = read_project(tmp_path / "copy" / "qupath" / "project.qpproj")
    assert entry.path == slide


def test_a_missing_file_is_named_with_both_places(slide: Path, tmp_path: Path) -> None:
    write_project_of(tmp_path / "study" / "qupath" / "project.qpproj", slide)
    shutil.move(tmp_path / "study", tmp_path / "moved")
    now = tmp_path / "moved" / "slides" / slide.name
    now.unlink()
    (entry,) = read_project(tmp_path / "moved" / "qupath" / "project.qpproj")
    with pytest.raises(SlideError, match=re.escape(f"{slide}: no such file, nor {now}: open the project")):
        entry.require()


def wrapped(kind: str, **more: object) -> Json:
    return {"builderType": kind, "builder": server("file:/a.svs"), **more}


@pytest.mark.parametrize(
    ("builder", "says"),
    [
        (wrapped("rotated", rotation="ROTATE_90"), "is rotated in QuPath"),
        (wrapped("cropped", region={"x": 0, "y": 0, "width": 9, "height": 9}), "is cropped in QuPath"),
        (wrapped("affine"), "is transformed in QuPath"),
        (wrapped("channels", channels=[]), "is composed of channels of several images"),
        (wrapped("color"), "is changed in its channels"),
        (wrapped("color_deconvolved"), "is separated into stains"),
        (wrapped("swapRedBlue"), "is changed in the order of its channels"),
        ({"builderType": "sparse", "regions": []}, "is composed of several images"),
        (wrapped("mosaic"), "opened in a way ('mosaic') that is not known"),
        ({"builderType": "pyramidize", "builder": wrapped("rotated", rotation="ROTATE_180")}, "is rotated"),
        ({"builderType": "pyramidize"}, "names no file"),
        ({"builderType": "uri"}, "names no file"),
        ({"uri": "file:/a.svs"}, "is damaged (builderType: field required)"),
        (server("https://example.org/a.svs"), "is read by https:, and not from a file: give its slide"),
        (
            server("file:/a.svs", args=("--series=2",)),
            "is series 2 of its file, of a size that is not stated",
        ),
        (server("file:/a.svs", args=("--series", "x")), "with --series x, which changes"),
        (server("file:/a.svs", args=("--name", "macro")), "with --name macro, which changes"),
        (server("file:/a.svs", args=("--rotate", "ROTATE_90")), "with --rotate ROTATE_90, which changes"),
        (server("file:/a.svs", args=("--order", "BGR")), "with --order BGR, which changes"),
        (server("file:/a.svs", args=("--no-crop",)), "with --no-crop, which changes"),
    ],
)
def test_an_image_that_is_not_its_file_is_refused_and_others_are_not(
    slide: Path, tmp_path: Path, builder: Json, says: str
) -> None:
    project = write_project(
        tmp_path / "project.qpproj", image("a", builder), image("b", server(uri_of(slide)), 2)
    )
    bad, good = read_project(project)
    with pytest.raises(SlideError, match=rf"^{re.escape(f'{project}: ')}'a': .*{re.escape(says)}") as caught:
        bad.require()
    assert "\n" not in str(caught.value)
    assert good.require() == slide


@pytest.mark.parametrize(
    "args",
    [
        ("--series", "0"),
        ("--series", "-1", "--rotate", "ROTATE_NONE", "--order", "RGB", "--dims", "XYCZT"),
        ("--classname", "OpenslideServerBuilder", "--icc-profile"),
    ],
)
def test_options_that_leave_an_image_as_it_is_are_taken(
    slide: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    inner = server(uri_of(slide), (8, 8), 0.5, args)
    unturned = {"builderType": "rotated", "rotation": "ROTATE_NONE", "builder": inner}
    builder = {"builderType": "pyramidize", "builder": unturned, "metadata": {"width": 9, "height": 7}}
    (entry,) = read_project(write_project(tmp_path / "project.qpproj", image("a", builder)))
    assert entry.require() == slide
    assert entry.size == (9, 7)  # what QuPath sets last


def test_a_damaged_image_costs_itself_only(slide: Path, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project.qpproj", {"entryID": 1}, image("b", server(uri_of(slide)), 2))
    bad, good = read_project(project)
    with pytest.raises(
        SlideError, match=r"'image 1 of the list': is damaged \(serverBuilder: field required"
    ):
        bad.require()
    assert good.require() == slide


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not JSON"),
        ('{"version": "0.5.1", "images": [', "QuPath keeps the one before as project.qpproj.backup"),
        ("[]", "not a QuPath project: name its project.qpproj"),
        ('{"version": "0.5.1"}', "not a QuPath project"),
        ('{"version": "0.5.1", "images": []}', "lists no image"),
        ('{"images": [{"path": "file:/a.svs", "name": "a"}]}', "of QuPath before 0.2"),
    ],
)
def test_what_is_no_project_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "project.qpproj"
    path.write_text(content)
    with pytest.raises(SlideError, match=rf"^{re.escape(f'{path}: ')}.*{re.escape(says)}"):
        read_project(path)


def test_a_project_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"project\.qpproj: No such file"):
        read_project(tmp_path / "project.qpproj")


def test_numbers_that_are_none_are_read(slide: Path, tmp_path: Path) -> None:
    """QuPath writes NaN for what it does not know."""
    path = write_project(tmp_path / "project.qpproj", image("a", server(uri_of(slide), (9, 7), float("nan"))))
    assert "NaN" in path.read_text()
    (entry,) = read_project(path)
    assert (entry.size, entry.mpp, entry.fault) == ((9, 7), None, None)


def test_a_folder_stands_for_the_project_in_it(tmp_path: Path) -> None:
    assert find_project(tmp_path) is None
    assert find_project(tmp_path / "absent.svs") is None
    own = tmp_path / "copy.qpproj"
    own.write_text(json.dumps({}))
    assert find_project(tmp_path) == own
    (tmp_path / "other.qpproj").touch()
    with pytest.raises(UsageError, match=r"holds several QuPath projects: name one: .*copy\.qpproj"):
        find_project(tmp_path)
    (tmp_path / "project.qpproj").touch()
    assert find_project(tmp_path) == tmp_path / "project.qpproj"
    assert find_project(own) == own


def test_a_project_that_lists_a_project_names_the_image(tmp_path: Path) -> None:
    path = tmp_path / "project.qpproj"
    (entry,) = read_project(write_project(path, image("Case 7", server(uri_of(path)))))
    why = f"{path}: 'Case 7': {path}: is a QuPath project, not a slide: remove the image"
    with pytest.raises(SlideError, match=re.escape(why)):
        entry.require()
