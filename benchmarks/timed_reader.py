"""One reader, timed in a process of its own; `read.py` starts these.

    python benchmarks/timed_reader.py < TASK.json

Other readers may live in another environment than wsi-seg, so this file imports only what the reader at hand
needs. The task is a `Task` as JSON; what comes out is a line of JSON, too.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

LOOK = 16
"""Cells along one side of a rectangle whose mean colours tell whether two readers read the same."""

Read = Callable[["Piece"], np.ndarray]


@dataclass(frozen=True)
class Piece:
    """A rectangle to read, as (x, y, width, height).

    Attributes
    ----------
    label : (int, int, int, int)
        In label pixels.
    source : (int, int, int, int)
        The level's pixels under it.
    box : (float, float, float, float)
        Left, top, right and bottom edge of `label`, in pixels of `source`.
    """

    label: tuple[int, int, int, int]
    source: tuple[int, int, int, int]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Task:
    """What to read, by what, in how many threads; without `resample` the level's pixels as they are.

    `given_mpp` is the resolution of a file that states none.
    """

    reader: str
    path: str
    mpp: float
    levels_read: tuple[int, ...]
    level: int
    scale: float
    resample: bool
    threads: int
    pieces: tuple[Piece, ...]
    given_mpp: float | None = None

    @classmethod
    def from_json(cls, text: str) -> Task:
        fields = json.loads(text)
        return cls(**{**fields, "pieces": tuple(Piece(**piece) for piece in fields["pieces"])})

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Clock:
    """Processor seconds that threads spend inside some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            begin = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - begin

        return run


class Watched:
    """A slide's reader whose time in `read` is counted."""

    def __init__(self, reader: Any, clock: Clock) -> None:
        self._reader = reader
        self.read = clock.timed(reader.read)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def open_wsi_seg(task: Task) -> tuple[Read, dict[str, Clock]]:
    module: Any = importlib.import_module("wsi_seg.slides.slide")
    lattice = importlib.import_module("wsi_seg.slides.lattice")
    slide = module.Slide(task.path, task.given_mpp, levels_read=task.levels_read)
    frames = slide.frames(task.mpp)
    assert slide.level_for(frames) == task.level
    clocks = {"reader": Clock(), "resample": Clock()}
    slide._reader = Watched(slide._reader, clocks["reader"])
    module.resample = clocks["resample"].timed(module.resample)

    def read(piece: Piece) -> np.ndarray:
        x, y, width, height = piece.label
        rgb: np.ndarray = slide.read(lattice.Rect(y, x, y + height, x + width), frames).rgb
        return rgb

    return read, clocks


def by_pillow(task: Task, read_region: Callable[..., Image.Image]) -> Read:
    """Read as most programs do: `read_region`, RGB, and Pillow's area resampling."""

    def read(piece: Piece) -> np.ndarray:
        x, y, width, height = piece.source
        corner = round(x * task.scale), round(y * task.scale)
        image = read_region(corner, task.level, (width, height)).convert("RGB")
        size = piece.label[2:]
        if task.resample and size != (width, height):
            image = image.resize(size, Image.Resampling.BOX, box=piece.box)
        return np.asarray(image)

    return read


def open_openslide(task: Task) -> tuple[Read, dict[str, Clock]]:
    return by_pillow(task, importlib.import_module("openslide").OpenSlide(task.path).read_region), {}


def open_tiffslide(task: Task) -> tuple[Read, dict[str, Clock]]:
    return by_pillow(task, importlib.import_module("tiffslide").TiffSlide(task.path).read_region), {}


def open_fastslide(task: Task) -> tuple[Read, dict[str, Clock]]:
    slide = importlib.import_module("fastslide").FastSlide.from_file_path(task.path)

    def read_region(corner: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        # Unlike the others, it counts in the level's own pixels.
        at = round(corner[0] / task.scale), round(corner[1] / task.scale)
        return Image.fromarray(slide.read_region(at, level, size).numpy())

    return by_pillow(task, read_region), {}


def open_tiles(task: Task) -> tuple[Read, dict[str, Clock]]:
    """Decode the JPEG tiles under a rectangle by imagecodecs, and do nothing with them: the floor."""
    tifffile = importlib.import_module("tifffile")
    jpeg8_decode = importlib.import_module("imagecodecs").jpeg8_decode
    page = tifffile.TiffFile(task.path).series[0].levels[task.level].pages[0]
    assert page.compression == tifffile.COMPRESSION.JPEG, "the floor is of JPEG tiles"
    file = page.parent.filehandle
    lock = threading.Lock()
    columns = -(-page.imagewidth // page.tilewidth)
    space = {"colorspace": page.photometric.name, "outcolorspace": "RGB"}

    def read(piece: Piece) -> np.ndarray:
        x, y, width, height = piece.source
        tile = np.zeros(())
        for row in range(y // page.tilelength, -(-(y + height) // page.tilelength)):
            for column in range(x // page.tilewidth, -(-(x + width) // page.tilewidth)):
                index = row * columns + column
                with lock:
                    file.seek(page.dataoffsets[index])
                    data = file.read(page.databytecounts[index])
                tile = jpeg8_decode(data, tables=page.jpegtables, **space)
        return tile

    return read, {}


READERS = {
    "wsi-seg": open_wsi_seg,
    "OpenSlide": open_openslide,
    "tiffslide": open_tiffslide,
    "fastslide": open_fastslide,
    "tiles": open_tiles,
}


def look(rgb: np.ndarray) -> list[int]:
    """Return the mean colours of a rectangle's cells."""
    small = Image.fromarray(rgb).resize((LOOK, LOOK), Image.Resampling.BOX)
    return np.asarray(small).ravel().tolist()


def measure(task: Task) -> dict[str, Any]:
    """Read all rectangles once, after a small one, and return seconds and the look of the first."""
    read, clocks = READERS[task.reader](task)
    first = task.pieces[0]
    x, y, *_ = first.source
    left, top, *_ = first.box
    read(Piece((*first.label[:2], 32, 32), (x, y, 64, 64), (left, top, left + 32, top + 32)))
    for clock in clocks.values():
        clock.seconds = 0.0
    wall, processor = time.perf_counter(), time.process_time()
    if task.threads == 1:
        for piece in task.pieces:
            read(piece)
    else:
        with ThreadPoolExecutor(task.threads) as pool:
            list(pool.map(lambda piece: read(piece).size, task.pieces))
    seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    parts = {name: clock.seconds for name, clock in clocks.items()}
    return {**seconds, **parts, "look": None if task.reader == "tiles" else look(read(first))}


def main() -> None:
    task = Task.from_json(sys.stdin.read())
    try:
        print(json.dumps(measure(task)))
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": f"{error.name} is not installed"}))


if __name__ == "__main__":
    main()
