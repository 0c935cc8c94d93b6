"""Tiles cut from annotated slides, in the layout that `wsi_seg.data.tile_folders` reads.

images/SLIDE_xX_yY.png    X, Y: the tile's corner in label pixels
masks/SLIDE_xX_yY.png     class ids, with the classes' colours as palette; 255: unknown
classes.yaml              the class schema
train.txt                 images and masks; empty until all are there
tiles.json                where they come from
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import yaml
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.data.tile_folders import CLASSES_FILE, list_path
from wsi_seg.errors import AnnotationError, OutputError
from wsi_seg.files.document import Document
from wsi_seg.files.files import replacing, write_text, writing
from wsi_seg.progress import Progress
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.data.annotated_slides import LabelledSlide
    from wsi_seg.models.classes import ClassSchema

ABOUT_FILE = "tiles.json"
IMAGES, MASKS = "images", "masks"
SPLIT = "train"
UNKNOWN_VALUE = 255
CELLS = 64
"""Points along a tile's side where the class is looked up, to see whether to cut the tile."""


class TilingSettings(BaseModel):
    """How tiles are cut.

    Attributes
    ----------
    size : int
        Side of a tile in label pixels.
    min_labelled : float
        Share of a tile's pixels whose class must be known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=32, le=8192)] = 512
    min_labelled: Annotated[float, Field(ge=0, le=1)] = 0.05


class TilesAbout(Document):
    """The origin of tiles: the content of ``tiles.json``.

    Attributes
    ----------
    mpp : float
        The requested micrometres per pixel; the resolution of each slide may differ by 1 %.
    settings : TilingSettings
    slides : dict of str to str
        The slides' files, by the beginning of their tiles' names.
    """

    mpp: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    settings: TilingSettings
    slides: dict[str, str]


@dataclass(frozen=True)
class Tiling:
    """The result of cutting.

    Attributes
    ----------
    tiles : dict of str to int
        Number of tiles by slide.
    pixels : int64 array, shape (classes,)
        Pixels of each class.
    """

    tiles: dict[str, int]
    pixels: NDArray[np.int64]


def write_tiles(
    slides: Sequence[LabelledSlide],
    schema: ClassSchema,
    mpp: float,
    folder: Path,
    settings: TilingSettings | None = None,
    progress: Progress | None = None,
) -> Tiling:
    """Cut slides into tiles, and write those with enough known pixels.

    A tile that reaches beyond the edge of its slide is white and unknown there. An existing folder of tiles
    is replaced. While the tiles are being written, and after an interruption, the folder is not a readable
    data set.

    Parameters
    ----------
    slides : sequence of LabelledSlide
    schema : ClassSchema
        Their classes.
    mpp : float
        Working resolution at which they were opened.
    folder : Path
        New, empty, or a folder of such tiles.
    settings : TilingSettings, optional
    progress : Progress, optional

    Raises
    ------
    OutputError
        If the folder holds other files, or can't be written to.
    AnnotationError
        If no tile has enough known pixels.
    SlideError
        If a slide can no longer be opened.
    """
    settings, progress = settings or TilingSettings(), progress or Progress()
    named = {slide.name: slide for slide in slides}
    paths = {name: str(slide.path) for name, slide in named.items()}
    _begin(folder, schema, TilesAbout(mpp=mpp, settings=settings, slides=paths))
    palette = _palette(schema)
    values = np.full(256, UNKNOWN_VALUE, np.uint8)
    values[: len(schema)] = schema.ids

    written: list[str] = []
    counts = Counter(dict.fromkeys(named, 0))
    pixels = np.zeros(256, np.int64)
    for name, slide in named.items():
        rects = list(_promising(slide, settings))
        progress.begin(name, len(rects), 0, len(rects) * settings.size**2 / 1e6, unit="squares")
        for rect in rects:
            tile = _cut(slide, rect)
            if (tile.classes != IGNORE).mean() >= settings.min_labelled:
                file = f"{name}_x{rect.x0}_y{rect.y0}.png"
                _write_png(folder / IMAGES / file, Image.fromarray(tile.rgb))
                mask = Image.fromarray(np.take(values, tile.classes))
                mask.putpalette(palette)
                _write_png(folder / MASKS / file, mask)
                written.append(file)
                counts[name] += 1
                pixels += np.bincount(tile.classes.ravel(), minlength=256)
            progress.advance(rect.area / 1e6)
        progress.end()
    _finish(folder, written)
    if not written:
        raise AnnotationError(
            f"{folder}: no tile of {settings.size} px has a known share of {settings.min_labelled:g}: "
            "annotate more, or cut smaller tiles"
        )
    return Tiling(dict(counts), pixels[: len(schema)])


def read_about(folder: Path) -> TilesAbout | None:
    """Read the origin of the tiles in a folder; None if `wsi-seg tiles` did not cut them.

    Raises
    ------
    DocumentError
        If the file is damaged, or of a newer wsi-seg.
    """
    path = folder / ABOUT_FILE
    if not path.is_file():
        return None
    return TilesAbout.read(path, "cut the tiles again")


def _begin(folder: Path, schema: ClassSchema, about: TilesAbout) -> None:
    """Prepare a folder, with a list that stays empty until the tiles are complete."""
    with writing(folder):
        if folder.exists() and not (folder / ABOUT_FILE).is_file() and any(folder.iterdir()):
            raise OutputError(f"{folder}: holds other files: name a new folder")
    classes = schema.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(classes, sort_keys=False, allow_unicode=True, default_flow_style=None)
    write_text(folder / ABOUT_FILE, about.model_dump_json(indent=2) + "\n")
    write_text(list_path(folder, SPLIT), "")
    write_text(folder / CLASSES_FILE, text)


def _finish(folder: Path, written: Sequence[str]) -> None:
    """Remove the tiles of earlier runs, and list those of this one."""
    kept = set(written)
    with writing(folder):
        for path in (*folder.glob(f"{IMAGES}/*"), *folder.glob(f"{MASKS}/*")):
            if path.name not in kept:
                path.unlink()
    lines = (f"{IMAGES}/{file}, {MASKS}/{file}\n" for file in written)
    write_text(list_path(folder, SPLIT), "".join(lines))


def _promising(slide: LabelledSlide, settings: TilingSettings) -> Iterator[Rect]:
    """Yield the tiles that may have enough known pixels, so that only these are read from the slide."""
    size = settings.size
    stride = max(1, size // CELLS)
    known = slide.class_map(stride) != IGNORE
    width, height = slide.size
    for y in range(0, height, size):
        for x in range(0, width, size):
            tile = Rect(y, x, y + size, x + size)
            cells = known[tile.in_cells(stride).slices]
            # Half of the required share, as cells are only samples of the pixels.
            if cells.sum() * stride**2 >= settings.min_labelled * size**2 / 2:
                yield tile


def _cut(slide: LabelledSlide, rect: Rect) -> LabelledPixels:
    """Read a tile, white and of unknown class beyond the slide."""
    inside = rect.clipped(*slide.size)
    read = slide.read(inside)
    if inside == rect:
        return read
    tile = LabelledPixels(
        np.full((rect.height, rect.width, 3), 255, np.uint8),
        np.full((rect.height, rect.width), IGNORE, np.uint8),
    )
    tile.rgb[inside.relative_to(rect).slices] = read.rgb
    tile.classes[inside.relative_to(rect).slices] = read.classes
    return tile


def _palette(schema: ClassSchema) -> bytes:
    colors = {c.id: bytes(c.color) for c in schema.classes}
    return b"".join(colors.get(value, bytes(3)) for value in range(256))


def _write_png(path: Path, picture: Image.Image) -> None:
    with replacing(path) as partial:
        picture.save(partial, "PNG")
