"""Shapes drawn on slides, read from the annotation files of common tools."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import shapely

from wsi_seg.annotations.annotation import Annotation
from wsi_seg.annotations.formats import asap, halo, imagescope, qupath
from wsi_seg.annotations.formats.outline import Skipped
from wsi_seg.annotations.left_out import LISTED, lines_on
from wsi_seg.annotations.negative_regions import cut
from wsi_seg.annotations.repair import Repaired, repair
from wsi_seg.annotations.repeats import once
from wsi_seg.errors import AnnotationError
from wsi_seg.files.jsonfile import parse_json
from wsi_seg.files.unpack import read_unpacked
from wsi_seg.files.xmlfile import is_xml, parse_xml
from wsi_seg.models.classes import MAX_NAME
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wsi_seg.annotations.formats.outline import Drawn, Outline
    from wsi_seg.slides.frames import Frames

Format = Literal["QuPath GeoJSON", "ASAP XML", "ImageScope XML", "HALO annotations"]
Frame = Literal["qupath", "slide"]


@dataclass(frozen=True)
class AnnotationFile:
    """The shapes of one file.

    Attributes
    ----------
    path : Path
    format : str
        The tool and its format, in words.
    frame : {"qupath", "slide"}
        The frame that the shapes are in.
    shapes : tuple of Annotation
        At least one, in the file's order.
    repaired, refused : tuple of str
        What was repaired, and the shapes that are left out because it is not clear what they mean: a line
        each, such as "shape 12 (Tumour): ...".
    skipped : tuple of str
        The things that are left out because they are not drawn areas: "shapes 3, 7 (Tumour): each a line".
    repeated, redrawn : tuple of str
        The shapes that are left out because the same is drawn again later; and those that have the outline of
        an earlier shape of another class, and count: likewise.
    cores : tuple of Annotation
        Cores of a tissue microarray, which do not say what tissue is in them.
    """

    path: Path
    format: Format
    frame: Frame
    shapes: tuple[Annotation, ...]
    repaired: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    redrawn: tuple[str, ...] = ()
    cores: tuple[Annotation, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the file for training and evaluation, a line each that names it."""
        unnamed = sum(shape.class_name is None for shape in self.shapes)
        line = f"{self.path}: {unnamed} of {len(self.shapes)} shapes have no class: their tissue is unknown"
        return (*([line] if unnamed else []), *self._on_detections(), *self.changes)

    def _on_detections(self) -> Iterator[str]:
        found = [shape for shape in self.shapes if shape.detected and shape.class_name is not None]
        if found:
            names = list(dict.fromkeys(str(shape.class_name) for shape in found))
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            yield (
                f"{self.path}: {len(found)} of {len(self.shapes)} shapes are detections, such as cells, "
                f"whose classes ({', '.join(names[:LISTED])}{more}) count as those of the tissue: export the "
                "annotations alone if they should not"
            )

    @property
    def changes(self) -> tuple[str, ...]:
        """What was repaired, drawn twice or left out, a line each that names the file."""
        lines = (
            *self.repaired,
            *self.redrawn,
            *(f"{repeated}: left out" for repeated in self.repeated),
            *(f"{refused}: left out" for refused in self.refused),
            *(f"{skipped}: left out, not a drawn area" for skipped in self.skipped),
            *([f"{_cores(self)}: left out, not outlines of tissue"] if self.cores else []),
        )
        return tuple(f"{self.path}: {line}" for line in lines)

    def outlines_label(self, frames: Frames) -> list[shapely.Geometry]:
        """Return the shapes' geometries in a slide's label frame."""
        convert = frames.qupath_to_label if self.frame == "qupath" else frames.slide_to_label
        geometries = np.array([shape.geometry for shape in self.shapes], dtype=object)
        return list(shapely.transform(geometries, convert))


def read_annotations(path: Path, places: bool = False) -> AnnotationFile:
    """Read the shapes of an annotation file, whatever its name.

    Reads QuPath's GeoJSON, in QuPath's frame, and the XML of ASAP, Aperio ImageScope and HALO, in the slide's
    frame; each may be gzipped. The format is detected from the file's content.
    Outlines that cross themselves are repaired where it is clear what they mean
    (`wsi_seg.annotations.repair`), else left out and reported. Lines, rulers, points and the like are not
    shapes, and are reported as well. Negative regions are cut out of the larger regions of their layer.

    Parameters
    ----------
    path : Path
    places : bool
        Take the cores of a tissue microarray as shapes, where a file holds nothing else: they say where to
        look, not what is there.

    Raises
    ------
    AnnotationError
        If the file cannot be read, has an unknown format, or holds no usable shape.
    """
    file = _read(path)
    if places and not file.shapes:
        file = replace(file, shapes=file.cores, cores=())
    return _with_area(file)


