"""How fast ESPNet runs on this processor, step by step, against the authors' network run plainly.

    python benchmarks/inference.py SHARED_DATA [--networks authors demo] [--threads 1 2] [--repeats 9]

SHARED_DATA holds the authors' checkpoints (espnet/), Cityscapes' first validation image and a breast slide.
All steps of a network and a number of threads run in one process, in turn, each once a round; ratios are of
medians. Every step starts from 8-bit pixels in memory; it ends at float32 logits at full size, or at class
indices. "Plain" is our module with everything off, as the authors' code runs: eager, float32, plane by plane.
Threads 1+1 are two networks side by side, one thread each, as `predict` has them; time is for one image.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import keep
from PIL import Image

from wsi_seg.inference.fast.library import has_amx
from wsi_seg.inference.network.choice import Compile
from wsi_seg.inference.network.compiled_form import CompiledForm
from wsi_seg.inference.network.folding import folded
from wsi_seg.inference.network.pixels import Normalisation, decide
from wsi_seg.inference.network.pool import SegmenterPool
from wsi_seg.inference.plain_images import resize_like_opencv
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.cost import count_macs
from wsi_seg.models.lookup import resolve_model
from wsi_seg.models.negligible import clear
from wsi_seg.models.upstream import import_checkpoint
from wsi_seg.slides.slide import Slide

CPU = torch.device("cpu")
STREET = "cityscapes/leftImg8bit/val/frankfurt/frankfurt_000000_000576_leftImg8bit.png"
GOLDEN = "espnet/golden_frankfurt_000000_000576_trainIds_1024x512.png"
AUTHORS = "espnet/decoder/espnet_p_2_q_8.pth"
SLIDE, FIELD = "slides/breast_A03.tiff", (2048, 1536)
SIDE = 1024
MATMUL = 2048

EXPLANATION = """\
How fast ESPNet runs on this processor, step by step, against the authors' network run plainly: the
released q = 8 street network (20 classes) on a street, the built-in demo model on breast tissue.

