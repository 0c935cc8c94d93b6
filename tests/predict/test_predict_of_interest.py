"""Runs of regions of interest alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from helpers.drawn import write_boxes
from helpers.predictions import SMALL, settings
from helpers.results import labels_of

from wsi_seg.errors import (
    AnnotationError,
)
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.predict.plan import Plan
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.slides.slide import Slide


def test_regions_of_interest_limit_the_run(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    roi = tmp_path / "roi.geojson"
    roi.write_text(json.dumps(shapely.geometry.mapping(shapely.box(100, 50, 300, 250))))
    out = tmp_path / "out"
    predict_slide(slide_path, out, settings(model_path, SMALL.model_copy(update={"roi": roi})))
    labels = labels_of(out)
    inside = np.zeros(labels.shape, dtype=bool)
    inside[50:250, 100:300] = True
    assert (labels[~inside] == OUTSIDE_ID).all()
    assert (labels[inside] != OUTSIDE_ID).all()
    roi.write_text("{")
    with pytest.raises(AnnotationError, match=r"roi\.geojson"):
        predict_slide(slide_path, out, settings(model_path, SMALL.model_copy(update={"roi": roi})))


def test_a_run_is_of_the_regions_of_interest_that_it_read(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    roi = write_boxes(tmp_path / "roi.geojson", ("ROI", (0, 0, 300, 300)))
    labels = SMALL.model_copy(update={"roi": roi})
    with Slide(slide_path) as slide:
        plan = Plan.make(slide, load_bundle(model_path), "cpu", settings(model_path, labels))
        read = hashlib.sha256(roi.read_bytes()).hexdigest()
        write_boxes(roi, ("ROI", (300, 0, 700, 300)))  # saved again while the run begins
        assert plan.labels_key["roi"] == read[:16]


def test_regions_of_interest_beyond_the_slide_are_told(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    roi = write_boxes(tmp_path / "roi.geojson", ("A", (100, 50, 300, 250)), ("A", (9000, 0, 9100, 99)))
    labels = SMALL.model_copy(update={"roi": roi})
    summary = predict_slide(slide_path, tmp_path / "out", settings(model_path, labels))
    assert summary.roi_remarks == (f"{roi}: 1 of 2 shapes lies outside of {slide_path.name}",)
    assert json.loads((tmp_path / "out/summary.json").read_text())["roi_remarks"] == list(summary.roi_remarks)
    write_boxes(roi, ("A", (9000, 0, 9100, 99)))
    with pytest.raises(AnnotationError, match=rf"roi\.geojson: no shape lies on {slide_path.name}"):
        predict_slide(slide_path, tmp_path / "none", settings(model_path, labels))
    assert not (tmp_path / "none").exists()
