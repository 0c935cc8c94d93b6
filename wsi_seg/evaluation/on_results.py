"""Compare finished results with annotations: the labels that `predict` wrote, shard by shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.annotations.annotation_files import AnnotationFiles
from wsi_seg.annotations.on_slide import Placed, on_glass, place
from wsi_seg.data.named_classes import check_classes, regions_told
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.errors import UsageError
from wsi_seg.evaluation.areas import Comparison
from wsi_seg.evaluation.evaluation import Evaluation
from wsi_seg.evaluation.matching import match_classes
from wsi_seg.evaluation.near_outlines import near_outlines
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.models.lookup import MODEL_FILE
from wsi_seg.progress import Progress
from wsi_seg.results.folder import folder_of, labels_in, require_finished
from wsi_seg.results.labels.ngff_attributes import OVERVIEW
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.labels.storage import array_to_read, reading
from wsi_seg.results.whole import require_whole
from wsi_seg.slides.coarse import CoarseMask
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.recorded import find_recorded
from wsi_seg.slides.tissue import TissueMask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import shapely

    from wsi_seg.annotations.annotation_files import AnnotationFile
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.results.labels.read_labels import LabelPyramid


def evaluate_results(
    pairs: Sequence[tuple[Path, Path]],
    schema: ClassSchema | None = None,
    settings: TruthSettings | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare the labels of results with annotations, in the annotated parts.

    Annotated pixels that were not processed, or lie outside of the region of interest, count as wrong.

    Parameters
    ----------
    pairs : sequence of (Path, Path)
        Each a result folder, or an OME-Zarr inside or outside of one, and an annotation file. A result that
        is named several times is compared with all its annotation files together.
    schema : ClassSchema, optional
        The truth's classes; by default those of the first result.
    settings : TruthSettings, optional
    progress : Progress, optional

    Raises
    ------
    OutputError
        If a result can't be read, is damaged, or is not finished.
    AnnotationError
        If an annotation file can't be read, was drawn on another slide, or names classes that the schema
        lacks.
    UsageError
        If the settings do not fit, the result lacks a class of the truth, or nothing is annotated.
    """
    settings = settings or TruthSettings()
    annotations = AnnotationFiles()
    files: dict[Path, list[AnnotationFile]] = {}
    for result, path in pairs:
        zarr = labels_in(result)
        files.setdefault(zarr.parent.resolve() / zarr.name, []).append(annotations.read(path))
    opened = {zarr: _open(zarr) for zarr in files}
    unknown = [require_whole(labels.path) for labels in opened.values()]
    first = next(iter(opened))
    other = None if schema else f"{_named(first)}, whose classes are used for all"
    schema = schema or opened[first].schema
    every = [file for group in files.values() for file in group]
    check_classes(every, schema, settings, f"the result {_named(first)}")
    placed = {zarr: _place(files[zarr], labels) for zarr, labels in opened.items()}
    truths = {
        zarr: _truth(labels, placed[zarr].outlines_label, files[zarr], schema, settings)
        for zarr, labels in opened.items()
    }
    comparisons = [
        Comparison(
            name=_named(zarr).name,
            truth=truths[zarr],
            classes=len(schema),
            read=labels.read,
            near=near_outlines(truths[zarr], labels.frames.label_mpp),
            table=match_classes(labels.schema, schema, str(_named(zarr)), other),
        )
        for zarr, labels in opened.items()
    ]
    tallies = [
        comparison.score(_shards(labels), progress or Progress())
        for comparison, labels in zip(comparisons, opened.values(), strict=True)
    ]
    remarks = [
        *(remark for file in every for remark in file.remarks),
        *(line for group in files.values() for line in regions_told(group, settings)),
        *(remark for shapes in placed.values() for remark in shapes.remarks),
    ]
    return Evaluation(
        subject=", ".join(dict.fromkeys(str(labels.attributes.get("model")) for labels in opened.values())),
        data=", ".join(_named(zarr).name for zarr in opened),
        schema=schema,
        tallies=tuple(tallies),
        remarks=(*(remark for remark in unknown if remark is not None), *remarks),
    ).checked(remarks)


