"""Settings for predictions of seconds."""

from __future__ import annotations

from pathlib import Path

from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings, RunSettings

SMALL = LabelSettings(patch=192, overlap=64, region_cores=1)


def settings(
    model: Path,
    labels: LabelSettings = SMALL,
    export: ExportSettings | None = None,
    run: RunSettings | None = None,
) -> PredictSettings:
    """Settings with a model: small patches, regions of one core, two workers, unless stated otherwise."""
    return PredictSettings(
        model=str(model), labels=labels, export=export or ExportSettings(), run=run or RunSettings(workers=2)
    )
