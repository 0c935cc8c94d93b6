"""DICOM Microscopy Bulk Simple Annotations: the polygons, a group for each class.

Points are pixels of the slide's total pixel matrix, as QuPath's are. A polygon is a ring that does not repeat
its first point. Holes have no place in the format: where a polygon has some it is cut into pieces without.
"""

from __future__ import annotations

import contextlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from highdicom.color import CIELabColor
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from wsi_seg.errors import OutputError
from wsi_seg.exports.dicom.coded_classes import PRIVATE
from wsi_seg.exports.dicom.holes import without_holes
from wsi_seg.exports.dicom.made_by import concept, new_uid
from wsi_seg.exports.dicom.streamed import Scratch, write_statements
from wsi_seg.files.files import replacing
from wsi_seg.results.polygons.export_report import FileTally
from wsi_seg.results.polygons.placing import place
from wsi_seg.results.polygons.written_classes import visible, written_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from wsi_seg.exports.dicom.coded_classes import CodedClass
    from wsi_seg.exports.dicom.dicom_slide import DicomSlide
    from wsi_seg.exports.dicom.made_by import MadeBy
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.results.polygons.complete_shapes import Shape
    from wsi_seg.results.polygons.export_report import ExportReport
    from wsi_seg.results.polygons.placing import Placed
    from wsi_seg.results.polygons.written_classes import GeoJsonSettings
    from wsi_seg.slides.frames import Frames

GROUPS = 0x006A0002
"""The sequence of the groups."""

NO_UNITS = Code("1", "UCUM", "no units")
POLYGON = Code("polygon", PRIVATE, "Number of the polygon that it is, or is a piece of")
CONFIDENCE = Code("confidence", PRIVATE, "Mean confidence of the polygon")

TRIANGLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
"""What highdicom is given in place of the points, which are streamed."""


@dataclass
class Annotations:
    """A writer of polygons, to be called as `wsi_seg.results.polygons.geojson_writer.write_geojson` is.

    Attributes
    ----------
    slide : DicomSlide
    classes : mapping of int to CodedClass
        By label value.
    made_by : MadeBy
    cut : int
        Polygons that were cut, after a call.
    pieces : int
        What these became.
    """

    slide: DicomSlide
    classes: Mapping[int, CodedClass]
    made_by: MadeBy
    cut: int = 0
    pieces: int = 0

    def __call__(
        self,
        path: Path,
        shapes: Iterable[Shape],
        frames: Frames,
        schema: ClassSchema,
        settings: GeoJsonSettings,
    ) -> ExportReport:
        """Write the shapes that `write_geojson` would write, completely or not at all.

        Raises
        ------
        OutputError
            If there are none, the file cannot be written, or a label value is not in the schema.
        SlideError
            If the slide's statements are not as highdicom needs them.
        """
        tally, written = FileTally(), written_classes(schema, settings)
        placed = tally.kept(place(visible(shapes, written, schema, path), frames))
        with replacing(path) as partial, contextlib.ExitStack() as scratch:
            groups: dict[int, _Group] = {}
            for number, item in enumerate(placed, 1):
                value = item.shape.class_id
                if value not in groups:
                    groups[value] = _Group(scratch.enter_context(Scratch(path)))
                self._add(groups[value], number, item, frames)
            if not groups:
                raise OutputError(
                    f"{path}: there is no polygon to write, and DICOM has no annotations without any: lower "
                    "--min-area, or export GeoJSON"
                )
            with partial.open("wb") as file:
                write_statements(file, self._head(), GROUPS, self._items(groups))
        return tally.report(path, frames)

    def _add(self, group: _Group, number: int, placed: Placed, frames: Frames) -> None:
        confidence = placed.shape.mean_confidence
        pieces = [piece for part in shapely.get_parts(placed.outline_qupath) for piece in without_holes(part)]
        if len(pieces) > 1:
            self.cut += 1
            self.pieces += len(pieces)
        for piece in pieces:
            ring_qupath = shapely.get_coordinates(piece.exterior)[:-1]
            area = piece.area * frames.slide_pixel_um2
            group.add(frames.qupath_to_slide(ring_qupath), number, area, confidence)

    def _head(self) -> Dataset:
        first = next(iter(self.classes.values()))
        with self.slide.taken_over():
            head = MicroscopyBulkSimpleAnnotations(
                source_images=[self.slide.finest],
                annotation_coordinate_type="2D",
                pixel_origin_interpretation="VOLUME",
                annotation_groups=[self._group(first, 1)],
                sop_instance_uid=new_uid(),
                instance_number=1,
                **self.made_by.of_series("ANN", tuple(self.classes.values())),
            )
        del head.AnnotationGroupSequence
        return head

    def _items(self, groups: Mapping[int, _Group]) -> Iterator[Dataset]:
        """Yield the groups, numbered in the order of the classes."""
        values = [value for value in self.classes if value in groups]
        for number, value in enumerate(values, 1):
            item = self._group(self.classes[value], number)
            groups[value].fill(item)
            yield item

    def _group(self, coded: CodedClass, number: int) -> Dataset:
        """Return a group without its points."""
        return AnnotationGroup(
            number=number,
            uid=new_uid(),
            label=coded.label,
            description=coded.description,
            annotated_property_category=concept(coded.category),
            annotated_property_type=concept(coded.code),
            graphic_type="POLYGON",
            graphic_data=[TRIANGLE],
            algorithm_type="AUTOMATIC",
            algorithm_identification=self.made_by.algorithm,
            display_color=CIELabColor.from_rgb(*coded.color),
        )


@dataclass
class _Group:
    """The annotations of a class: their points in a temporary file, what is measured of each in memory."""

    points: Scratch
    starts: array[int] = field(default_factory=lambda: array("I"))
    numbers: array[float] = field(default_factory=lambda: array("f"))
    areas: array[float] = field(default_factory=lambda: array("f"))
    confidences: array[float] = field(default_factory=lambda: array("f"))

    def add(self, ring: NDArray[np.float64], number: int, area: float, confidence: float | None) -> None:
        """Append an annotation; `confidence` is on a scale of 0 to 255."""
        self.starts.append(self.points.size // ring.itemsize + 1)
        self.points.file.write(np.ascontiguousarray(ring).tobytes())
        self.numbers.append(number)
        self.areas.append(area)
        if confidence is not None:
            self.confidences.append(confidence / 255)

    def fill(self, item: Dataset) -> None:
        """Put points and measurements into a group that highdicom made."""
        item.NumberOfAnnotations = len(self.starts)
        self.points.file.seek(0)
        item.DoublePointCoordinatesData = self.points.file
        item.LongPrimitivePointIndexList = self.starts.tobytes()
        measured: list[tuple[Any, array[float], Any]] = [
            (codes.SCT.Area, self.areas, codes.UCUM.SquareMicrometer),
            (POLYGON, self.numbers, NO_UNITS),
        ]
        if self.confidences:
            measured.append((CONFIDENCE, self.confidences, NO_UNITS))
        item.MeasurementsSequence = [
            Measurements(name, np.frombuffer(values, dtype=np.float32), unit)
            for name, values, unit in measured
        ]
