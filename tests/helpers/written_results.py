"""Results written from arrays of labels, as a run would have written them; and labels in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import SCHEMA
from numpy.typing import NDArray

from wsi_seg.models.classes import ClassSchema
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.read_labels import LabelPyramid
from wsi_seg.results.labels.seals import document_path
from wsi_seg.results.record import Key, RegionTotals, RunRecord
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Lattice

Labels = NDArray[np.uint8]


def frames_of(labels: Labels, mpp: tuple[float, float] = (2.0, 2.0)) -> Frames:
    """Frames of labels at half of their slide's resolution; the scan begins at x 30, y 20 of the slide."""
    height, width = labels.shape
    return Frames(
        bounds=Bounds(x=30, y=20, width=2 * width, height=2 * height),
        slide_mpp=(mpp[0] / 2, mpp[1] / 2),
        downsample=(2.0, 2.0),
        label_size=(width, height),
    )


def in_memory(labels: Labels, mpp: tuple[float, float] = (2.0, 2.0)) -> LabelPyramid:
    """Labels that lie in no file."""
    return LabelPyramid(
        path=Path("memory/slide.ome.zarr"),
        frames=frames_of(labels, mpp),
        schema=SCHEMA,
        attributes={},
        levels=(labels,),  # type: ignore[arg-type]  # arrays are read alike
        confidence=(),
    )


def write_labels(
    folder: Path,
    labels: Labels,
    schema: ClassSchema = SCHEMA,
    frames: Frames | None = None,
    made_from: Key | None = None,
) -> Path:
    """Write a finished result folder, without documents beside the labels.

    `made_from` is what its record says that the labels depend on.
    """
    result = ResultFolder(folder)
    height, width = labels.shape
    lattice = Lattice(width, height, patch=64, halo=0, region_cores=1)
    layout = PyramidLayout(frames or frames_of(labels), schema, lattice.region, overview_level=0)
    writer = PyramidWriter(result.zarr, layout)
    result.work.mkdir(parents=True)
    writer.create({"slide": f"{folder.name}.svs", "model": "a-model", "model_fingerprint": "abc123"})
    files: dict[str, str] = {}
    for region in lattice.regions():
        rect = region.label_rect
        files |= writer.write_region(rect, np.ascontiguousarray(labels[rect.slices]))
    files |= writer.write_overview(np.full((3, height, width), 90, dtype=np.uint8).transpose(1, 2, 0))
    values, counts = np.unique(labels, return_counts=True)
    pixels = {int(value): int(count) for value, count in zip(values, counts, strict=True)}
    writer.seal(pixels, files | writer.build_levels(1))
    totals = RegionTotals(pixels=pixels, unreadable=0, patches=len(lattice), seconds={})
    files = result.take_stock(document_path(result.zarr))
    record = RunRecord(progress="finished", labels=made_from or {}, export={}, totals=totals, files=files)
    result.write_record(record)
    return folder
