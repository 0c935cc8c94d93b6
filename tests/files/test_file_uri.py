from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import pytest

from wsi_seg.files.file_uri import in_words, local_path, moved_path, path_of_uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/home/a.svs", "/home/a.svs"),
        ("file:///home/a%20b%23%C3%A4.svs", "/home/a b#ä.svs"),
        ("file:///home/ä.svs", "/home/ä.svs"),
        ("file://localhost/home/a.svs", "/home/a.svs"),
        ("/home/a b.svs", "/home/a b.svs"),
        ("file:/c:/Users/a.svs", "/C:/Users/a.svs"),
        ("file:///C:/a.svs", "/C:/a.svs"),
        ("file:////server/share/a.svs", "//server/share/a.svs"),
        ("file://server/share/a.svs", "//server/share/a.svs"),
    ],
)
def test_a_uri_names_a_path(uri: str, path: str) -> None:
    assert path_of_uri(uri) == path


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("https://omero.example.org/webclient/?show=image-1", "is read by https:, and not from a file"),
        ("omero:iviewer", "is read by omero:"),
        ("file:a.svs", "names no file"),
        ("a.svs", "names no file"),
        ("file:/a.svs#2", "names no file"),
        ("file:/a%00.svs", "names no file"),
        ("file:/a%ff.svs", "cannot be read"),
        ("file://[/a.svs", "cannot be read"),
    ],
)
def test_a_uri_of_no_file_is_refused(uri: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        path_of_uri(uri)


@pytest.mark.parametrize(
    ("path", "before", "moved"),
    [
        ("/data/slides/a.svs", "/data/project", "/new/slides/a.svs"),
        ("/data/project/slides/a.svs", "/data/project", "/new/here/slides/a.svs"),
        ("/C:/data/slides/a b.svs", "/C:/data/project", "/new/slides/a b.svs"),
        ("//server/share/slides/a.svs", "//server/share/project", "/new/slides/a.svs"),
        ("/D:/slides/a.svs", "/C:/data/project", None),
        ("//server/other/a.svs", "//server/share/project", None),
        ("/data/a.svs", "/C:/data/project", None),
    ],
)
def test_a_file_is_found_by_its_way_from_a_moved_folder(path: str, before: str, moved: str | None) -> None:
    assert moved_path(path, before, Path("/new/here")) == (None if moved is None else Path(moved))


def test_a_windows_path_is_shown_as_on_windows() -> None:
    assert in_words("/C:/data/a b.svs") == "C:/data/a b.svs"
    assert in_words("/data/a.svs") == "/data/a.svs"
    assert local_path("/data/a.svs") == Path("/data/a.svs")


@pytest.mark.parametrize(
    ("release", "path", "here"),
    [
        ("5.15.153.1-microsoft-standard-WSL2", "/C:/a b/c.svs", "/mnt/c/a b/c.svs"),
        ("4.4.0-19041-Microsoft", "/D:/c.svs", "/mnt/d/c.svs"),
        ("5.15.153.1-microsoft-standard-WSL2", "/home/c.svs", "/home/c.svs"),
        ("6.1.0-amd64", "/C:/c.svs", "/C:/c.svs"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="of Windows itself, which has the drives as they are")
def test_linux_on_windows_has_the_drives(
    release: str, path: str, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    assert local_path(path) == Path(here)
