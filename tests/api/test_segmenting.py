from __future__ import annotations

import inspect
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from distributed import Client
from helpers.results import Recorder, fingerprints
from PIL import Image

import wsi_seg as ws
from wsi_seg.errors import MppError, NoSchedulerError, SlideError, UsageError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.familiarity import Familiarity, Verdict
from wsi_seg.results.pictures.overview_picture import AMBER_FILL
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings, RunSettings

NOT_ASKED = {"region_cores", "max_vertices"}
"""Settings that the command has no options for either."""


def test_a_result_is_the_commands_byte_for_byte(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    settings = PredictSettings(
        model=str(model_path),
        labels=LabelSettings(patch=256, confidence=True),
        export=ExportSettings(min_area_um2=2000),
        run=RunSettings(device="cpu", workers=2),
    )
    predict_slide(slide_path, tmp_path / "by command", settings)
    result = ws.segment(
        str(slide_path),
        ws.load_model(model_path),
        out=str(tmp_path / "slide"),
        patch=256,
        confidence=True,
        min_area_um2=2000,
        device="cpu",
        workers=1,
    )
    assert fingerprints(result.path) == fingerprints(tmp_path / "by command")
    assert result.summary.command == "wsi_seg.segment"
    heard = Recorder()
    again: dict[str, Any] = {"patch": 256, "confidence": True, "min_area_um2": 2000, "workers": 1}
    ws.segment(slide_path, model_path, out=result.path, device="cpu", progress=heard, **again)
    assert heard.said == ["already finished: nothing to do (--overwrite makes it again)"]


def test_an_unfamiliar_slide_is_warned_of_and_its_overview_says_so(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ws.segment(slide_path, model_path, out=tmp_path / "plain", device="cpu")
    unlike = Familiarity(verdict=Verdict.UNFAMILIAR, line="unfamiliar: check the result by eye")
    monkeypatch.setattr("wsi_seg.predict.predict_slide.familiarity", lambda plan: unlike)
    with pytest.warns(UserWarning, match="warned: unfamiliar: check the result by eye") as caught:
        warned = ws.segment(slide_path, model_path, out=tmp_path / "warned", device="cpu")
    assert {warning.filename for warning in caught} == {__file__}  # the user's line, and none of ours
    with ws.Runner(model_path, device="cpu") as runner, pytest.warns(UserWarning, match="kept: ") as caught:
        runner.segment(slide_path, out=tmp_path / "kept")
    assert {warning.filename for warning in caught} == {__file__}
    assert warned.familiarity == unlike

    def amber(result: ws.Result) -> int:
        pixels = np.asarray(Image.open(result.path / "overview.png").convert("RGB"))
        return int((pixels == AMBER_FILL).all(axis=2).sum())

    assert amber(warned) > amber(plain)


def test_all_settings_have_an_argument_with_their_default() -> None:
    fields: dict[str, object] = {}
    for part in (LabelSettings, ExportSettings, RunSettings):
        fields |= {name: field.default for name, field in part.model_fields.items()}
    asked = inspect.signature(ws.segment).parameters
    assert fields.keys() - asked.keys() == NOT_ASKED
    assert asked.keys() - fields.keys() == {"slide", "model", "out", "progress"}
    kept = inspect.signature(ws.Runner).parameters
    assert asked.keys() - kept.keys() == {"slide", "out", "mpp", "roi", "series"}
    for name, default in fields.items():
        for parameters in (asked, kept):
            if name in parameters:
                assert parameters[name].default == default, name
                assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_a_runner_keeps_its_cluster(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsi_seg.predict import predict_slide, session

    opened = []
    connect = predict_slide.connect

    def noted(settings: PredictSettings) -> AbstractContextManager[Client]:
        opened.append(settings)
        return connect(settings)

    monkeypatch.setattr(session, "connect", noted)
    unknown = write_tiff(tmp_path / "unknown.tiff", tissue_rgb(96, 96), mpp=None)
    drawn = tmp_path / "roi.geojson"
    square = '{"type": "Polygon", "coordinates": [[[0, 0], [0, 48], [48, 48], [48, 0], [0, 0]]]}'
    drawn.write_text(f'{{"type": "Feature", "geometry": {square}, "properties": {{}}}}')
    with ws.Runner(model_path, device="cpu", workers=1, tissue_mask=False) as runner:
        assert opened == []
        with pytest.raises(SlideError, match=r"no-slide\.svs"):
            runner.segment(tmp_path / "no-slide.svs", out=tmp_path / "none")
        with pytest.raises(SlideError, match="does not state its resolution"):
            runner.segment(unknown, out=tmp_path / "unknown")
        given = runner.segment(unknown, out=tmp_path / "given", mpp=2.0)
        part = runner.segment(unknown, out=tmp_path / "part", mpp=2.0, roi=drawn)
        with ws.open_slide(unknown, mpp=2.0) as slide:
            same = runner.segment(slide, out=tmp_path / "same")
            with pytest.raises(UsageError, match="is already open: give its mpp to open_slide"):
                runner.segment(slide, out=tmp_path / "same", mpp=2.0)
    assert len(opened) == 1
    for use in (lambda: runner.segment(unknown, out=tmp_path / "late", mpp=2.0), runner.__enter__):
        with pytest.raises(UsageError, match="this runner is closed: make another"):
            use()
    assert not (tmp_path / "late").exists()
    assert sum(given.areas_mm2.values()) == pytest.approx(96 * 96 * 4e-6)
    assert sum(part.areas_mm2.values()) == pytest.approx(48 * 48 * 4e-6)
    assert fingerprints(same.path) == fingerprints(given.path)


def test_a_runner_without_with_works_until_it_is_closed(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    runner = ws.Runner(model_path, device="cpu", workers=1)
    first = runner.segment(slide_path, out=tmp_path / "first")
    again = runner.segment(slide_path, out=tmp_path / "again")
    runner.close()
    runner.close()
    assert fingerprints(first.path) == fingerprints(again.path)
    with pytest.raises(UsageError, match="this runner is closed: make another"):
        runner.segment(slide_path, out=tmp_path / "late")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"overlap": -2}, "overlap=-2: input should be greater than or equal to 0"),
        ({"min_area_um2": "much"}, "min_area_um2='much': "),
        ({"ngff": "0.6"}, "ngff='0.6': input should be '0.5' or '0.4'"),
        ({"workers": 0}, "workers=0: "),
        ({"patch": 100}, "--patch 100: does not fit"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    slide_path: Path, model_path: Path, tmp_path: Path, asked: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        ws.segment(slide_path, model_path, out=tmp_path / "out", **asked)  # type: ignore[arg-type]


def test_a_picture_is_a_slide_whose_resolution_is_to_be_given(model_path: Path, tmp_path: Path) -> None:
    Image.fromarray(tissue_rgb(64, 64)).save(tmp_path / "picture.png")
    with pytest.raises(MppError, match=r"picture\.png: .* does not state its resolution"):
        ws.segment(tmp_path / "picture.png", model_path, out=tmp_path / "out")
    result = ws.segment(tmp_path / "picture.png", model_path, out=tmp_path / "out", mpp=2.0)
    assert result.labels.shape == (64, 64)


def test_a_scheduler_that_is_not_there(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSchedulerError, match="no Dask scheduler answers there"):
        ws.segment(slide_path, model_path, out=tmp_path / "out", scheduler=str(tmp_path / "none.json"))
