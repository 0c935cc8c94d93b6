"""How fast are slides read, beside other readers, and where does the time go?

    python benchmarks/read.py SLIDE [--mpp 2.0] [--others PYTHON] [--repeats 3] [--given] [--keep FOLDER]

SLIDE is a TIFF in JPEG tiles with levels of 1/4 and less. Rectangles of 2048 x 2048 label pixels are read at
`--mpp` from a coarser level, and at the slide's own resolution from level 0: from SLIDE, and from a part of
it in a container for each other reader. Beside `Slide.read` stand OpenSlide's, tiffslide's and fastslide's
`read_region` with Pillow's area resampling; `--others` names a Python in which the last two are installed.
Their floor is the same tiles decoded by imagecodecs alone.

Each reading is a process of its own with the slide opened anew, one thread or two. A round has each once, in
turn; ratios are of readings in one round, and what is shown are medians. So that nobody is fast by reading
something else, the colours that are read are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from containers import CONTAINERS, SAME_TILES
from contenders import BESIDE, FLOOR, GRID, OURS, SIDE, Contender, File, contenders
from machine import keep
from timed_reader import LOOK, Task

from wsi_seg.slides.slide import Slide

THREADS = (1, 2)

Round = dict[int, dict[str, Any]]
"""A reading by its number of threads."""


def rounds_of(takers: list[Contender], repeats: int) -> dict[str, list[Round]]:
    """Have each contender read, in turn; the first round only warms up.

    One that cannot read is not asked again: its reason is its `refused` from then on.
    """
    rounds: dict[str, list[Round]] = {taker.name: [] for taker in takers}
    for number in range(repeats + 1):
        for place, taker in enumerate(takers):
            if taker.refused:
                continue
            done = {threads: taker.read(threads) for threads in THREADS}
            why = next((one["missing"] for one in done.values() if "missing" in one), "")
            takers[place] = replace(taker, refused=why)
            if number > 0:
                rounds[taker.name].append(done)
            print(f"round {number}: {taker.name} {why}", file=sys.stderr, flush=True)
    return rounds


def middle(rounds: list[Round], threads: int, figure: str) -> float:
    return float(statistics.median(one[threads][figure] for one in rounds))


def times_faster(rounds: list[Round], beside: list[Round], size: float) -> list[float]:
    """Return how many times as fast each round was; `size` is what was read, in what was read beside."""
    return [size * other[1]["wall"] / one[1]["wall"] for one, other in zip(rounds, beside, strict=True)]


def speeds(takers: list[Contender], rounds: dict[str, list[Round]]) -> list[str]:
    figures = ["level", "MP/s", "to OpenSlide", "CPU ms per MP", "MP/s, 2 threads", "2 to 1", "colours"]
    head = ["reader", *figures]
    lines = [line(head), line(["--"] * len(head))]
    beside = rounds[BESIDE]
    others = next(megapixels(taker.task) for taker in takers if taker.name == BESIDE and taker.task)
    for taker in takers:
        done, task = rounds[taker.name], taker.task
        if taker.refused or task is None:
            lines.append(line([taker.name, f"not read: {taker.refused}", *["-"] * (len(head) - 2)]))
            continue
        amount = megapixels(task)
        cells = [
            f"1/{task.scale:g}",
            f"{amount / middle(done, 1, 'wall'):.1f}",
            f"{statistics.median(times_faster(done, beside, amount / others)):.2f}",
            f"{1000 * middle(done, 1, 'processor') / amount:.1f}",
            f"{amount / middle(done, 2, 'wall'):.1f}",
            f"{statistics.median(one[1]['wall'] / one[2]['wall'] for one in done):.2f}",
            colours(done[0][1]["look"], beside[0][1]["look"]),
        ]
        lines.append(line([taker.name, *cells]))
    return lines


def shares(takers: list[Contender], rounds: dict[str, list[Round]]) -> list[str]:
    """Say where the processor time of `Slide.read` goes, on one thread."""
    head = ["file", "CPU ms per MP", "decoding alone", "reader without it", "resampling", "the rest"]
    lines = [line(head), line(["--"] * len(head))]
    floor = next(taker.task for taker in takers if taker.name == FLOOR)
    for taker in takers:
        task, done = taker.task, rounds[taker.name]
        if task is None or taker.refused or task.reader != OURS:
            continue
        whole, reader, resampling = (
            1000 * middle(done, 1, figure) / megapixels(task)
            for figure in ("processor", "reader", "resample")
        )
        decoding = None
        alike = floor is not None and task.level == floor.level
        if rounds[FLOOR] and alike and taker.name.removeprefix(f"{OURS}, ") in SAME_TILES:
            decoding = 1000 * middle(rounds[FLOOR], 1, "processor") / megapixels(task)
        parts = [whole, decoding, reader - (decoding or 0), resampling, whole - reader - resampling]
        lines.append(line([taker.name, *("-" if part is None else f"{part:.1f}" for part in parts)]))
    return lines


def megapixels(task: Task) -> float:
    return sum(piece.label[2] * piece.label[3] for piece in task.pieces) / 1e6


def colours(look: list[int] | None, beside: list[int]) -> str:
    """Return the largest difference of the mean colours of cells."""
    return "-" if look is None else str(int(np.abs(np.subtract(look, beside)).max()))


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_containers(slide: Path, mpp: float, folder: Path) -> dict[str, File]:
    """Write the part of the slide that is read into each other container, unless it is there already."""
    with Slide(slide) as opened:
        frames = opened.frames(mpp)
        part = [
            min(round(SIDE * count * step), side)
            for count, step, side in zip(GRID, frames.downsample, opened.size, strict=True)
        ]
    files = {}
    for name, container in CONTAINERS.items():
        path = folder / container.file
        if not path.exists():
            container.write(slide, path, *part)
        files[name] = File(path, container.mpp and container.mpp(slide))
    return files


def versions(others: str) -> str:
    names = ["openslide-python", "openslide-bin", "pillow", "tifffile", "imagecodecs", "zarr", "numpy"]
    found = [f"{name} {version(name)}" for name in names]
    code = (
        "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
    )
    for name in ("tiffslide", "fastslide"):
        done = subprocess.run([others, "-c", code, name], capture_output=True, text=True)
        found.append(done.stdout.strip() or f"no {name}")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slide", type=Path)
    parser.add_argument("--mpp", type=float, default=2.0)
    parser.add_argument("--others", default=sys.executable, help="a Python with tiffslide and fastslide")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--given", action="store_true", help="read SLIDE alone, and keep no results")
    parser.add_argument("--keep", type=Path, help="a folder in which the other containers stay")
    args = parser.parse_args()
    text = []
    with contextlib.ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        files = {"TIFF": File(args.slide)}
        if not args.given:
            files |= write_containers(args.slide, args.mpp, folder)
        for mpp, title in ((args.mpp, f"Read at {args.mpp:g} um per px"), (None, "Read from level 0")):
            takers = contenders(files, mpp, args.mpp, args.others)
            rounds = rounds_of(takers, args.repeats)
            text += [f"## {title}", "", *speeds(takers, rounds), "", *shares(takers, rounds), ""]
    if args.given:
        print("\n".join(text))
        return
    keep("read", "\n".join([about(args.slide.name, args.repeats), versions(args.others), "", *text]))


def about(name: str, repeats: int) -> str:
    """Say how the figures were made."""
    return (
        f"{name}, {GRID[0] * GRID[1]} rectangles of {SIDE} x {SIDE} label pixels, spread over the same part "
        f"of the slide; {repeats} rounds of readings in turn after one that warms up, medians. MP are label "
        "pixels. To OpenSlide: times as fast as its `read_region` with Pillow's area resampling, on one "
        "thread. 2 to 1: two threads against one. Colours: how far the mean colours of "
        f"{LOOK} x {LOOK} cells of a rectangle are from OpenSlide's at most, in grey values. Decoding alone: "
        "imagecodecs' JPEG decoding of the same tiles, where a file has these; reader without it: finding "
        "tiles and putting them together; the rest: putting strips together, and what libraries do in "
        "threads of their own, as zarr does. A picture is decoded whole when it is opened, which its time "
        "leaves out.\n"
    )


if __name__ == "__main__":
    main()
