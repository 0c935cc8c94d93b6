"""Files that change, appear and go are seen; folders that grow are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wsi_seg.view.watched_files import Watch


def watching(folder: Path) -> Watch:
    watch = Watch()
    watch.file(folder / "there", folder / "not there")
    watch.folder(folder / "folder", folder / "other folder")
    return watch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "there").write_text("as it was")
    (tmp_path / "folder").mkdir()
    return tmp_path


CHANGES: list[Callable[[Path], object]] = [
    lambda folder: os.utime(folder / "there", ns=(1, 1)),
    lambda folder: (folder / "there").write_text("other"),
    lambda folder: (folder / "there").unlink(),
    lambda folder: (folder / "not there").touch(),
    lambda folder: (folder / "folder").rmdir(),
    lambda folder: (folder / "other folder").mkdir(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(folder: Path, change: Callable[[Path], object]) -> None:
    watch = watching(folder)
    assert not watch.changed()
    assert watch.same_as(watching(folder))
    change(folder)
    assert watch.changed()
    assert not watch.same_as(watching(folder))


def test_what_a_folder_holds_may_grow(folder: Path) -> None:
    watch = watching(folder)
    (folder / "folder" / "more").touch()
    assert not watch.changed()


def test_it_looks_no_more_often_than_asked(folder: Path) -> None:
    watch = watching(folder)
    assert not watch.changed(within=1000)
    (folder / "there").unlink()
    assert not watch.changed(within=1000)
    assert watch.changed()


def test_what_another_watches_is_watched_as_it_was_then(folder: Path) -> None:
    other = watching(folder)
    (folder / "there").unlink()
    watch = Watch()
    watch.join(other)
    assert watch.changed()
