from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from wsi_seg.errors import AnnotationError
from wsi_seg.files import unpack
from wsi_seg.files.unpack import read_unpacked


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a small and harmless file is over."""
    monkeypatch.setattr(unpack, "ALWAYS_BYTES", 2000)
    monkeypatch.setattr(unpack, "MAX_RATIO", 20)
    monkeypatch.setattr(unpack, "CHUNK", 512)


def packed(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


def test_what_inflates_as_no_outlines_do_is_refused_before_it_is_held(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.geojson.gz", b" " * 100_000)
    assert 20 * path.stat().st_size < 100_000
    with pytest.raises(AnnotationError, match=r"x.geojson.gz: inflates to more than .* KiB, .*: unpack it"):
        read_unpacked(path)


def test_small_files_may_inflate_as_they_like(tmp_path: Path) -> None:
    assert read_unpacked(packed(tmp_path / "x.gz", b" " * 2000)) == (b" " * 2000, True)


def test_large_files_may_inflate_as_text_does(tmp_path: Path) -> None:
    content = b"".join(b"[%d,%d]," % (i * i % 9973, i) for i in range(2000))
    assert read_unpacked(packed(tmp_path / "x.gz", content)) == (content, True)


def test_members_that_follow_one_another_count_together(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.gz", b"one ")
    path.write_bytes(path.read_bytes() + gzip.compress(b"two"))
    assert read_unpacked(path) == (b"one two", True)
    path.write_bytes(gzip.compress(b" " * 1500) * 40)
    with pytest.raises(AnnotationError, match="inflates to more than"):
        read_unpacked(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_no_text_is_larger_than_qupath_could_hold(
    pack: type[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MAX_BYTES", 100)
    path = tmp_path / "x.geojson"
    path.write_bytes(pack(b"1" * 101))
    with pytest.raises(AnnotationError, match="more than 100 bytes"):
        read_unpacked(path)


def test_damage_is_said(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.gz", bytes(range(256)) * 5)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(AnnotationError, match="gzip data cut off or damaged"):
        read_unpacked(path)
