"""Write a result as a SpatialData store, completely or not at all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import zarr

from wsi_seg.errors import UsageError
from wsi_seg.exports.geoparquet import GeoParquet, require_pyarrow
from wsi_seg.exports.made_of import open_slide_of
from wsi_seg.exports.options import FRAMES
from wsi_seg.exports.spatialdata.metadata import (
    SYSTEM,
    labels_attributes,
    root_attributes,
    shapes_attributes,
)
from wsi_seg.exports.spatialdata.rasters import (
    confidence,
    layout_for,
    overview,
    tissue,
    write_raster,
)
from wsi_seg.exports.spatialdata.slide_picture import SlidePicture
from wsi_seg.exports.stated_of_run import stated
from wsi_seg.exports.written_files import Written
from wsi_seg.files.digests import flush
from wsi_seg.files.files import making, remove
from wsi_seg.results.polygons.polygon_export import export_as
from wsi_seg.results.targets import refuse_owned, target_for
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsi_seg.exports.formats import Write
    from wsi_seg.exports.options import Image, Options
    from wsi_seg.exports.source import Source
    from wsi_seg.exports.spatialdata.rasters import Raster
    from wsi_seg.results.polygons.polygon_export import Exported
    from wsi_seg.settings import ExportSettings

THREADS = min(4, (os.cpu_count() or 1) + 1)
"""How many shards or blocks are written at a time: one more than compute, as one waits for the disk."""

NAME = "slide.spatialdata.zarr"
"""What the store is called in a result folder."""


@dataclass(frozen=True)
class _Asked:
    source: Source
    target: Path
    settings: ExportSettings
    image: Image
    slide: Path | None


def prepare(source: Source, out: Path | None, options: Options) -> Write:
    """See that the store can be written, and that the slide is there if it is to be in it.

    Raises
    ------
    UsageError
        If the store is there already, belongs to something else or is not called as one, pyarrow is missing,
        options contradict each other, or the slide is not named and not where it lay.
    SlideError
        If the slide cannot be opened, or is another one.
    OutputError
        If the settings of the result's own polygons, or its record, cannot be read.
    """
    target = target_for(source.zarr, out, NAME)
    refuse_owned(target, source.zarr, polygons=False)
    if not target.name.endswith(".zarr"):
        raise UsageError(f"{target}: not a name for a SpatialData store: it must end in .zarr")
    if os.path.lexists(target):
        raise UsageError(f"{target}: is there already: remove it, or name another with -o")
    image = options.image or ("overview" if options.slide is None else "slide")
    if options.slide is not None and image != "slide":
        raise UsageError(f"--slide: has no effect with --image {image}: leave one of them out")
    require_pyarrow(target)
    if image == "slide":
        open_slide_of(source, options.slide).close()
    return partial(_write, _Asked(source, target, options.drawn(source), image, options.slide))


def _write(asked: _Asked) -> Written:
    pyramid, target = asked.source.pyramid, asked.target
    says = stated(asked.source, asked.settings)
    layout = layout_for(pyramid)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="export")
    with making(target) as store, ExitStack() as open_files, pool:
        zarr.create_group(store, zarr_format=3, attributes=root_attributes(says))
        zarr.create_group(store / "labels", zarr_format=3, attributes=labels_attributes(["tissue"]))
        write_raster(store, tissue(pyramid, layout), layout, pool)
        images = [confidence(pyramid)] if pyramid.confidence else []
        if asked.image == "overview":
            images.append(overview(pyramid))
        picture = None
        if asked.image == "slide":
            slide = open_files.enter_context(open_slide_of(asked.source, asked.slide))
            picture = SlidePicture(slide, pyramid.frames)
        if images or picture:
            zarr.create_group(store / "images", zarr_format=3)
        for image in images:
            write_raster(store, image, layout, pool)
        if picture is not None:
            picture.write(store, pool)
        report = _write_polygons(store, asked, GeoParquet("um", says))
        for path in store.rglob("zarr.json"):
            flush(path)
    return Written.of_polygons(target, report, asked.settings, *_lines(asked, images, picture, report))


def _write_polygons(store: Path, asked: _Asked, write: GeoParquet) -> Exported:
    """Write the polygons; `spatialdata` takes none for damage, so none there are left out."""
    shapes = store / "shapes"
    zarr.create_group(shapes, zarr_format=3)
    zarr.create_group(shapes / "polygons", zarr_format=3, attributes=shapes_attributes())
    report = export_as(write, asked.source.pyramid, shapes / "polygons" / "shapes.parquet", asked.settings)
    if not report.file.polygons:
        remove(shapes)
    return report


def _lines(
    asked: _Asked, images: list[Raster], picture: SlidePicture | None, report: Exported
) -> Iterator[str]:
    """Say what is in the store, and what could be."""
    yield f"one coordinate system, {SYSTEM!r}: {FRAMES['um']}"
    shown: list[Raster | SlidePicture] = [*images, *([picture] if picture is not None else [])]
    held = [f"{image.name} at {image.um[0]:.3g} um per px" for image in shown]
    yield f"images: {', '.join(held) or 'none'}"
    if asked.image == "overview":
        mpp = asked.source.pyramid.frames.label_mpp[0]
        yield f"the slide itself, at {mpp:.3g} um per px, with --image slide"
    if not report.file.polygons:
        yield "shapes: none, as there are no polygons"
    if picture is not None and picture.unreadable:
        tiles = counted(picture.unreadable, "tiles")
        yield f"{tiles} of the slide could not be read, and show its background"