def _with_area(file: AnnotationFile) -> AnnotationFile:
    """Refuse a file without any shape."""
    if not file.shapes:
        cores = [_cores(file)] if file.cores else []
        holds = "; ".join((*file.refused[:3], *file.skipped, *cores)) or "no shapes at all"
        raise AnnotationError(
            f"{file.path}: holds no area ({holds}): draw closed regions and export them again"
        )
    return file


class AnnotationFiles:
    """What is drawn of tissue in annotation files, each parsed once, however often it is asked for.

    Detections without a class are left out. Cells that were measured in an outline say nothing of its tissue,
    and would cut it to pieces.
    """

    def __init__(self) -> None:
        self._read: dict[Path, AnnotationFile] = {}

    def read(self, path: Path) -> AnnotationFile:
        """Read a file as `read_annotations` does, or return what it held before."""
        if path not in self._read:
            self._read[path] = _with_area(_without_measured(read_annotations(path)))
        return self._read[path]


def _without_measured(file: AnnotationFile) -> AnnotationFile:
    """Leave out detections without a class."""
    kept = tuple(shape for shape in file.shapes if not shape.detected or shape.class_name is not None)
    if len(kept) == len(file.shapes):
        return file
    said = f"{counted(len(file.shapes) - len(kept), 'detections')} without a class, such as cells"
    return replace(file, shapes=kept, skipped=(*file.skipped, said))


def _read(path: Path) -> AnnotationFile:
    content, packed = read_unpacked(path)
    if not is_xml(content):
        drawn = qupath.read_qupath(parse_json(path, content, packed).value)
        return _checked(path, "QuPath GeoJSON", "qupath", drawn)
    root = parse_xml(path, content)
    if root.tag == asap.ROOT:
        return _checked(path, "ASAP XML", "slide", asap.read_asap(root))
    if root.tag != imagescope.ROOT:
        raise AnnotationError(
            f"{path}: XML of another kind (its root is <{root.tag[:40]}>): "
            "give a file that QuPath, ASAP, ImageScope or HALO exports"
        )
    if halo.is_halo(root):
        return _checked(path, "HALO annotations", "slide", halo.read_halo(root))
    return _checked(path, "ImageScope XML", "slide", imagescope.read_imagescope(root))


def _checked(path: Path, format_: Format, frame: Frame, drawn: Drawn) -> AnnotationFile:
    """Repair what was drawn, and leave out what cannot be repaired."""
    for number, class_name in drawn.named:
        if len(class_name) > MAX_NAME:
            raise AnnotationError(
                f"{path}: shape {number}: the name of its class has {len(class_name):,} characters: "
                f"give it one of up to {MAX_NAME}, and export it again"
            )
    refused: list[str] = []
    sound, cores = _repaired(drawn.outlines, refused), _repaired(drawn.cores, refused)
    shapes, cutting = [], set[int]()
    for outline, geometry, holes in cut(sound):
        cutting |= holes
        if geometry.is_empty:
            refused.append(f"{_named(outline)}: negative regions leave nothing of it")
        else:
            shapes.append(_annotation(outline, geometry))
    idle = [
        Skipped(outline.number, "a negative region that cuts no region of its layer", outline.class_name)
        for outline, _ in sound
        if outline.negative and outline.number not in cutting
    ]
    drawn_once = once(shapes)
    return AnnotationFile(
        path=path,
        format=format_,
        frame=frame,
        shapes=drawn_once.shapes,
        repaired=tuple(
            f"{_named(outline)}: {remark}"
            for outline, repaired in sound
            for remark in (outline.remark, repaired.remark)
            if remark
        ),
        refused=tuple(refused),
        skipped=lines_on([*drawn.skipped, *idle]),
        repeated=lines_on(drawn_once.repeated),
        redrawn=lines_on(drawn_once.redrawn),
        cores=tuple(_annotation(outline, repaired.geometry) for outline, repaired in cores),
    )


def _annotation(outline: Outline, geometry: shapely.Geometry) -> Annotation:
    return Annotation(
        geometry=geometry,
        class_name=outline.class_name,
        color=outline.color,
        order=outline.number,
        name=outline.name,
        object_id=outline.object_id,
        detected=outline.detected,
    )


def _repaired(outlines: Sequence[Outline], refused: list[str]) -> list[tuple[Outline, Repaired]]:
    """Return outlines with the shapes that they mean; add those that are not clear to `refused`."""
    sound: list[tuple[Outline, Repaired]] = []
    for outline in outlines:
        try:
            if outline.fault:
                raise ValueError(outline.fault)
            sound.append((outline, repair(outline.parts)))
        except (ValueError, shapely.errors.GEOSException) as error:
            refused.append(f"{_named(outline)}: {error}")
    return sound


def _cores(file: AnnotationFile) -> str:
    return f"{len(file.cores)} TMA core{'s' * (len(file.cores) != 1)}"


def _named(outline: Outline) -> str:
    return f"shape {outline.number}" + (f" ({outline.class_name})" if outline.class_name else "")
