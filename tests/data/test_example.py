"""The example in ``annotations/``: outlines for the slide that ``wsi-seg demo slide`` generates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.demo import DEMO_SEED
from wsi_seg.demo.dye_colours import Stain
from wsi_seg.demo.generated_slide import truth_path, write_slide
from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.files.shipped import shipped_folder
from wsi_seg.models.classes import load_schema
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Rect

DEMO = shipped_folder("annotations") / "demo.geojson"


def test_qupath_takes_the_example() -> None:
    assert not check_file(DEMO).faults


@pytest.mark.slow
def test_the_example_outlines_what_is_on_the_demo_slide(tmp_path: Path) -> None:
    schema = load_schema("breast-biopsy")
    file = read_annotations(DEMO)
    slide = tmp_path / "demo.tiff"
    write_slide(slide, Tissue(DEMO_SEED, 4096, 3072, Stain()), (512, 384), 8.0)
    frames = Frames.at_mpp(Bounds(x=0, y=0, width=8192, height=6144), (0.5, 0.5), 8.0)

    names = [shape.class_name for shape in file.shapes]
    truth = SlideTruth.of(file.outlines_label(frames), names, schema, TruthSettings(), tissue=None)
    classes, exact = truth.read(Rect(0, 0, 384, 512)), tifffile.imread(truth_path(slide))

    assert file.remarks == ()
    assert set(names) == {c.name for c in schema.classes}
    known = classes != IGNORE
    assert 0.1 < known.mean() < 0.25
    assert (classes == exact)[known].mean() > 0.93
    assert all(np.mean(exact[classes == index] == index) > 0.85 for index in np.unique(classes[known]))
