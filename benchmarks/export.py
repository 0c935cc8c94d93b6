"""What does each export cost: time beside the GeoJSON's, memory, size?

    python benchmarks/export.py [RESULT...] [--polygons 75000 300000] [--repeats 3] [--keep FOLDER]

Each RESULT is a finished result; `--polygons` makes further ones, of about so many polygons, from generated
labels, in FOLDER. Each export is a process of its own, pinned to nothing. A round has each format once, in
turn; its ratio is to the GeoJSON of the same round, and what is shown are medians. Time is from the opened
result to the written file, without the check of the result's digests, which all formats share. Peak memory is
the process's largest resident set, Python and all packages included.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from dicom_slide import write_slide
from machine import keep

Case = tuple[str, dict[str, str]]
"""A format, and its options."""

CASES: dict[str, Case] = {
    "geojson": ("geojson", {}),
    "csv": ("csv", {}),
    "parquet": ("parquet", {}),
    "spatialdata": ("spatialdata", {}),
    "spatialdata, no image": ("spatialdata", {"image": "none"}),
    "spatialdata, slide": ("spatialdata", {"image": "slide"}),
    "dicom-seg": ("dicom-seg", {}),
    "dicom-seg, binary": ("dicom-seg", {"seg_type": "binary"}),
    "dicom-ann": ("dicom-ann", {}),
}
NAMES = {"geojson": "a.geojson.gz", "spatialdata": "a.zarr", "dicom-seg": "a.seg", "dicom-ann": "a.dcm"}

DICOM = "slide.dcm"
"""Of generated results: a DICOM slide of their size, without pixels."""

CELL = 16
"""Side, in label pixels, of what the generated labels are made of."""
CELL_POLYGONS = 0.72
"""Polygons for each of them, as equal neighbours join."""


def one(result: Path, case: Case) -> dict[str, Any]:
    """Export once, in this process."""
    from wsi_seg.errors import WsiSegError
    from wsi_seg.exports.formats import format_named
    from wsi_seg.exports.options import Options
    from wsi_seg.exports.source import Source

    name, asked = case
    with tempfile.TemporaryDirectory(dir=result.parent) as folder:
        target = Path(folder) / NAMES.get(name, f"a.{name}")
        source, prepare = Source.at(result), format_named(name).prepare
        beside = {"slide": result / DICOM} if name.startswith("dicom") and (result / DICOM).exists() else {}
        begin, worked = time.perf_counter(), time.process_time()
        try:
            written = prepare(source, target, Options(**asked, **beside))()  # type: ignore[arg-type]
        except WsiSegError as error:
            return {"refused": str(error)}
        seconds, cpu = time.perf_counter() - begin, time.process_time() - worked
        files = [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]
        return {
            "what": written.what,
            "seconds": seconds,
            "cpu": cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "mb": sum(path.stat().st_size for path in files) / 1e6,
            "files": len(files),
        }


def generate(folder: Path, polygons: int) -> Path:
    """Write a finished result of about so many polygons."""
    from wsi_seg.models.classes import ClassSchema, TissueClass
    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.labels.ngff_attributes import PyramidLayout
    from wsi_seg.results.labels.pyramid import PyramidWriter
    from wsi_seg.slides.frames import Bounds, Frames
    from wsi_seg.slides.lattice import Lattice

    side = CELL * round((polygons / CELL_POLYGONS) ** 0.5)
    result = ResultFolder(folder / f"generated-{polygons}")
    if result.zarr.exists():
        return result.folder
    schema = ClassSchema(
        name="generated",
        background="Glass",
        classes=tuple(
            TissueClass(id=i, name=f"Class {i}" if i else "Glass", color=(30 * i, 80, 0)) for i in range(8)
        ),
    )
    frames = Frames(
        bounds=Bounds(x=0, y=0, width=4 * side, height=4 * side),
        slide_mpp=(0.5, 0.5),
        downsample=(4.0, 4.0),
        label_size=(side, side),
    )
    lattice = Lattice(side, side, patch=1024, halo=0, region_cores=2)
    layout = PyramidLayout(frames, schema, lattice.region, frames.overview_level)
    writer = PyramidWriter(result.zarr, layout)
    result.work.mkdir(parents=True)
    writer.create({"slide": "generated", "model": "none", "model_fingerprint": "none"})
    classes = np.random.default_rng(0).integers(1, 8, (side // CELL + 4, side // CELL + 4), dtype=np.uint8)
    files: dict[str, str] = {}
    pixels = np.zeros(256, dtype=np.int64)
    for region in lattice.regions():
        rect = region.label_rect
        y, x = np.mgrid[rect.slices].astype(np.float32)
        down = (y + 5 * np.sin(x / 7 + 3 * np.sin(y / 19))) // CELL
        across = (x + 5 * np.sin(y / 6 + 3 * np.sin(x / 23))) // CELL
        labels = classes[down.astype(int) + 1, across.astype(int) + 1]
        pixels += np.bincount(labels.reshape(-1), minlength=256)
        files |= writer.write_region(rect, labels)
    _, height, width = layout.overview_shape(0)
    files |= writer.write_overview(np.full((height, width, 3), 220, dtype=np.uint8))
    files |= writer.build_levels(2)
    writer.seal({i: int(n) for i, n in enumerate(pixels) if n}, files)
    write_slide(result.folder / DICOM, (4 * side, 4 * side), 0.5)
    return result.folder


def rounds(result: Path, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Export in each format, in turn."""
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in CASES}
    for number in range(repeats):
        for case, done in found.items():
            if done and "refused" in done[-1]:
                continue
            command = [sys.executable, __file__, "--one", case, str(result)]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            done.append(json.loads(ran.stdout.splitlines()[-1]))
            print(f"round {number}: {result.name}: {case}: {done[-1]}", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        "| format | seconds | to GeoJSON | processor seconds | to GeoJSON | peak MB | MB | files |",
        "|--|--|--|--|--|--|--|--|",
    ]
    first = found["geojson"]
    for case, done in found.items():
        if "refused" in done[-1]:
            lines.append(f"| {case} | refused: {done[-1]['refused']} | | | | | | |")
            continue
        wall, cpu = (
            statistics.median(own[key] / other[key] for own, other in zip(done, first, strict=True))
            for key in ("seconds", "cpu")
        )
        middle = {key: statistics.median(each[key] for each in done) for key in done[0] if key != "what"}
        lines.append(
            f"| {case} | {middle['seconds']:.1f} | {wall:.2f} | {middle['cpu']:.1f} | {cpu:.2f} "
            f"| {middle['peak_mb']:.0f} | {middle['mb']:.2f} | {middle['files']:.0f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path, nargs="*")
    parser.add_argument("--polygons", type=int, nargs="*", default=[75_000, 300_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "wsi-seg-exports")
    parser.add_argument("--one")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.results[0], CASES[args.one])))
        return
    text = [
        f"Medians of {args.repeats} rounds; each round has each format once, in turn. Seconds are from the "
        "opened result to the written file. Peak memory includes Python and all packages."
    ]
    for result in [*args.results, *(generate(args.keep, count) for count in args.polygons)]:
        found = rounds(result, args.repeats)
        text += ["", f"## {result.name}: {found['geojson'][0]['what']}", "", *table(found)]
    keep("export", "\n".join(text))


if __name__ == "__main__":
    main()
