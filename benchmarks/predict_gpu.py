"""How busy does `wsi-seg predict` keep a GPU, and where does its time go there?

    python benchmarks/predict_gpu.py [--side 16000] [--model breast-demo]

A generated slide, tissue everywhere, is segmented with each precision and form, in one process, after a small
one that warms up. While it runs NVML is asked every 50 ms for the share of the time in which a kernel ran.
Labels are compared with those of the first run, in float32 without CUDA graphs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import keep

from wsi_seg.inference.network.choice import Compile, Precision
from wsi_seg.paper.bench.missing import Missing, Reading
from wsi_seg.paper.bench.power import GpuWatch, gpu_meter
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.lattice import Rect

MEMORY = Path(__file__).with_name("memory.py")
STAGES = ("mask", "segment", "read", "model", "write", "polygons", "overview", "total")


@dataclass(frozen=True)
class Choice:
    precision: Precision
    compiled: Compile
    workers: int | None = None


CHOICES: tuple[Choice, ...] = (
    Choice("float32", "no"),
    Choice("float16", "no"),
    Choice("float16", "yes"),
    Choice("float32", "no", workers=1),
    Choice("float32", "no", workers=8),
    Choice("float32", "no", workers=16),
)


def make(path: Path, side: int) -> None:
    command = [sys.executable, str(MEMORY), "--make", str(path), "--sides", str(side)]
    subprocess.run(command, check=True)


def labels_of(folder: Path) -> np.ndarray:
    labels = read_labels(folder / "slide.ome.zarr")
    return labels.read(Rect(0, 0, *labels.shape))


def run(
    slide: Path, out: Path, model: str, device: str, choice: Choice
) -> tuple[dict[str, float], str, Reading]:
    """Predict, and return seconds by stage, the form, and the percentage that the GPU was busy."""
    labels = LabelSettings(precision=choice.precision, compile=choice.compiled)
    settings = PredictSettings(
        model=model, labels=labels, run=RunSettings(device=device, workers=choice.workers)
    )
    with GpuWatch(gpu_meter(torch.device(device))) as watch:
        begin = time.perf_counter()
        summary = predict_slide(slide, out, settings)
        total = time.perf_counter() - begin
    return {**summary.seconds, "total": total}, summary.network, watch.means()[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=16000)
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    lines = ["| precision | form | workers | " + " | ".join(f"{s} s" for s in STAGES)]
    lines[0] += " | MP/s | GPU busy % | same class as the first |"
    lines.append("|--" * (len(STAGES) + 6) + "|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, slide = folder / "small.tiff", folder / "slide.tiff"
        make(small, 3000)
        make(slide, args.side)
        first = None
        for number, choice in enumerate(CHOICES):
            run(small, folder / f"small-{number}", args.model, args.device, choice)
            seconds, form, busy = run(slide, folder / str(number), args.model, args.device, choice)
            found = labels_of(folder / str(number))
            first = found if first is None else first
            cells = [choice.precision, form, str(choice.workers or "auto")]
            cells += [f"{seconds.get(stage, 0):.1f}" for stage in STAGES]
            cells += [f"{args.side**2 / 1e6 / seconds['total']:.0f}"]
            cells += [str(busy) if isinstance(busy, Missing) else f"{busy:.0f}"]
            cells.append(f"{100 * (found == first).mean():.4f} %")
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    text = f"Model {args.model}, {args.side} x {args.side} label pixels. One run each.\n\n"
    keep("predict-gpu", text + "\n".join(lines))


if __name__ == "__main__":
    main()
