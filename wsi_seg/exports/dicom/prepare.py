"""What is asked of an export as DICOM, checked before anything is done: see `wsi_seg.exports.formats`.

What needs highdicom is imported once it is known to be there.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.exports.dicom.coded_classes import code_classes
from wsi_seg.exports.stated_of_run import stated
from wsi_seg.exports.written_files import Written
from wsi_seg.files.files import making
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.packages import required
from wsi_seg.results.labels.seals import read_seal
from wsi_seg.results.polygon_files import file_for
from wsi_seg.results.polygons.polygon_export import export_as, geojson_settings
from wsi_seg.results.polygons.written_classes import written_classes
from wsi_seg.results.targets import refuse_owned, target_for
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.exports.dicom.ann import Annotations
    from wsi_seg.exports.dicom.seg import SegmentationSeries
    from wsi_seg.exports.formats import Write
    from wsi_seg.exports.options import Options
    from wsi_seg.exports.source import Source
    from wsi_seg.settings import ExportSettings

SEG_FOLDER = "slide.seg"
PACKAGES = ("highdicom", "wsidicom")


def prepare_seg(source: Source, out: Path | None, options: Options) -> Write:
    """See that a segmentation can be written.

    Raises
    ------
    UsageError
        If the folder is there already or belongs to something else, a package is missing, or the slide is
        not named and not where it lay.
    SlideError
        If the slide is no DICOM slide, another one, or does not state how it lies.
    OutputError
        If the result's record is damaged, or it holds labels that its classes do not have.
    """
    target = target_for(source.zarr, out, SEG_FOLDER)
    refuse_owned(target, source.zarr, polygons=False)
    if os.path.lexists(target):
        raise UsageError(f"{target}: is there already: remove it, or name another folder with -o")
    required("--format dicom-seg", "dicom", *PACKAGES)
    from wsi_seg.exports.dicom.dicom_slide import find_slide
    from wsi_seg.exports.dicom.encoding import Binary, LabelMap
    from wsi_seg.exports.dicom.made_by import MadeBy
    from wsi_seg.exports.dicom.seg import SegmentationSeries

    slide = find_slide(source, options.slide)
    classes, without = code_classes(source.pyramid.schema, _segments(source, options), options.codes)
    encoding = Binary() if options.seg_type == "binary" else LabelMap.best()
    series = SegmentationSeries(source.pyramid, slide, classes, encoding, MadeBy(stated(source)))
    return partial(_write_seg, target, series, without)


def prepare_ann(source: Source, out: Path | None, options: Options) -> Write:
    """See that annotations can be written.

    Raises
    ------
    UsageError, SlideError, OutputError
        As for `prepare_seg`; or if the settings of the result's own polygons cannot be read.
    """
    settings = options.drawn(source)
    _, target = file_for(source.zarr, out, "ann.dcm")
    required("--format dicom-ann", "dicom", *PACKAGES)
    from wsi_seg.exports.dicom.ann import Annotations
    from wsi_seg.exports.dicom.dicom_slide import find_slide
    from wsi_seg.exports.dicom.made_by import MadeBy

    slide = find_slide(source, options.slide)
    schema = source.pyramid.schema
    values = set(written_classes(schema, geojson_settings(settings)))
    classes, without = code_classes(schema, values, options.codes)
    by_value = {coded.value: coded for coded in classes}
    write = Annotations(slide, by_value, MadeBy(stated(source, settings)))
    return partial(_write_ann, source, target, settings, write, without)


def _segments(source: Source, options: Options) -> set[int]:
    """Return the label values that become segments.

    All classes do but the background, which is what remains; unprocessed pixels do where there are some.
    """
    schema, seal = source.pyramid.schema, read_seal(source.zarr)
    held = set(source.pyramid.count() if seal is None else seal.pixels)
    unknown = held - {*schema.ids, OUTSIDE_ID, UNPROCESSED_ID}
    if unknown:
        raise OutputError(
            f"{source.zarr}: the labels hold class {min(unknown)}, which is not in the class schema "
            f"{schema.name!r}: use the schema that the labels were made with"
        )
    background = set() if options.include_background else {schema.background_id}
    return {*schema.ids, *(held & {UNPROCESSED_ID})} - background


def _write_seg(target: Path, series: SegmentationSeries, without: Sequence[str]) -> Written:
    with making(target) as folder:
        folder.mkdir()
        size = series.write(folder)
    encoding = series.encoding
    what = f"{counted(len(series.levels), 'levels')}, {counted(len(series.classes), 'segments')}"
    packed = "not compressed" if encoding.compression is None else f"compressed by {encoding.compression}"
    lines = [f"{encoding.seg_type}, {packed}: {size / 1e6:.2f} MB", *_remarks(without)]
    return Written(target, what, tuple(lines))


def _write_ann(
    source: Source, target: Path, settings: ExportSettings, write: Annotations, without: Sequence[str]
) -> Written:
    report = export_as(write, source.pyramid, target, settings)
    lines = _remarks(without)
    if write.cut:
        lines.append(
            f"{counted(write.cut, 'polygons')} with holes, cut into {counted(write.pieces, 'annotations')} "
            "without: DICOM has no holes"
        )
    return Written.of_polygons(target, report, settings, *lines)


def _remarks(without: Sequence[str]) -> list[str]:
    """Say which classes have no code but a private one."""
    if not without:
        return []
    names = ", ".join(without)
    return [f"private codes for {names}: name a class schema that has public ones with --codes"]
