"""Polygons as GeoParquet 1.1, by pyarrow, row group by row group, never all in memory.

The geometry column is WKB without a coordinate reference system: a slide lies nowhere on the earth. Each row
has its bounding box, so that readers can take the polygons of a rectangle alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from wsi_seg.files.files import replacing
from wsi_seg.packages import required
from wsi_seg.results.polygons.export_report import FileTally
from wsi_seg.results.polygons.geojson_writer import areas_um2, feature_id
from wsi_seg.results.polygons.placing import place
from wsi_seg.results.polygons.written_classes import visible, written_classes
from wsi_seg.results.stated_of_labels import STATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from wsi_seg.exports.options import Frame
    from wsi_seg.exports.stated_of_run import Stated
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.results.polygons.complete_shapes import Shape
    from wsi_seg.results.polygons.export_report import ExportReport
    from wsi_seg.results.polygons.placing import Placed
    from wsi_seg.results.polygons.written_classes import GeoJsonSettings
    from wsi_seg.slides.frames import Frames

GROUP_ROWS, GROUP_VERTICES = 10_000, 2**18
"""Most polygons of a row group, and the number of vertices that ends one."""

COLUMNS = (
    *("id", "class_id", "class", "area_um2", "label_area_um2", "mean_confidence"),
    *("geometry", "bbox"),
)
BOUNDS = ("xmin", "ymin", "xmax", "ymax")


def require_pyarrow(path: Path) -> ModuleType:
    """Return pyarrow.

    Raises
    ------
    UsageError
        Naming the file that needs it, and the extra that installs it.
    """
    return required(str(path), "geo", "pyarrow", "pyarrow.parquet")


@dataclass(frozen=True)
class GeoParquet:
    """A writer of polygons, to be called as `wsi_seg.results.polygons.geojson_writer.write_geojson` is.

    Attributes
    ----------
    frame : {"slide", "qupath", "label", "um"}
        The frame of the coordinates; "um" is QuPath's in micrometres.
    stated : Stated
        Where the polygons come from, for the file's metadata.
    """

    frame: Frame
    stated: Stated

    def __call__(
        self,
        path: Path,
        shapes: Iterable[Shape],
        frames: Frames,
        schema: ClassSchema,
        settings: GeoJsonSettings,
    ) -> ExportReport:
        """Write the shapes that `write_geojson` would write, under the same ids, completely or not at all.

        Raises
        ------
        UsageError
            If pyarrow is not installed, or broken.
        OutputError
            If the file cannot be written, or a label value is not in the schema.
        """
        arrow = require_pyarrow(path)
        classes = written_classes(schema, settings)
        rows = _Rows(arrow, {i: name for i, (name, _) in classes.items()}, self.frame, frames)
        tally, extent = FileTally(), _Extent()
        placed = tally.kept(place(visible(shapes, classes, schema, path), frames))
        with replacing(path) as partial, rows.writer(partial) as file:
            for group in _groups(placed):
                batch, bounds = rows.batch(group)
                file.write_batch(batch)
                extent.add(bounds, group)
            file.add_key_value_metadata(self._metadata(extent))
        return tally.report(path, frames)

    def _metadata(self, extent: _Extent) -> dict[str, str]:
        """Return the file's metadata; pandas and geopandas make a table's ``attrs`` of the second."""
        return {
            "geo": json.dumps(extent.geo()),
            "PANDAS_ATTRS": json.dumps({"frame": self.frame, STATED: self.stated}),
            STATED: json.dumps({"frame": self.frame, **self.stated}),
        }


class _Rows:
    """Makes batches of rows, all of one schema."""

    def __init__(self, arrow: ModuleType, names: dict[int, str], frame: Frame, frames: Frames) -> None:
        self._arrow, self._frames, self._frame = arrow, frames, frame
        self._ids = {class_id: number for number, class_id in enumerate(names)}
        self._names = arrow.array(list(names.values()), arrow.string())
        number, text = arrow.float64(), arrow.string()
        box = arrow.struct([(name, number) for name in BOUNDS])
        classes = arrow.dictionary(arrow.int32(), text)
        types = (text, arrow.int64(), classes, number, number, number, arrow.binary(), box)
        self.schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))

    def writer(self, path: Path) -> Any:
        """Open a file for them."""
        return self._arrow.parquet.ParquetWriter(
            str(path),
            self.schema,
            compression="zstd",
            use_dictionary=["class"],
            # By which readers leave out row groups; of outlines and ids they would only take room.
            write_statistics=["class_id", *(f"bbox.{name}" for name in BOUNDS)],
        )

    def batch(self, group: list[Placed]) -> tuple[Any, NDArray[np.float64]]:
        """Return a record batch, and the bounding box of each of its polygons."""
        arrow, frames = self._arrow, self._frames
        outlines = np.array([placed.outline_qupath for placed in group])
        ids = [placed.shape.class_id for placed in group]
        classes = arrow.DictionaryArray.from_arrays(
            arrow.array([self._ids[i] for i in ids], arrow.int32()), self._names
        )
        names = classes.to_pylist()
        areas = np.array([areas_um2(placed, frames) for placed in group])
        sure = [placed.shape.mean_confidence for placed in group]
        convert = _from_qupath(self._frame, frames)
        moved = outlines if convert is None else shapely.transform(outlines, convert)
        bounds = shapely.bounds(moved)
        columns = [
            arrow.array(
                [feature_id(name, placed.coordinates) for name, placed in zip(names, group, strict=True)]
            ),
            arrow.array(ids, arrow.int64()),
            classes,
            arrow.array(areas[:, 0]),
            arrow.array(areas[:, 1]),
            arrow.array([None if value is None else value / 255 for value in sure], arrow.float64()),
            arrow.array(shapely.to_wkb(moved, byte_order=1), arrow.binary()),
            arrow.StructArray.from_arrays([arrow.array(bounds[:, i]) for i in range(4)], list(BOUNDS)),
        ]
        return arrow.RecordBatch.from_arrays(columns, schema=self.schema), bounds


@dataclass
class _Extent:
    """What the geometries of a file turn out to be."""

    types: set[str] = field(default_factory=set)
    low: NDArray[np.float64] = field(default_factory=lambda: np.full(2, np.inf))
    high: NDArray[np.float64] = field(default_factory=lambda: np.full(2, -np.inf))

    def add(self, bounds: NDArray[np.float64], group: list[Placed]) -> None:
        self.types |= {placed.outline_qupath.geom_type for placed in group}
        self.low = np.minimum(self.low, bounds[:, :2].min(axis=0))
        self.high = np.maximum(self.high, bounds[:, 2:].max(axis=0))

    def geo(self) -> dict[str, Any]:
        """Return the metadata that makes a Parquet file a GeoParquet file."""
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": sorted(self.types),
            "crs": None,  # if it were left out, readers would take the numbers for degrees
            "edges": "planar",
            "covering": {"bbox": {name: ["bbox", name] for name in BOUNDS}},
        }
        if self.types:
            column["bbox"] = [*self.low.tolist(), *self.high.tolist()]
        return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _groups(placed: Iterable[Placed]) -> Iterator[list[Placed]]:
    """Yield what becomes a row group, in order."""
    group: list[Placed] = []
    vertices = 0
    for item in placed:
        group.append(item)
        vertices += int(shapely.get_num_coordinates(item.outline_qupath))
        if len(group) == GROUP_ROWS or vertices >= GROUP_VERTICES:
            yield group
            group, vertices = [], 0
    if group:
        yield group


def _from_qupath(frame: Frame, frames: Frames) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
    """Return the conversion of QuPath's coordinates to a frame; None if there is nothing to convert."""
    conversions = {
        "slide": frames.qupath_to_slide,
        "qupath": None,
        "label": frames.qupath_to_label,
        "um": frames.qupath_to_um,
    }
    return conversions[frame]
