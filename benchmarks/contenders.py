"""Who reads what for `read.py`: wsi-seg on each file, other readers on the given one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from timed_reader import Piece, Task

from wsi_seg.errors import WsiSegError
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

SIDE = 2048
GRID = (4, 6)
"""Rectangles across and down, at the coarser resolution; as many are read from level 0. With fewer, what a
second thread gains depends on how evenly the two share them."""

OURS = "wsi-seg"
BESIDE = "OpenSlide, Pillow"
FLOOR = "imagecodecs, tiles alone"


@dataclass(frozen=True)
class Contender:
    """A reader on a file; `refused` says why it cannot take part."""

    name: str
    python: str = sys.executable
    task: Task | None = None
    refused: str = ""

    def read(self, threads: int) -> dict[str, Any]:
        """Read all rectangles once, in a process of its own; return seconds and what was seen."""
        assert self.task is not None
        command = [self.python, str(Path(__file__).with_name("timed_reader.py"))]
        given = replace(self.task, threads=threads).to_json()
        done = subprocess.run(command, input=given, capture_output=True, text=True)
        if done.returncode:
            return {"missing": f"failed: {done.stderr.strip().splitlines()[-1]}"}
        read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return read


def rectangles(frames: Frames, coarse: Frames) -> list[Rect]:
    """Return rectangles of a frame, spread over the part of the slide that `GRID` covers in `coarse`."""
    step = [round(SIDE * c / f) for c, f in zip(coarse.downsample, frames.downsample, strict=True)]
    spread = (Rect(y * step[1], x * step[0], y * step[1] + SIDE, x * step[0] + SIDE) for y, x in cells())
    inside = [rect for rect in spread if rect == rect.clipped(*frames.label_size)]
    if not inside:
        raise SystemExit(f"the slide is smaller than {SIDE} x {SIDE} pixels at the coarser resolution")
    return inside


def cells() -> Iterator[tuple[int, int]]:
    return ((y, x) for y in range(GRID[1]) for x in range(GRID[0]))


def make_task(path: Path, mpp: float | None, coarse_mpp: float, given_mpp: float | None = None) -> Task:
    """Plan what is read of a file.

    Raises
    ------
    WsiSegError
        If wsi-seg does not read it.
    """
    with Slide(path, given_mpp) as slide:
        frames = slide.frames(mpp or max(slide.mpp))
        index = slide.level_for(frames)
        level, grids = slide.levels[index], frames.over(slide.levels[index])
        pieces = []
        for rect in rectangles(frames, slide.frames(coarse_mpp)):
            source = grids.label_to_level(rect)
            edges = grids.x.edges(rect.x0, rect.x1), grids.y.edges(rect.y0, rect.y1)
            left, right = (float(edge) - source.x0 for edge in edges[0][[0, -1]])
            top, bottom = (float(edge) - source.y0 for edge in edges[1][[0, -1]])
            pieces.append(Piece(as_xywh(rect), as_xywh(source), (left, top, right, bottom)))
        return Task(
            reader=OURS,
            path=str(path),
            mpp=mpp or max(slide.mpp),
            levels_read=slide.levels_read,
            level=index,
            scale=level.scale_x,
            resample=True,
            threads=1,
            pieces=tuple(pieces),
            given_mpp=given_mpp,
        )


def as_xywh(rect: Rect) -> tuple[int, int, int, int]:
    return rect.x0, rect.y0, rect.width, rect.height


@dataclass(frozen=True)
class File:
    """What wsi-seg reads; `mpp` is given where the file states none, and then it has no level 0."""

    path: Path
    mpp: float | None = None


def contenders(files: dict[str, File], mpp: float | None, coarse_mpp: float, others: str) -> list[Contender]:
    """Return who reads: at `mpp`, or from level 0 if that is None."""
    found = []
    for name, file in files.items():
        if mpp is None and file.mpp is not None:
            continue
        path = file.path
        try:
            task = make_task(path, mpp, coarse_mpp, file.mpp)
        except WsiSegError as error:
            found.append(Contender(f"{OURS}, {name}", refused=str(error).replace(str(path), name)))
            continue
        found.append(Contender(f"{OURS}, {name}", task=task))
    given = found[0].task
    if given is None:
        raise SystemExit(found[0].refused)
    for name, reader, python in (
        (BESIDE, "OpenSlide", sys.executable),
        ("tiffslide, Pillow", "tiffslide", others),
        ("fastslide, Pillow", "fastslide", others),
        (FLOOR, "tiles", sys.executable),
    ):
        found.append(Contender(name, python, replace(given, reader=reader)))
        if reader == "OpenSlide" and mpp is not None:
            task = replace(given, reader=reader, resample=False)
            found.append(Contender("OpenSlide, not resampled", python, task))
    return found
