"""Write shapes for QuPath as GeoJSON, or as a table of measurements."""

from __future__ import annotations

import gzip
import io
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha1
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import orjson
import shapely

from wsi_seg.files.csvlines import csv_line
from wsi_seg.files.files import replacing
from wsi_seg.results.polygons.coordinates_text import OutlinePoints
from wsi_seg.results.polygons.export_report import FileTally
from wsi_seg.results.polygons.placing import Placed, place
from wsi_seg.results.polygons.written_classes import visible, written_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from wsi_seg.models.classes import ClassSchema, Rgb
    from wsi_seg.results.polygons.complete_shapes import Shape
    from wsi_seg.results.polygons.export_report import ExportReport
    from wsi_seg.results.polygons.written_classes import GeoJsonSettings
    from wsi_seg.slides.frames import Frames

NAMESPACE = uuid.UUID("8f0a5c7e-3c1d-5a53-9d0b-6d9f4f6f2b1a")
"""Namespace of the features' ids, which derive from class and outline: an equal shape gets an equal id."""

PIECE, MOST_PIECES = 2**17, 8
"""Bytes that are compressed at a time, beside what goes on, and how many such pieces may wait."""

CSV_HEADER = (
    "id", "class_id", "class", "area_um2", "label_area_um2", "perimeter_um", "centroid_x", "centroid_y",
    "mean_confidence",
)  # fmt: skip


def write_geojson(
    path: Path,
    shapes: Iterable[Shape],
    frames: Frames,
    schema: ClassSchema,
    settings: GeoJsonSettings,
    says: Mapping[str, object] | None = None,
) -> ExportReport:
    """Write shapes as a FeatureCollection that QuPath opens in place.

    The file is written completely or not at all, and its bytes depend only on the arguments. Pixels outside
    of the region of interest are never written.

    Parameters
    ----------
    path : Path
        File to write, ``.geojson`` or ``.geojson.gz``; an older one is replaced.
    shapes : iterable of Shape
        In the label frame, taken as they are needed; confidence on a scale of 0 to 255.
    frames : Frames
        Where the label frame lies in QuPath's.
    schema : ClassSchema
        Names and colours of the classes. QuPath takes ``Tumour: necrotic`` for a class derived from
        ``Tumour``.
    settings : GeoJsonSettings
    says : mapping of str to JSON, optional
        Further members of the collection, at its end. QuPath does not look at them.

    Raises
    ------
    OutputError
        If the file cannot be written, or a label value is not in the schema.
    """
    tally = FileTally()
    classes = written_classes(schema, settings)
    with _replacing(path, settings.gzip) as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        separator = b"\n"
        for placed in tally.kept(place(visible(shapes, classes, schema, path), frames)):
            name, color = classes[placed.shape.class_id]
            file.write(separator + _feature(placed, name, color, frames, settings.object_type))
            separator = b",\n"
        file.write(b"\n]" + (b"," + orjson.dumps(says)[1:] if says else b"}") + b"\n")
    return tally.report(path, frames)


def write_csv(
    path: Path, shapes: Iterable[Shape], frames: Frames, schema: ClassSchema, settings: GeoJsonSettings
) -> ExportReport:
    """Write a line of measurements for each shape that `write_geojson` would write, under the same id.

    Areas and perimeters measure the outlines, label areas count the label pixels in them, centroids are in
    the QuPath frame. The file is never compressed.

    Parameters
    ----------
    path, shapes, frames, schema, settings
        As for `write_geojson`.

    Raises
    ------
    OutputError
        If the file cannot be written, or a label value is not in the schema.
    """
    tally = FileTally()
    classes = written_classes(schema, settings)
    with _replacing(path, compressed=False) as file:
        file.write(csv_line(CSV_HEADER).encode())
        for placed in tally.kept(place(visible(shapes, classes, schema, path), frames)):
            shape, outline = placed.shape, placed.outline_qupath
            name = classes[shape.class_id][0]
            perimeter_um = shapely.transform(outline, frames.qupath_to_um).length
            confidence = "" if shape.mean_confidence is None else f"{shape.mean_confidence / 255:.4f}"
            measured = (*areas_um2(placed, frames), perimeter_um, *outline.centroid.coords[0])
            identity = (feature_id(name, placed.coordinates), shape.class_id, name)
            line = csv_line((*identity, *(f"{value:.2f}" for value in measured), confidence))
            file.write(line.encode())
    return tally.report(path, frames)


def areas_um2(placed: Placed, frames: Frames) -> tuple[float, float]:
    """Return a shape's area by its outline, which simplification changes, and by its label pixels."""
    by_outline = placed.area_px2 * frames.slide_pixel_um2
    return by_outline, placed.shape.area_px * frames.label_pixel_um2


def _feature(placed: Placed, name: str, color: Rgb, frames: Frames, object_type: str) -> bytes:
    shape = placed.shape
    area, label_area = areas_um2(placed, frames)
    measurements = {"Area um^2": round(area, 2), "Label area um^2": round(label_area, 2)}
    if shape.mean_confidence is not None:
        measurements["Mean confidence"] = round(shape.mean_confidence / 255, 4)
    properties = orjson.dumps(
        {
            "objectType": object_type,
            "classification": {"name": name, "color": color},
            "measurements": measurements,
        }
    )
    return b'{"type":"Feature","id":"%b","geometry":{"type":"%b","coordinates":%b},"properties":%b}' % (
        feature_id(name, placed.coordinates).encode(),
        placed.outline_qupath.geom_type.encode(),
        placed.coordinates,
        properties,
    )


def outline_id(name: str, outline: shapely.Geometry) -> str:
    """Return the id of a shape of a class, by its outline in the QuPath frame."""
    return feature_id(name, OutlinePoints.of(np.array([outline])).texts[0])


def feature_id(name: str, coordinates: bytes) -> str:
    """Return the UUID of version 5 of a class and GeoJSON coordinates; `uuid.uuid5` takes twice as long."""
    digest = sha1(NAMESPACE.bytes + name.encode() + b"\n" + coordinates, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


@contextmanager
def _replacing(path: Path, compressed: bool) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` once it is complete, and is removed if it never is."""
    with replacing(path) as partial, partial.open("wb") as raw:
        if not compressed:
            yield raw
            return
        # No name and no time in the header: the same content gives the same bytes.
        with (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
            ThreadPoolExecutor(1, "gzip") as thread,
            io.BufferedWriter(_Beside(packed, thread), PIECE) as file,
        ):
            yield file


class _Beside(io.RawIOBase):
    """Writes to a file in a thread, piece by piece; an error comes with a later piece, or at the end."""

    def __init__(self, file: gzip.GzipFile, thread: ThreadPoolExecutor) -> None:
        self._file, self._thread = file, thread
        self._waiting: deque[Future[int]] = deque()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:  # any buffer, which Python 3.11 has no type for
        piece = bytes(data)  # it is used again
        self._wait(MOST_PIECES - 1)
        self._waiting.append(self._thread.submit(self._file.write, piece))
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            try:
                self._wait(0)
            finally:
                super().close()

    def _wait(self, most: int) -> None:
        """Wait until at most so many pieces are not written."""
        while len(self._waiting) > most or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
