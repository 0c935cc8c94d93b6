"""Does memory grow with the slide? Peak resident memory for slides of growing area, tissue everywhere.

    python benchmarks/memory.py [--model M | --cheap] [--sides 3000 12000]

Each run is a process of its own, from slide to polygons and pictures; the ratio is to the smallest slide's.
Slides are generated at the model's working resolution, so label pixels are slide pixels.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from machine import keep

if TYPE_CHECKING:
    from wsi_seg.inference.network.segmenter import Segmented

MPP = 2.0


def run_one(side: int, model: str, cheap: bool) -> dict[str, Any]:
    from wsi_seg.inference.stream import job
    from wsi_seg.predict.predict_slide import predict_slide
    from wsi_seg.settings import PredictSettings

    if cheap:
        mock.patch.object(job, "SegmenterPool", Threshold).start()
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "slide.tiff"
        made = subprocess.run(
            [sys.executable, __file__, "--make", str(slide), "--sides", str(side)],
            check=True,
            capture_output=True,
        )
        assert not made.stdout
        begin = time.perf_counter()
        summary = predict_slide(slide, Path(folder) / "out", PredictSettings(model=model))
        seconds = time.perf_counter() - begin
        size = (Path(folder) / "out" / "slide.geojson.gz").stat().st_size
    return {
        "seconds": seconds,
        "stages": summary.seconds,
        "polygons": summary.polygons,
        "geojson_mb": size / 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def make(path: Path, side: int) -> None:
    from wsi_seg.demo.generated_slide import tissue_block, write_repeated_slide

    write_repeated_slide(path, tissue_block(1, MPP), (side, side), MPP)


class Threshold:
    """In the network's place: two classes by the green channel of 8 x 8 pixels, at next to no cost."""

    windowed = False

    def __init__(self, *_: object) -> None:
        pass

    def __call__(
        self, patches: np.ndarray, margin: int = 0, confidence: bool = False, windows: object = None
    ) -> Segmented:
        from wsi_seg.inference.network.segmenter import Segmented

        inner = patches[:, margin : patches.shape[1] - margin, margin : patches.shape[2] - margin]
        batch, height, width = inner.shape[:3]
        green = inner[..., 1].reshape(batch, height // 8, 8, width // 8, 8).mean((2, 4))
        return Segmented(
            np.kron(np.where(green < 150, 1, 3).astype("uint8"), np.ones((1, 8, 8), "uint8")), None
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--cheap", action="store_true", help="a threshold in the network's place")
    parser.add_argument("--sides", type=int, nargs="+", default=[6000, 24_000])
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--make", type=Path)
    parser.add_argument("--name", default="memory")
    args = parser.parse_args()
    if args.make:
        make(args.make, args.sides[0])
        return
    if args.one:
        print(json.dumps(run_one(args.sides[0], args.model, args.cheap)))
        return
    lines = [
        "| label pixels | area | seconds | MP/s | polygons | GeoJSON MB | peak MB | ratio |",
        "|--|--|--|--|--|--|--|--|",
    ]
    first = None
    for side in args.sides:
        command = [sys.executable, __file__, "--one", "--sides", str(side), "--model", args.model]
        command += ["--cheap"] if args.cheap else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        one = json.loads(done.stdout.splitlines()[-1])
        first = first or one["peak_mb"]
        lines.append(
            f"| {side} x {side} | {(side / args.sides[0]) ** 2:.0f}x | {one['seconds']:.0f} "
            f"| {side * side / 1e6 / one['seconds']:.1f} | {one['polygons']} | {one['geojson_mb']:.2f} "
            f"| {one['peak_mb']:.0f} | {one['peak_mb'] / first:.3f} |"
        )
        print(lines[-1], flush=True)
    keep(
        args.name,
        f"Model {'a threshold in its place' if args.cheap else args.model}, tissue everywhere, polygons, "
        "pictures and export included. One run each. Peak memory is the process's largest resident set."
        "\n\n" + "\n".join(lines),
    )


if __name__ == "__main__":
    main()