All steps of a network and a number of threads run in one process, in turn, each once a round,
medians of nine rounds; every step starts from 8-bit pixels in memory and ends at float32 logits at
full size, or at class indices. "Plain" is our module with everything off, as the authors' code
runs: eager, float32, plane by plane; its subnormal weights are 0 (the first line has them as
released, once). "And" goes on from the line before. Threads 1+1: two networks side by side, one
thread each; time is for one image. Shares are of the floating-point operations of the whole
network, over the time to classes, in the rate of a large matrix product in the same precision and
run.\
"""

PLAIN, RELEASED = "plain", "plain, weights as released"
Step = Callable[[], torch.Tensor]


def subject(name: str, data: Path) -> tuple[ModelBundle, np.ndarray]:
    """Load a model and the image that it is to segment."""
    if name == "authors":
        network, header = import_checkpoint(data / AUTHORS, load_schema("cityscapes"))
        street = np.array(Image.open(data / STREET).convert("RGB"))
        model = ModelBundle.of(network, header, "", data / AUTHORS)
        return model, resize_like_opencv(street, (1024, 512))
    bundle = load_bundle(resolve_model("breast-demo"))
    mpp = bundle.input.mpp
    assert mpp is not None
    with Slide(data / SLIDE) as slide:
        from wsi_seg.slides.lattice import Rect

        y, x = FIELD
        return bundle, slide.read(Rect(y, x, y + SIDE, x + SIDE), slide.frames(mpp)).rgb


def steps(bundle: ModelBundle, pixels: np.ndarray) -> dict[str, tuple[Step, Step]]:
    """Return every way to run a network: to logits, and to class indices."""
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    normalise = Normalisation(bundle.input, CPU)

    def by_torch(
        network: Callable[..., Any], layout: torch.memory_format, dtype: torch.dtype
    ) -> tuple[Step, Step]:
        def logits() -> torch.Tensor:
            found: torch.Tensor = network(normalise(image).to(dtype).contiguous(memory_format=layout)).float()
            return found

        return logits, lambda: decide(logits())[0]

    planes, pixelwise = torch.contiguous_format, torch.channels_last
    flushed = copy.deepcopy(bundle.network)
    clear(flushed)
    last = copy.deepcopy(flushed).to(memory_format=pixelwise)  # type: ignore[call-overload]
    fold = folded(bundle.network).to(memory_format=pixelwise)  # type: ignore[call-overload]
    half = copy.deepcopy(fold).bfloat16()
    torch._inductor.config.compile_threads = 1
    inductor = torch.compile(copy.deepcopy(fold), dynamic=False)
    inductor_half = torch.compile(copy.deepcopy(half), dynamic=False)
    raw = pixels[None]

    def by_kernels(by_amx: bool) -> tuple[Step, Step]:
        network = CompiledForm(bundle, torch.get_num_threads(), by_amx)

        def best() -> torch.Tensor:
            channels, _ = network.segment(raw, 0, False, None)
            return torch.from_numpy(channels())

        return lambda: network.logits(raw), best

    return {
        RELEASED: by_torch(bundle.network, planes, torch.float32),
        PLAIN: by_torch(flushed, planes, torch.float32),
        "channels last": by_torch(last, pixelwise, torch.float32),
        "and folded": by_torch(fold, pixelwise, torch.float32),
        "and torch.compile": by_torch(inductor, pixelwise, torch.float32),
        "our kernels": by_kernels(by_amx=False),
        **({"our kernels, by AMX": by_kernels(by_amx=True)} if has_amx() else {}),
        "bfloat16, folded": by_torch(half, pixelwise, torch.bfloat16),
        "bfloat16, torch.compile": by_torch(inductor_half, pixelwise, torch.bfloat16),
    }


def matmul_rate(dtype: torch.dtype) -> float:
    """Return the best of some large matrix products, in GFLOP/s."""
    a, b = (torch.randn(MATMUL, MATMUL).to(dtype) for _ in range(2))
    return max(2 * MATMUL**3 / seconds(partial(torch.mm, a, b)) / 1e9 for _ in range(8))


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@torch.no_grad()
def measure(name: str, data: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Run all steps of a network in turn."""
    torch.set_num_threads(threads)
    bundle, pixels = subject(name, data)
    ways = steps(bundle, pixels)
    labels: dict[str, torch.Tensor] = {}
    first: dict[str, float] = {}

    def label(way: str, classes: Step) -> None:
        labels[way] = classes()

    for way, (_, classes) in ways.items():
        first[way] = seconds(partial(label, way, classes))
    times: dict[str, list[list[float]]] = {way: [[], []] for way in ways}
    for turn in range(repeats):
        for way, both in ways.items():
            if way == RELEASED and turn:
                continue  # seconds each, and nothing hangs on it
            for kind, work in enumerate(both):
                times[way][kind].append(seconds(work))
    expected = labels[PLAIN].numpy()
    height, width = pixels.shape[:2]
    return {
        "network": name,
        "threads": str(threads),
        "size": f"{width} x {height}",
        "gflop": 2 * count_macs(bundle.network, height, width) / 1e9,
        "matmul": [matmul_rate(torch.float32), matmul_rate(torch.bfloat16)],
        "seconds": {way: [statistics.median(t) for t in both] for way, both in times.items()},
        "spread": {way: [min(both[1]), max(both[1])] for way, both in times.items()},
        "first": first,
        "agreement": {way: float((found.numpy() == expected).mean()) for way, found in labels.items()},
        "golden": golden_agreement(expected[0], bundle, data) if name == "authors" else None,
    }


def golden_agreement(channels: np.ndarray, bundle: ModelBundle, data: Path) -> float:
    """Compare with what the authors' own code gave for the image."""
    ids = np.array(bundle.schema.ids, dtype=np.uint8)[channels]
    return float((ids == np.asarray(Image.open(data / GOLDEN))).mean())


