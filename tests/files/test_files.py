from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsi_seg.errors import OutputError
from wsi_seg.files.files import check_folder, check_writable, locked, remove_partial, replacing, write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "old")
    with replacing(tmp_path / "new" / "a.txt") as partial:
        partial.write_text("new")
        assert (tmp_path / "new" / "a.txt").read_text() == "old"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "new"


def write_half(path: Path, error: BaseException) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise error


def test_a_failure_keeps_the_old_content_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "a.txt", KeyboardInterrupt())
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written .*free space"):
        write_half(tmp_path / "a.txt", OSError(28, "No space left on device"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.0123.partial").touch()
    (tmp_path / ".slide.ome.zarr.partial" / "0").mkdir(parents=True)
    (tmp_path / "mine.partial").touch()
    remove_partial(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.partial"]


def test_what_can_be_written_is_known_before(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "a.json")
    assert not list((tmp_path / "new").iterdir())
    with pytest.raises(
        OutputError, match=r"new: cannot be written .Is a directory.: name a file, not a folder"
    ):
        check_writable(tmp_path / "new")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.json", tmp_path / "file" / "new" / "a.json"):
        with pytest.raises(
            OutputError, match=r"a.json: cannot be written .*: name another folder, as a file is"
        ):
            check_writable(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As NFS that is mounted without them; nothing else keeps two runs apart and ends with its process."""

    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    message = (
        rf"^{tmp_path}: its file system has no locks \(.*\), which .*: choose a folder on another file system"
    )
    with pytest.raises(OutputError, match=message), locked(tmp_path, tmp_path / "work"):
        pass
    monkeypatch.undo()
    with locked(tmp_path, tmp_path / "work"):
        pass


def test_a_folder_to_write_to_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside" / "it"):
        with pytest.raises(OutputError, match=r"/file: is a file, not a folder to write to: name another"):
            check_folder(folder)
    check_folder(tmp_path / "new" / "inside")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("flag", "reason"), [(0, "Permission denied"), (os.ST_RDONLY, "Read-only file system")]
)
def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: int, reason: str
) -> None:
    """By pretence: the tests' user may be root, who may write everywhere."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flag))
    with pytest.raises(OutputError, match=rf"^{tmp_path}: cannot be written \({reason}\): .* name another"):
        check_folder(tmp_path / "new" / "inside")
    assert not (tmp_path / "new").exists()
