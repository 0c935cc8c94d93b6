"""Annotation files that gave a wrong truth in silence: what other programs wrote, beside the real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Rect

SIDE = 1500


@pytest.mark.parametrize(
    ("name", "areas_px"),
    [
        ("halo_lines.annotations", {2: 60_000}),
        ("qupath_children.geojson", {1: 600_000, 2: 40_000}),
        ("qupath_tma.geojson", {2: 90_000}),
    ],
)
def test_a_case_has_the_areas_that_were_drawn(shared_data: Path, name: str, areas_px: dict[int, int]) -> None:
    path = shared_data.parent / "cases" / name
    if not path.is_file():
        pytest.skip(f"{path}: absent: it lies beside the real data")
    file = read_annotations(path)
    frames = Frames.at_mpp(Bounds(x=0, y=0, width=SIDE, height=SIDE), (0.5, 0.5), 0.5)
    names = [shape.class_name for shape in file.shapes]
    truth = SlideTruth.of(file.outlines_label(frames), names, SCHEMA, TruthSettings(), tissue=None)

    classes = truth.read(Rect(0, 0, SIDE, SIDE))

    values, counts = np.unique(classes[classes != IGNORE], return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == areas_px
