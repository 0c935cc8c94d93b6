"""Where the time of `wsi-seg predict` goes, against its floor.

    python benchmarks/predict.py SLIDE... [--model M] [--repeats 3]

For each slide, in one process each: the run itself; the run without its polygons; reading the same regions
only, and the model on as many patches only. The floor is the larger of the last two. Polygons are drawn
beside all else, so what they cost is what the run without them takes less. Peak memory is the run's own
process's.

Wall time is what a user waits for; processor time tells the same on a machine that others use too, and what
the wall time would be if every core were busy all the time.
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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from machine import keep

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]

FIGURES = [
    *("label MP", "patches"),
    *("whole s", "read only s", "model only s", "whole / floor"),
    *("whole CPU s", "read only CPU s", "model only CPU s", "CPU whole / floor"),
    *("halo cost", "polygons and export", "their CPU share", "peak MB", "GeoJSON kB"),
]
STAGES = {
    "open": "open",
    "mask": "mask",
    "segment": "segment",
    "read": "(read)",
    "model": "(model)",
    "write": "(write)",
    "pyramid": "pyramid",
    "polygons": "polygons",
    "overview": "overview",
    "total": "total",
}


class Stopwatch:
    """Wall and processor seconds of this process since it was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {
            "wall": time.perf_counter() - self._begin[0],
            "cpu": time.process_time() - self._begin[1],
        }


def run_bare(slide: Path, model: str, mpp: float | None) -> Row:
    """Do what `run_whole` does, but for the polygons."""
    from wsi_seg.predict import finish
    from wsi_seg.results.polygons.export_report import ExportReport
    from wsi_seg.results.polygons.polygon_export import Exported
    from wsi_seg.results.polygons.tile_tally import Tally
    from wsi_seg.results.polygons.vectorise import PolygonSettings

    def none(_labels: object, path: Path, _settings: object) -> Exported:
        path.touch()
        return Exported(ExportReport({}, {}, {}, 0, 0, 0, 0), Tally(), PolygonSettings(), 1.0)

    with mock.patch.object(finish, "export_polygons", none):
        return run_whole(slide, model, mpp)


def run_whole(slide: Path, model: str, mpp: float | None) -> Row:
    from wsi_seg.predict.predict_slide import predict_slide
    from wsi_seg.settings import LabelSettings, PredictSettings

    with tempfile.TemporaryDirectory() as folder:
        settings = PredictSettings(model=model, labels=LabelSettings(mpp=mpp))
        watch = Stopwatch()
        summary = predict_slide(slide, Path(folder) / "out", settings)
        seconds = watch.read()
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