def _named(zarr: Path) -> Path:
    """Return the path that names a result: its folder, or an OME-Zarr outside of a result folder."""
    return zarr if folder_of(zarr) is None else zarr.parent


def _open(zarr: Path) -> LabelPyramid:
    result = folder_of(zarr)
    if result is None:
        return read_labels(zarr)
    trained = result.folder / MODEL_FILE
    if trained.is_file():
        raise UsageError(f"{result.folder}: is a training: give its model, {trained}")
    require_finished(zarr)
    return read_labels(zarr)


def _place(files: Sequence[AnnotationFile], labels: LabelPyramid) -> Placed:
    """Place outlines on the slide of a result; say so where they miss the tissue that `predict` found."""
    slide = str(labels.attributes.get("slide", _named(labels.path).name))
    placed = place(files, slide, labels.frames)
    tissue = _tissue(labels)
    if tissue is None:
        return placed
    beside = on_glass(files, placed.outlines_label, tissue, slide)
    return Placed(placed.outlines_label, (*placed.remarks, *beside))


def _tissue(labels: LabelPyramid) -> TissueMask | None:
    """Return the tissue that `predict` found; None where there is no such mask."""
    result = folder_of(labels.path)
    if result is None or not result.tissue_mask.is_file():
        return None
    return TissueMask.load(result.tissue_mask, result.tissue_seal())


def _truth(
    labels: LabelPyramid,
    outlines_label: Sequence[shapely.Geometry],
    files: Sequence[AnnotationFile],
    schema: ClassSchema,
    settings: TruthSettings,
) -> SlideTruth:
    """Read annotations as `wsi_seg.data.annotated_slides` does, but without the slide file."""
    tissue = _tissue(labels) if settings.rest_is_tissue else None
    if settings.rest_is_tissue and tissue is None and settings.roi_class is None:
        raise UsageError(
            f"{_named(labels.path)}: has no tissue mask, which --rest needs: run `wsi-seg predict` "
            "with --tissue-mask, or name the class of regions of interest with --roi-class"
        )
    names = [shape.class_name for file in files for shape in file.shapes]
    return SlideTruth.of(outlines_label, names, schema, settings, tissue, _recorded(labels, tissue))


def _recorded(labels: LabelPyramid, tissue: TissueMask | None) -> CoarseMask:
    """Find what the scanner recorded, from the overview beside the labels.

    The slits between scanned fields can be seen only in the slide's finest pixels, which are not there. So
    they count as recorded, except where `predict` left them out of the tissue.
    """
    with reading(labels.path):
        channels = np.asarray(array_to_read(labels.path / OVERVIEW / "0")[:], dtype=np.uint8)
    rgb = np.moveaxis(channels, 0, -1)
    height, width = rgb.shape[:2]
    level = labels.frames.overview_level
    mpp = labels.frames.coarsened(2**level).label_mpp
    recorded = find_recorded(rgb, np.ones((height, width), dtype=bool), mpp)
    # Pixels that could not be read were recorded, too.
    recorded |= labels.read(Rect(0, 0, height, width), level) == UNPROCESSED_ID
    if tissue is not None:
        recorded |= tissue.at(Rect(0, 0, height, width), 2**level)
    return CoarseMask(recorded, 2**level)


def _shards(labels: LabelPyramid) -> Iterator[Rect]:
    """Yield the rectangle of each shard of the labels."""
    height, width = labels.shape
    finest = labels.levels[0]
    down, across = finest.shards or finest.chunks
    for y0 in range(0, height, down):
        for x0 in range(0, width, across):
            yield Rect(y0, x0, y0 + down, x0 + across).clipped(width, height)
