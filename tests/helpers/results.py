"""What tests ask of finished results."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.progress import Progress
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.summary import Summary
from wsi_seg.slides.lattice import Rect


def level_read(summary: Summary) -> int:
    """The level of the file that a slide was read from."""
    assert summary.read_from is not None
    return summary.read_from.level


class Recorder(Progress):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.names: list[str] = []
        self.regions = 0

    def begin(self, slide: str, regions: int, done: int, megapixels: float, unit: str = "regions") -> None:
        self.names.append(slide)

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, megapixels: float) -> None:
        self.regions += 1


def fingerprints(result: Path) -> dict[str, str]:
    """A hash for each file that must not depend on how the run went."""
    files = [p for p in (result / "slide.ome.zarr").rglob("*") if p.is_file()]
    files += [result / "slide.geojson.gz", result / "tissue_mask.png"]
    return {
        str(p.relative_to(result)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.exists()
    }


def labels_of(result: Path) -> np.ndarray:
    """The whole label image."""
    pyramid = read_labels(result / "slide.ome.zarr")
    height, width = pyramid.shape
    return pyramid.read(Rect(0, 0, height, width))


def features_of(result: Path) -> list[dict[str, Any]]:
    """The features of the GeoJSON."""
    document = json.loads(gzip.decompress((result / "slide.geojson.gz").read_bytes()))
    assert document["type"] == "FeatureCollection"
    features: list[dict[str, Any]] = document["features"]
    return features


def shapes_of(result: Path) -> set[tuple[str, bytes]]:
    """Class and normalised geometry of each feature."""
    return {
        (f["properties"]["classification"]["name"], shapely.normalize(shape(f["geometry"])).wkb)
        for f in features_of(result)
    }


def share_that_comes_back(result: Path) -> float:
    """Read a result's polygons back and paint them; return the share of pixels with the class they had."""
    pyramid = read_labels(result / "slide.ome.zarr")
    height, width = pyramid.shape
    file = read_annotations(result / "slide.geojson.gz")
    assert (file.repaired, file.refused, file.skipped) == ((), (), ())
    truth = SlideTruth.of(
        file.outlines_label(pyramid.frames),
        [shape.class_name for shape in file.shapes],
        pyramid.schema,
        TruthSettings(),
        tissue=None,
    )
    expected = np.full((height, width), IGNORE, np.uint8)
    stored = labels_of(result)
    for index, kind in enumerate(pyramid.schema.classes):
        if kind.name != pyramid.schema.background:
            expected[stored == kind.id] = index
    assert len(np.unique(expected)) > 1
    return float((truth.read(Rect(0, 0, height, width)) == expected).mean())
