"""`ws.suggest`."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsi_seg as ws


def test_windows_come_as_objects_and_nothing_is_written_unasked(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = ws.suggest(str(slide_path), ws.load_model(model_path), windows=3, window_um=240, device="cpu")
    assert [window.rank for window in found.windows] == [1, 2, 3]
    assert {window.slide for window in found.windows} == {slide_path}
    for window in found.windows:
        x0, y0, x1, y1 = window.bounds_qupath
        assert (x1 - x0, y1 - y0) == (120, 120)
        assert 0 < window.unsure <= 1
        assert window.unlike is None
    assert (found.files, found.doubtful) == ((), ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"windows": 0}, "windows=0: input should be greater than or equal to 1"),
        ({"window_um": "wide"}, "window_um='wide': input should be a valid number"),
        ({"allow_coarser": 1}, "allow_coarser=1: give True or False"),
        ({"outlines": 3}, "3: not a path: give a path, or a list of paths"),
    ],
)
def test_what_does_not_fit_is_named(
    slide_path: Path, model_path: Path, given: dict[str, object], said: str
) -> None:
    with pytest.raises(ws.WsiSegError) as refused:
        ws.suggest(slide_path, model_path, **given)  # type: ignore[arg-type]
    assert str(refused.value).startswith(said)
