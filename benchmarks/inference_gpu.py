"""How fast ESPNet runs on a GPU, form by form, against the authors' network run plainly and its floor.

    python benchmarks/inference_gpu.py SHARED_DATA [--seconds 1.0] [--profile]

SHARED_DATA holds the authors' checkpoints (espnet/) and Cityscapes' first validation image. Forms are timed
in one process, one after another, at every batch up to the best. All but the last start from 8-bit pixels
that lie on the GPU and end at class indices there; the last is what `predict` runs, from main memory to main
memory.
"Plain" is our module with everything off, as the authors' code runs: eager, float32, plane by plane.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from inference import subject
from machine import keep
from torch import nn

from wsi_seg.inference.network.folding import folded
from wsi_seg.inference.network.forms import run_as
from wsi_seg.inference.network.graphs import Graphed
from wsi_seg.inference.network.pixels import Normalisation, best_channel
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.bundle import ModelBundle
from wsi_seg.models.cost import count_macs

GPU = torch.device("cuda")
MATMUL, COPY_BYTES = 8192, 1 << 30
BATCHES = (1, 8, 32)
DTYPES = {"float32": torch.float32, "tf32": torch.float32} | {
    name: getattr(torch, name) for name in ("bfloat16", "float16")
}

Step = Callable[[torch.Tensor], torch.Tensor]


def allow_tf32(allow: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allow


def seconds_of(work: Callable[[], object], limit: float) -> float:
    """Return the median time of a pass, the GPU's work included."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < limit:
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matmul_rate(precision: str, limit: float) -> float:
    """Return FLOP/s of a large matrix product."""
    allow_tf32(precision == "tf32")
    a, b = (torch.randn(MATMUL, MATMUL, device=GPU, dtype=DTYPES[precision]) for _ in range(2))
    return 2 * MATMUL**3 / seconds_of(partial(torch.mm, a, b), limit)


def copy_rate(limit: float) -> float:
    """Return bytes a second of a large copy, those read and those written."""
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=GPU).random_()
    target = torch.empty_like(source)
    return 2 * COPY_BYTES / seconds_of(partial(target.copy_, source), limit)