def run_floor(slide: Path, model: str, mpp: float | None) -> Row:
    """Time reading alone and the model alone, each on what the run reads and computes."""
    import numpy as np
    import torch

    from wsi_seg.inference.network.pool import LANES, SegmenterPool
    from wsi_seg.inference.stream.extent import Extent
    from wsi_seg.inference.stream.region import RegionSegmenter
    from wsi_seg.models.bundle import load_bundle
    from wsi_seg.models.lookup import resolve_model
    from wsi_seg.predict.plan import Plan
    from wsi_seg.settings import LabelSettings, PredictSettings
    from wsi_seg.slides.slide import Slide

    bundle = load_bundle(resolve_model(model))
    settings = PredictSettings(model=model, labels=LabelSettings(mpp=mpp))
    plan = Plan.make(Slide(slide, mpp), bundle, "cpu", settings)
    extent = Extent(plan.find_tissue(), None, 0)
    segmenter = SegmenterPool(bundle, torch.device("cpu"))
    runner = RegionSegmenter(plan.slide, plan.frames, extent, segmenter, plan.batch_size, confidence=False)
    fields, patches = [], 0
    for region in plan.lattice.regions():
        analysed = extent.at(region.label_rect)[1]
        active = [p for p in region.patches() if analysed[p.core.relative_to(region.label_rect).slices].any()]
        patches += len(active)
        if active:
            fields.append(runner._field(active))
    fresh = Slide(slide, mpp)
    side = plan.lattice.patch
    batch = np.random.default_rng(0).integers(0, 255, (plan.batch_size, side, side, 3), dtype=np.uint8)
    batches = [batch] * -(-patches // plan.batch_size)
    with ThreadPoolExecutor(max(2, LANES)) as pool:
        watch = Stopwatch()
        list(pool.map(lambda rect: fresh.read(rect, plan.frames).present.size, fields))
        read = watch.read()
        list(pool.map(partial(segmenter, margin=plan.lattice.halo), batches[:LANES]))
        watch = Stopwatch()
        list(pool.map(partial(segmenter, margin=plan.lattice.halo), batches))
        network = watch.read()
    return {"read": read, "model": network, "halo": (plan.lattice.patch / plan.lattice.core) ** 2}


MODES = {"whole": run_whole, "bare": run_bare, "floor": run_floor}


def in_a_process(mode: str, slide: Path, model: str, mpp: float | None) -> Row:
    command = [sys.executable, __file__, "--mode", mode, "--model", model, str(slide)]
    if mpp is not None:
        command += ["--mpp", str(mpp)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: Row = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slides", type=Path, nargs="+")
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mode", choices=["compare", *MODES], default="compare")
    args = parser.parse_args()
    if args.mode != "compare":
        print(json.dumps(MODES[args.mode](args.slides[0], args.model, args.mpp)))
        return
    rows, stages = [], []
    for slide in args.slides:
        given = slide, args.model, args.mpp
        rounds = [{mode: in_a_process(mode, *given) for mode in MODES} for _ in range(args.repeats)]
        rows.append(line([slide.name, *figures(rounds)]))
        seconds = [
            statistics.median(r["whole"]["stages"].get(stage, 0.0) for r in rounds) for stage in STAGES
        ]
        stages.append(line([slide.name, *(f"{s:.2f}" for s in seconds)]))
        print(rows[-1], flush=True)
    keep(
        "predict",
        f"Model {args.model}, {args.repeats} rounds of runs in turn, medians; peak memory is the largest. "
        "Polygons and export: by how much a run without them is shorter. "
        "(read), (model) and (write) are parts of segment, added up over its threads; "
        "(model) includes waiting for the model. Polygons are drawn beside segment, pyramid and overview: "
        "theirs are the seconds from the end of segment to their own.\n\n"
        + "\n".join([line(["slide", *FIGURES]), line(["--"] * (len(FIGURES) + 1)), *rows])
        + "\n\nSeconds by stage:\n\n"
        + "\n".join([line(["slide", *STAGES.values()]), line(["--"] * (len(STAGES) + 1)), *stages]),
    )


def figures(rounds: list[dict[str, Row]]) -> list[str]:
    """Return what `FIGURES` names, from rounds of one run in each mode."""

    def median(pick: Callable[[Row, Row, Row], float]) -> float:
        return statistics.median(pick(r["whole"], r["bare"], r["floor"]) for r in rounds)

    def seconds(k: str) -> list[str]:
        return [
            f"{median(lambda w, b, f: w['seconds'][k]):.2f}",
            f"{median(lambda w, b, f: f['read'][k]):.2f}",
            f"{median(lambda w, b, f: f['model'][k]):.2f}",
            f"{median(lambda w, b, f: w['seconds'][k] / max(f['read'][k], f['model'][k])):.2f}",
        ]

    whole, floor = rounds[0]["whole"], rounds[0]["floor"]
    return [
        f"{whole['megapixels']:.1f}",
        str(whole["patches"]),
        *seconds("wall"),
        *seconds("cpu"),
        f"{floor['halo']:.2f}",
        f"{median(lambda w, b, f: 100 - 100 * b['seconds']['wall'] / w['seconds']['wall']):.1f} %",
        f"{median(lambda w, b, f: 100 - 100 * b['seconds']['cpu'] / w['seconds']['cpu']):.1f} %",
        f"{max(r['whole']['peak_mb'] for r in rounds):.0f}",
        f"{whole['geojson_kb']:.0f}",
    ]


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
