"""Does memory grow with the slide? Peak resident memory for slides of growing area, tissue everywhere.

    python benchmarks/memory.py [--model M | --constant] [--sides 5000 20000] [--export-only]

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

from machine import keep

MPP = 2.0


def run_one(side: int, model: str) -> dict:
    from wsi_seg.config import PredictSettings
    from wsi_seg.predict import predict_slide

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
    from wsi_seg.demo.slide import tissue_block, write_repeated_slide

    write_repeated_slide(path, tissue_block(1, MPP), (side, side), MPP)


def constant_model(path: Path) -> Path:
    """A small network that gives one class everywhere: all the work but the arithmetic."""
    import torch

    from wsi_seg.models.bundle import Architecture, InputSpec, ModelHeader, save_bundle
    from wsi_seg.models.classes import load_schema
    from wsi_seg.models.espnet import ESPNet, ESPNetConfig

    schema = load_schema("breast-biopsy")
    config = ESPNetConfig(classes=len(schema), p=1, q=1, variant="A")
    network = ESPNet(config)
    torch.nn.init.zeros_(network.encoder.head.weight)
    header = ModelHeader(
        name="constant",
        architecture=Architecture(config=config),
        classes=schema.model_copy(update={"background": None}),
        input=InputSpec(channels="rgb", mean=(128, 128, 128), std=(64, 64, 64), mpp=MPP),
    )
    save_bundle(path, network, header)
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--constant", action="store_true", help="a cheap model that gives one class")
    parser.add_argument("--sides", type=int, nargs="+", default=[3000, 12_000])
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--make", type=Path)
    parser.add_argument("--name", default="memory")
    args = parser.parse_args()
    if args.make:
        make(args.make, args.sides[0])
        return
    if args.one:
        print(json.dumps(run_one(args.sides[0], args.model)))
        return
    lines = [
        "| label pixels | area | seconds | MP/s | polygons | GeoJSON MB | peak MB | ratio |",
        "|--|--|--|--|--|--|--|--|",
    ]
    first = None
    with tempfile.TemporaryDirectory() as folder:
        model = str(constant_model(Path(folder) / "constant.safetensors")) if args.constant else args.model
        for side in args.sides:
            command = [sys.executable, __file__, "--one", "--sides", str(side), "--model", model]
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
        f"Model {'constant' if args.constant else args.model}, tissue everywhere, polygons, pictures "
        "and export included. One run each. Peak memory is the process's largest resident set.\n\n"
        + "\n".join(lines),
    )


if __name__ == "__main__":
    main()
