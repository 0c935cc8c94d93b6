"""DICOM Segmentations: the label pyramid, a file for each of its levels, in one series.

highdicom makes what stands before the frames, of one tile; frames are read, encoded and written one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from highdicom import PixelMeasuresSequence, PlanePositionSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription

from wsi_seg.errors import OutputError
from wsi_seg.exports.dicom.encoding import TILE
from wsi_seg.exports.dicom.made_by import concept, new_uid
from wsi_seg.exports.dicom.places import Places
from wsi_seg.exports.dicom.streamed import LARGEST, Frames, write_statements
from wsi_seg.files.digests import flush
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from wsi_seg.exports.dicom.coded_classes import CodedClass
    from wsi_seg.exports.dicom.dicom_slide import DicomSlide
    from wsi_seg.exports.dicom.encoding import Encoding
    from wsi_seg.exports.dicom.made_by import MadeBy
    from wsi_seg.results.labels.read_labels import LabelPyramid

PER_FRAME = 0x52009230
STRIP = 16 * TILE
"""Pixels of a row of tiles that are read at a time."""


@dataclass(frozen=True)
class SegmentationSeries:
    """A series of segmentations that is to be written.

    Attributes
    ----------
    pyramid : LabelPyramid
    slide : DicomSlide
        That it is of.
    classes : tuple of CodedClass
        The segments.
    encoding : Encoding
    made_by : MadeBy
    """

    pyramid: LabelPyramid
    slide: DicomSlide
    classes: tuple[CodedClass, ...]
    encoding: Encoding
    made_by: MadeBy

    @property
    def levels(self) -> range:
        """The levels of the labels that are written: down to the first that one tile holds."""
        shapes = [array.shape for array in self.pyramid.levels]
        last = next((k for k, shape in enumerate(shapes) if max(shape) <= TILE), len(shapes) - 1)
        return range(last + 1)

    def write(self, folder: Path) -> int:
        """Write a file for each level.

        Parameters
        ----------
        folder : Path
            Empty.

        Returns
        -------
        int
            The bytes of all files.

        Raises
        ------
        OutputError
            If the labels are damaged, or a file would be larger than DICOM allows.
        OSError
            If a file cannot be written.
        SlideError
            If the slide's statements are not as highdicom needs them.
        """
        shared = {
            **self.made_by.of_series("SEG", self.classes),
            "pyramid_uid": new_uid(),
            "pyramid_label": "wsi-seg label pyramid",
        }
        total = 0
        for level in self.levels:
            path = folder / f"level-{level}.dcm"
            self._write_level(path, level, shared)
            total += path.stat().st_size
        return total

    def _write_level(self, path: Path, level: int, shared: dict[str, Any]) -> None:
        head = self._head(level, shared)
        places = Places.of(head) if self.encoding.sparse else None
        with Frames(path, self.encoding.framed) as frames:
            for row, column, tile in self._tiles(level):
                for number, frame in self.encoding.frames(tile):
                    frames.add(frame)
                    if places is not None:
                        places.add(number, row, column)
            if places is not None and not len(frames):  # an image has a frame, though there be nothing to see
                frames.add(bytes(TILE * TILE // 8))
                places.add(self.classes[0].number, 0, 0)
            if not self.encoding.framed and frames.size > LARGEST:
                raise OutputError(
                    f"{path}: would be larger than DICOM allows without compression "
                    f"({frames.size / 2**30:.1f} GiB): write a label map, with --seg-type labelmap"
                )
            frames.state(head)
            with path.open("wb") as file:
                if places is None:
                    write_statements(file, head)
                else:
                    write_statements(file, head, PER_FRAME, places.items())
                frames.write(file)
        flush(path)

    def _head(self, level: int, shared: dict[str, Any]) -> Dataset:
        """Return what a level's file states before its frames."""
        frames = self.pyramid.frames
        row_mm, column_mm = self.slide.spacing_mm
        across, down = (step * 2**level for step in frames.downsample)
        height, width = self.pyramid.levels[level].shape
        finest = self.slide.finest
        measures = finest.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        with self.slide.taken_over():
            source, *others = self.slide.alike(TILE)
            head = Segmentation(
                source_images=[source],
                further_source_images=others,
                pixel_array=np.ones((TILE, TILE), dtype=np.uint8),
                segmentation_type=self.encoding.seg_type.upper(),
                segment_descriptions=self._segments(),
                sop_instance_uid=new_uid(),
                instance_number=level + 1,
                transfer_syntax_uid=self.encoding.syntax,
                tile_pixel_array=True,
                tile_size=(TILE, TILE),
                pixel_measures=PixelMeasuresSequence(
                    (row_mm * down, column_mm * across), measures.get("SliceThickness")
                ),
                plane_positions=[PlanePositionSequence("SLIDE", self.slide.origin_mm(frames), (1, 1))],
                dimension_organization_type="TILED_SPARSE" if self.encoding.sparse else "TILED_FULL",
                omit_empty_frames=self.encoding.sparse,
                **shared,
            )
        head.TotalPixelMatrixRows, head.TotalPixelMatrixColumns = height, width
        head.PatientOrientation = None  # which validators ask for, though a slide's orientation stands there
        del head.PixelData
        return head

    def _segments(self) -> list[SegmentDescription]:
        algorithm = self.made_by.algorithm
        segments = []
        for coded in self.classes:
            segment = SegmentDescription(
                segment_number=coded.number,
                segment_label=coded.label,
                segmented_property_category=concept(coded.category),
                segmented_property_type=concept(coded.code),
                algorithm_type="AUTOMATIC",
                algorithm_identification=algorithm,
                display_color=CIELabColor.from_rgb(*coded.color),
            )
            if coded.description is not None:
                segment.SegmentDescription = coded.description
            segments.append(segment)
        return segments

    def _tiles(self, level: int) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """Yield the tiles of a level row by row, with row and column of their first pixel, from 0."""
        height, width = self.pyramid.levels[level].shape
        table = self._numbers()
        for y in range(0, height, TILE):
            for x in range(0, width, STRIP):
                rect = Rect(y, x, y + TILE, x + STRIP).clipped(width, height)
                strip = np.zeros((TILE, -(-rect.width // TILE) * TILE), dtype=np.uint8)
                strip[: rect.height, : rect.width] = table[self.pyramid.read(rect, level)]
                for left in range(0, strip.shape[1], TILE):
                    yield y, x + left, np.ascontiguousarray(strip[:, left : left + TILE])

    def _numbers(self) -> NDArray[np.uint8]:
        """Return the number of the segment for each label value; 0 for values that are of none."""
        table = np.zeros(256, dtype=np.uint8)
        for coded in self.classes:
            table[coded.value] = coded.number
        return table
