"""Where the time of `wsi-seg predict` goes, against its floor.

    python benchmarks/predict.py SLIDE... [--model M] [--repeats 3]

For each slide, in one process each: the run itself; reading the same regions only; the model on as many
patches only. The floor is the larger of the last two. Peak memory is the run's own process's.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machine import keep


def run_whole(slide: Path, model: str, mpp: float | None) -> dict:
    from wsi_seg.config import LabelSettings, PredictSettings
    from wsi_seg.predict import predict_slide

    with tempfile.TemporaryDirectory() as folder:
        settings = PredictSettings(model=model, labels=LabelSettings(mpp=mpp))
        begin = time.perf_counter()
        summary = predict_slide(slide, Path(folder) / "out", settings)
        seconds = time.perf_counter() - begin
        bytes_out = (Path(folder) / "out" / "slide.geojson.gz").stat().st_size
    return {
        "seconds": seconds,
        "stages": summary.seconds,
        "patches": summary.patches,
        "polygons": summary.polygons,
        "geojson_kb": bytes_out / 1e3,
        "megapixels": summary.label_size[0] * summary.label_size[1] / 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_floor(slide: Path, model: str, mpp: float | None) -> dict:
    """Time reading alone and the model alone, each on what the run reads and computes."""
    import numpy as np
    import torch

    from wsi_seg.config import LabelSettings, PredictSettings
    from wsi_seg.inference.extent import Extent
    from wsi_seg.inference.region import RegionSegmenter
    from wsi_seg.inference.segmenter import Segmenter
    from wsi_seg.models.bundle import load_bundle, resolve_model
    from wsi_seg.plan import Plan
    from wsi_seg.slides.slide import Slide
    from wsi_seg.slides.tissue import TissueMask, find_tissue

    bundle = load_bundle(resolve_model(model))
    settings = PredictSettings(model=model, labels=LabelSettings(mpp=mpp))
    plan = Plan.make(Slide(slide, mpp), bundle, "cpu", settings)
    overview = plan.overview
    mask = find_tissue(overview.rgb, overview.present, plan.frames.coarsened(plan.factor).label_mpp)
    extent = Extent(TissueMask(mask, plan.factor), None, 0)
    segmenter = Segmenter(bundle, torch.device("cpu"))
    runner = RegionSegmenter(plan.slide, plan.frames, extent, segmenter, plan.batch_size, confidence=False)
    fields, patches = [], 0
    for region in plan.lattice.regions():
        analysed = extent.at(region.label_rect)[1]
        active = [p for p in region.patches() if analysed[p.core.relative_to(region.label_rect).slices].any()]
        patches += len(active)
        if active:
            fields.append(runner._field(active))
    fresh = Slide(slide, mpp)
    begin = time.perf_counter()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(lambda rect: fresh.read(rect, plan.frames), fields):
            pass
    read = time.perf_counter() - begin
    side = plan.lattice.patch
    batch = np.random.default_rng(0).integers(0, 255, (plan.batch_size, side, side, 3), dtype=np.uint8)
    segmenter(batch, margin=plan.lattice.halo)
    begin = time.perf_counter()
    for _ in range(-(-patches // plan.batch_size)):
        segmenter(batch, margin=plan.lattice.halo)
    return {
        "read": read,
        "model": time.perf_counter() - begin,
        "halo": (plan.lattice.patch / plan.lattice.core) ** 2,
    }


def in_a_process(mode: str, slide: Path, model: str, mpp: float | None) -> dict:
    command = [sys.executable, __file__, "--mode", mode, "--model", model, str(slide)]
    if mpp is not None:
        command += ["--mpp", str(mpp)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slides", type=Path, nargs="+")
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mode", choices=["compare", "whole", "floor"], default="compare")
    args = parser.parse_args()
    if args.mode != "compare":
        work = run_whole if args.mode == "whole" else run_floor
        print(json.dumps(work(args.slides[0], args.model, args.mpp)))
        return
    lines = [
        "| slide | label MP | patches | whole s | read only s | model only s | segment stage / floor "
        "| whole / floor | halo cost | polygons and export | peak MB | GeoJSON kB |",
        "|--|--|--|--|--|--|--|--|--|--|--|--|",
    ]
    stages = []
    for slide in args.slides:
        pairs = [
            (
                in_a_process("whole", slide, args.model, args.mpp),
                in_a_process("floor", slide, args.model, args.mpp),
            )
            for _ in range(args.repeats)
        ]

        def median(pick, pairs=pairs) -> float:
            return statistics.median(pick(w, f) for w, f in pairs)

        whole = pairs[0][0]
        lines.append(
            f"| {slide.name} | {whole['megapixels']:.1f} | {whole['patches']} "
            f"| {median(lambda w, f: w['seconds']):.2f} | {median(lambda w, f: f['read']):.2f} "
            f"| {median(lambda w, f: f['model']):.2f} "
            f"| {median(lambda w, f: w['stages']['segment'] / max(f['read'], f['model'])):.2f} "
            f"| {median(lambda w, f: w['seconds'] / max(f['read'], f['model'])):.2f} "
            f"| {pairs[0][1]['halo']:.2f} "
            f"| {median(lambda w, f: 100 * w['stages']['polygons'] / w['seconds']):.1f} % "
            f"| {max(w['peak_mb'] for w, _ in pairs):.0f} | {whole['geojson_kb']:.0f} |"
        )
        names = [
            "open",
            "mask",
            "segment",
            "read",
            "model",
            "write",
            "pyramid",
            "polygons",
            "overview",
            "total",
        ]
        row = " | ".join(f"{median(lambda w, f, n=n: w['stages'].get(n, 0.0)):.2f}" for n in names)
        stages.append(f"| {slide.name} | {row} |")
        print(lines[-1], flush=True)
    stage_names = "open | mask | segment | (read) | (model) | (write) | pyramid | polygons | overview | total"
    header = f"| slide | {stage_names} |"
    keep(
        "predict",
        f"Model {args.model}, {args.repeats} pairs of runs in turn, medians; peak memory is the largest. "
        "(read), (model) and (write) are parts of segment, added up over its threads; "
        "(model) includes waiting for the model.\n\n"
        + "\n".join(lines)
        + "\n\nSeconds by stage:\n\n"
        + "\n".join([header, "|--" * 11 + "|", *stages]),
    )


if __name__ == "__main__":
    main()