@torch.no_grad()
def measure_side_by_side(name: str, data: Path, repeats: int) -> dict[str, Any]:
    """Run two networks side by side, as `predict` does, plain and compiled in turn."""
    bundle, pixels = subject(name, data)
    forms: tuple[Compile, ...] = ("no", "yes")
    pools = {form: SegmenterPool(bundle, CPU, compiled=form) for form in forms}
    times: dict[str, list[float]] = {form: [] for form in pools}
    with ThreadPoolExecutor(2) as callers:

        def four(pool: SegmenterPool) -> None:
            list(callers.map(pool, [pixels[None]] * 4))

        for turn in range(repeats + 1):
            for form, pool in pools.items():
                spent = seconds(partial(four, pool)) / 4
                if turn:
                    times[form].append(spent)
    return {form: statistics.median(t) for form, t in times.items()}


def in_a_process(mode: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, __file__, "--mode", mode, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as cache:  # so that compilers start from nothing
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache},
        )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def table(result: dict[str, Any]) -> str:
    """Write one network's steps at one number of threads."""
    plain = result["seconds"][PLAIN]
    rates = dict(zip(("float32", "bfloat16"), result["matmul"], strict=True))
    lines = [
        f"## {result['network']}, {result['size']}, {result['threads']} thread(s)",
        "",
        f"{result['gflop']:.2f} GFLOP. Matrix products of this machine in this run: "
        f"{rates['float32']:.0f} GFLOP/s in float32, {rates['bfloat16']:.0f} in bfloat16.",
        "",
        "| step | logits ms | times faster | classes ms | least to most | times faster "
        "| share of matmul rate | same class as plain | first call s |",
        "|--|--|--|--|--|--|--|--|--|",
    ]
    for way, (logits, classes) in result["seconds"].items():
        rate = rates["bfloat16" if "bfloat16" in way else "float32"]
        low, high = (1e3 * s for s in result["spread"][way])
        lines.append(
            f"| {way} | {1e3 * logits:.0f} | {plain[0] / logits:.2f} | {1e3 * classes:.0f} "
            f"| {low:.0f} to {high:.0f} | {plain[1] / classes:.2f} "
            f"| {100 * result['gflop'] / classes / rate:.0f} % | {100 * result['agreement'][way]:.4f} % "
            f"| {result['first'][way]:.1f} |"
        )
    if result["golden"] is not None:
        lines += ["", f"Plain gives the class of the authors' own code on {100 * result['golden']:.4f} %."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", default=["authors", "demo"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--mode", choices=["compare", "steps", "pool"], default="compare")
    parser.add_argument("--parts", type=Path, help="JSON files of earlier calls are read from here, and kept")
    args = parser.parse_args()
    name, data = args.networks[0], args.data
    if args.mode == "steps":
        print(json.dumps(measure(name, data, args.threads[0], args.repeats)))
    elif args.mode == "pool":
        print(json.dumps(measure_side_by_side(name, data, args.repeats)))
    else:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Measure everything, each part in a process of its own, and keep the tables."""
    texts = []
    for name in args.networks:
        given = ["--networks", name, "--repeats", args.repeats]
        for threads in args.threads:
            run = partial(in_a_process, "steps", args.data, *given, "--threads", threads)
            texts.append(table(part(args.parts, f"{name}-{threads}", run)))
        run = partial(in_a_process, "pool", args.data, *given)
        pool = part(args.parts, f"{name}-pool", run)
        texts.append(
            f"## {name}, threads 1+1, as predict has them\n\n"
            f"Plain (channels last, folded) {1e3 * pool['no']:.0f} ms, "
            f"our kernels {1e3 * pool['yes']:.0f} ms: {pool['no'] / pool['yes']:.2f} times faster."
        )
        print(texts[-1], flush=True)
    keep("inference", "\n\n".join([EXPLANATION, *texts]))


def part(folder: Path | None, name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Take a part from an earlier call, or run it."""
    path = None if folder is None else folder / f"{name}.json"
    if path is not None and path.exists():
        earlier: dict[str, Any] = json.loads(path.read_text())
        return earlier
    result = run()
    if path is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