def map_bytes(network: nn.Module, pixels: np.ndarray) -> int:
    """Return the bytes, in float32, of what every layer reads and writes for one image."""
    total = 0

    def count(_: nn.Module, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        nonlocal total
        total += 4 * (sum(tensor.numel() for tensor in given) + result.numel())

    hooks = [m.register_forward_hook(count) for m in network.modules() if not list(m.children())]
    with torch.inference_mode():
        network(torch.zeros(1, 3, *pixels.shape[:2]))
    for hook in hooks:
        hook.remove()
    return total


@dataclass(frozen=True)
class Form:
    """A way to run the network: `search` lets cuDNN try its algorithms for the fastest."""

    precision: str
    folded: bool = True
    planes: bool = False
    graph: bool = False
    search: bool = False

    def __str__(self) -> str:
        words = ["folded" if self.folded else "plain"]
        words += [] if not self.folded else ["plane by plane" if self.planes else "channels last"]
        return ", ".join(words + ["CUDA graph"] * self.graph + ["cuDNN's search"] * self.search)

    def ready(self, bundle: ModelBundle) -> Step:
        """Return what gives the class indices of pixels."""
        torch.backends.cudnn.benchmark = self.search
        allow_tf32(self.precision == "tf32")
        dtype, normalise = DTYPES[self.precision], Normalisation(bundle.input, GPU)
        layout = torch.contiguous_format if self.planes else torch.channels_last
        network = folded(bundle.network) if self.folded else copy.deepcopy(bundle.network)
        network = network.to(GPU, dtype).to(memory_format=layout)  # type: ignore[call-overload]

        def best(pixels: torch.Tensor) -> torch.Tensor:
            images = normalise(pixels.permute(0, 3, 1, 2)).to(dtype).contiguous(memory_format=layout)
            return best_channel(network(images).float(), network.output_stride, 0)

        return Graphed(best) if self.graph else best


PLAIN = Form("float32", folded=False, planes=True)
FORMS = (
    PLAIN,
    replace(PLAIN, graph=True),
    *(Form(precision, planes=True, graph=True) for precision in DTYPES),
    *(Form(precision, graph=True) for precision in DTYPES),
    Form("float32", planes=True, graph=True, search=True),
    Form("float16", planes=True, graph=True, search=True),
    Form("float16", graph=True, search=True),
)


@torch.inference_mode()
def measure(bundle: ModelBundle, pixels: np.ndarray, limit: float) -> list[str]:
    """Time all forms and return table rows."""
    image = torch.from_numpy(pixels)[None].to(GPU)
    gflop = 2 * count_macs(bundle.network, *pixels.shape[:2]) / 1e9
    rates = {precision: matmul_rate(precision, limit) for precision in DTYPES}
    copied, maps = copy_rate(limit), map_bytes(bundle.network, pixels)
    print(
        f"{gflop:.2f} GFLOP; matmul "
        + ", ".join(f"{name} {rate / 1e12:.0f} TFLOP/s" for name, rate in rates.items())
        + f"; copy {copied / 1e12:.2f} TB/s; layers read and write {maps / 1e6:.0f} MB in float32"
    )
    expected, first, rows = None, 0.0, []
    for form in FORMS:
        run, precision = form.ready(bundle), form.precision
        found = run(image).clone()
        expected = found if expected is None else expected
        times = by_batch(run, image, limit)
        best = min(times, key=lambda batch: times[batch] / batch)
        each = times[best] / best
        first = first or times[1]
        floor = gflop * 1e9 / rates[precision]
        moved = maps * DTYPES[precision].itemsize / 4 / copied
        rows.append(
            f"| {form} | {precision} | {1e3 * times[1]:.2f} | {first / times[1]:.2f} | {best} "
            f"| {1e3 * each:.3f} | {first / each:.1f} | {100 * floor / each:.1f} % "
            f"| {100 * moved / each:.0f} % | {100 * (found == expected).float().mean().item():.4f} % |"
        )
        print(rows[-1], flush=True)
        del run
        torch.cuda.empty_cache()
    return rows


def by_batch(run: Step, image: torch.Tensor, limit: float) -> dict[int, float]:
    """Time batches, larger and larger while that pays."""
    times: dict[int, float] = {}
    for batch in BATCHES:
        images = image.repeat(batch, 1, 1, 1)
        times[batch] = seconds_of(partial(run, images), limit / 4)
        if batch > 1 and times[batch] / batch > 1.1 * min(t / b for b, t in times.items()):
            break
    return times


def measure_segmenter(bundle: ModelBundle, pixels: np.ndarray, limit: float) -> list[str]:
    """Time what `predict` runs, from main memory to main memory."""
    rows = []
    for precision in ("float32", "float16"):
        segmenter = Segmenter(bundle, GPU, precision)
        for batch in (1, 16):
            images = np.repeat(pixels[None], batch, axis=0)
            each = seconds_of(partial(segmenter, images), limit) / batch
            rows.append(f"| {segmenter.choice} | {precision} | {batch} | {1e3 * each:.3f} |")
            print(rows[-1], flush=True)
    return rows


def profile(bundle: ModelBundle, pixels: np.ndarray, batch: int = 16) -> str:
    """Return where the time of a batch goes, by kernel."""
    torch.backends.cudnn.benchmark = False
    network = run_as("plain", bundle.network, bundle.input, GPU, "float16")
    images = torch.from_numpy(np.repeat(pixels[None], batch, axis=0)).to(GPU)
    with torch.inference_mode():
        for _ in range(3):
            network.best(images, 0)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
            network.best(images, 0)
            torch.cuda.synchronize()
    events = sorted(seen.key_averages(), key=lambda e: -e.self_device_time_total)
    total = sum(e.self_device_time_total for e in events)
    return "\n".join(
        f"| {e.key[:70]} | {e.count} | {e.self_device_time_total / 1e3:.2f} "
        f"| {100 * e.self_device_time_total / total:.0f} % |"
        for e in events[:12]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    bundle, pixels = subject("authors", args.data)
    texts = [
        __doc__.split("\n\n", 2)[2],
        "| form | precision | ms at batch 1 | times faster | best batch | ms an image | times faster "
        "| share of matmul rate | share of copy rate, layer by layer | same class as plain |\n"
        + "|--" * 10
        + "|\n"
        + "\n".join(measure(bundle, pixels, args.seconds)),
        "As `predict` runs it, main memory to main memory:\n\n"
        "| form | precision | batch | ms an image |\n|--|--|--|--|\n"
        + "\n".join(measure_segmenter(bundle, pixels, args.seconds)),
    ]
    if args.profile:
        texts.append(
            "Where a batch of 16 in float16 spends the GPU's time:\n\n| kernel | calls | ms | share |\n"
            "|--|--|--|--|\n" + profile(bundle, pixels)
        )
    keep("inference-gpu", "\n\n".join(texts))


if __name__ == "__main__":
    main()
