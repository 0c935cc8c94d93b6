from __future__ import annotations

from pathlib import Path

from wsi_seg.files.digests import digest_file, digest_of


def test_digests_are_those_of_b2sum(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_of(b"abc") == digest_file(tmp_path / "abc") == "d8bb14d833d59559"
