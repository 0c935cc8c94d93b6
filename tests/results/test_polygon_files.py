"""Polygons that are written again in place of a result's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsi_seg.errors import OutputError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results import polygon_files
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.polygon_files import write_polygons
from wsi_seg.results.polygons.polygon_export import export_polygons
from wsi_seg.results.whole import check_result
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings, RunSettings


def test_no_run_and_no_other_export_writes_to_a_result_meanwhile(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run that began anew would take polygons of the labels before for its own."""
    result = ResultFolder(tmp_path / "out")
    labels = LabelSettings(patch=256, overlap=64)
    settings = PredictSettings(model=str(model_path), labels=labels, run=RunSettings(workers=1))
    predict_slide(slide_path, result.folder, settings)
    anew = settings.model_copy(update={"run": RunSettings(workers=1, overwrite=True)})
    export = export_polygons
    own, pyramid = result.geojson(True), read_labels(result.zarr)

    def disturbed(*given: Any) -> Any:
        for other in (
            lambda: predict_slide(slide_path, result.folder, anew),
            lambda: write_polygons(pyramid, result, own, ExportSettings()),
        ):
            with pytest.raises(OutputError, match=r"out: another run writes here: wait for it, or use -o"):
                other()
        return export(*given)

    monkeypatch.setattr(polygon_files, "export_polygons", disturbed)
    write_polygons(pyramid, result, own, ExportSettings(simplify_um=9))
    assert check_result(result.folder).ok
