"""The folder of a result."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wsi_seg.errors import OutputError
from wsi_seg.outputs.result import ResultFolder


def test_a_result_that_is_cleared_away_loses_its_name_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ResultFolder(tmp_path / "out")
    for folder in (result.zarr, result.unfinished_zarr):
        (folder / "labels").mkdir(parents=True)
        (folder / "labels" / "chunk").write_text("")

    def killed(*_: object) -> None:
        raise OSError(5, "killed")

    with monkeypatch.context() as patch, result.locked():
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(OutputError):
            result.clear()
    assert not result.zarr.exists()
    with result.locked():
        result.clear()
    assert [path.name for path in (tmp_path / "out").rglob("*")] == [".wsi-seg", "lock"]
