"""The folder of a result."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wsi_seg.errors import OutputError
from wsi_seg.results.folder import ResultFolder


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


@pytest.mark.parametrize("relative", [True, False])
def test_a_result_that_lies_elsewhere_by_a_link_is_cleared_away(tmp_path: Path, relative: bool) -> None:
    result = ResultFolder(tmp_path / "out")
    elsewhere = tmp_path / "large" / "slide.ome.zarr"
    (elsewhere / "labels").mkdir(parents=True)
    with result.locked():
        result.zarr.symlink_to(Path("../large/slide.ome.zarr") if relative else elsewhere)
        result.summary_json.write_text("{}")
        result.clear()
    with result.locked():  # clears strays too
        pass
    assert [path.name for path in (tmp_path / "out").rglob("*")] == [".wsi-seg", "lock"]
    assert (elsewhere / "labels").is_dir()


def test_a_link_leads_where_it_did_after_it_is_moved(tmp_path: Path) -> None:
    result = ResultFolder(tmp_path / "out")
    (tmp_path / "large").mkdir()
    with result.locked():
        result.unfinished_zarr.symlink_to("../../large")
        result.ledger.symlink_to("../../large")
        result.publish_zarr()
        result.clear_work()
    assert result.zarr.resolve() == tmp_path / "large"
    assert not result.ledger.is_symlink()
